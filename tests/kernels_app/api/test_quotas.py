"""Quotas by the admin API: who may set what, what is refused, what is written down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel, KernelState
from tests.cast import Cast, headers_of
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import AuditEvent, QuotaSetting, Team, User

GIB = 1 << 30


def call(user: User, method: str, path: str, body: object = None) -> tuple[int, Any]:
    answer = Client().generic(
        method,
        f"/api/hub/v1/{path}",
        "" if body is None else body if isinstance(body, str) else json.dumps(body),
        content_type="application/json",
        headers=headers_of(user),
    )
    return answer.status_code, answer.json() if answer.content else None


def row(rows: list[dict[str, Any]], quota: str) -> dict[str, Any]:
    [found] = [one for one in rows if one["quota"] == quota]
    return found


def put(user: User, path: str, **values: Any) -> tuple[int, Any]:
    return call(user, "PUT", path, {"values": values})


def test_each_level_shows_its_own_value_what_counts_and_where_that_comes_from(cast: Cast, lab: Team) -> None:
    put(cast.admin, "admin/quotas", max_kernels=8)
    status, rows = put(cast.admin, "admin/teams/lab/quotas", kernel_memory_bytes=2 * GIB)
    assert status == 200
    memory, kernels = row(rows, "kernel_memory_bytes"), row(rows, "max_kernels")
    assert (memory["own"], memory["effective"], memory["origin"]) == ({"value": 2 * GIB}, 2 * GIB, "team")
    assert memory["inherited"] == {"value": None, "origin": "site"}
    assert (kernels["own"], kernels["effective"], kernels["origin"]) == (None, 8, "site")
    status, rows = put(cast.admin, "admin/people/bob/quotas", max_kernels=None)
    assert status == 200
    kernels = row(rows, "max_kernels")
    assert (kernels["own"], kernels["effective"], kernels["origin"]) == ({"value": None}, None, "person")
    assert kernels["inherited"] == {"value": 8, "origin": "site"}
    assert kernels["used"] == 0
    assert all(one["title"] and one["help"] and one["unit"] for one in rows)


def test_a_limit_that_is_taken_away_lets_the_next_level_count(cast: Cast) -> None:
    put(cast.admin, "admin/people/bob/quotas", max_kernels=2, kernel_processes=99)
    status, rows = call(cast.admin, "DELETE", "admin/people/bob/quotas?quota=max_kernels")
    assert status == 200
    assert (row(rows, "max_kernels")["effective"], row(rows, "max_kernels")["origin"]) == (10, "site")
    assert row(rows, "kernel_processes")["own"] == {"value": 99}
    status, rows = call(
        cast.admin,
        "PUT",
        "admin/people/bob/quotas",
        {"values": {"max_kernels": 1}, "unset": ["kernel_processes"]},
    )
    assert [one["quota"] for one in rows if one["own"]] == ["max_kernels"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"values": {}},
        {"values": {}, "unset": []},
        {"values": None},
        {"values": []},
        {"values": {"max_kernels": -1}},
        {"values": {"max_kernels": 10**30}},
        {"values": {"max_kernels": 1.5}},
        {"values": {"max_kernels": "3"}},
        {"values": {"max_kernels": True}},
        {"values": {"max_kernels": []}},
        {"values": {"max_kernels": {"limit": 3}}},
        {"values": {"kernel_memory_bytes": 1}},
        {"values": {"kernel_cpu_cores": 0}},
        {"values": {"compute_gib_hours": -0.1}},
        {"values": {"kernelspecs": "python3"}},
        {"values": {"kernelspecs": ["../etc"]}},
        {"values": {"bitcoins": 3}},
        {"unset": ["bitcoins"]},
        {"unset": "max_kernels"},
        {"values": {"max_kernels": 3}, "unset": ["max_kernels"]},
        {"values": {f"q{number}": 1 for number in range(60)}},
        {"values": {"x" * 10_000: 1}},
        [],
        "3",
    ],
    ids=str,
)
def test_what_is_no_limit_is_refused_and_nothing_changes(cast: Cast, body: object) -> None:
    status, answer = call(cast.admin, "PUT", "admin/quotas", body)
    assert status == 422
    assert answer["error"]["code"] == "invalid"
    assert len(answer["error"]["message"]) > 10
    assert not QuotaSetting.objects.exists()


def test_not_a_number_is_no_json_and_no_limit(cast: Cast) -> None:
    for text in ('{"values": {"max_kernels": NaN}}', '{"values": {"compute_gib_hours": Infinity}}', "{", ""):
        assert call(cast.admin, "PUT", "admin/quotas", text)[0] in (400, 422)
    assert not QuotaSetting.objects.exists()


def test_of_several_limits_one_that_is_wrong_leaves_all_as_they_were(cast: Cast) -> None:
    status, answer = put(cast.admin, "admin/quotas", max_kernels=3, kernel_processes=-5)
    assert status == 422
    assert list(answer["error"]["details"]["fields"]) == ["kernel_processes"]
    assert not QuotaSetting.objects.exists()


def test_a_team_administrator_narrows_what_the_team_has_and_never_widens_it(cast: Cast, lab: Team) -> None:
    put(cast.admin, "admin/teams/lab/quotas", max_kernels=5, kernelspecs=["python3", "deno"])
    status, rows = put(cast.alice, "admin/teams/lab/quotas", max_kernels=2, kernelspecs=["deno"])
    assert status == 200
    kernels = row(rows, "max_kernels")
    assert (kernels["level"], kernels["own"], kernels["effective"]) == ("team_own", {"value": 2}, 2)
    assert (kernels["origin"], kernels["bound"]) == ("team", 5)
    for value in (6, None):
        status, answer = put(cast.alice, "admin/teams/lab/quotas", max_kernels=value)
        assert status == 403
        assert "at most 5" in answer["error"]["message"]
    assert put(cast.alice, "admin/teams/lab/quotas", kernelspecs=["deno", "ir"])[0] == 403
    # The administrators of the hub still see and set what was given.
    kernels = row(call(cast.admin, "GET", "admin/teams/lab/quotas")[1], "max_kernels")
    assert (kernels["own"], kernels["effective"]) == ({"value": 5}, 2)
    put(cast.admin, "admin/teams/lab/quotas", max_kernels=1)
    kernels = row(call(cast.alice, "GET", "admin/teams/lab/quotas")[1], "max_kernels")
    assert (kernels["own"], kernels["effective"], kernels["bound"]) == ({"value": 2}, 1, 1)


def test_a_team_administrator_divides_among_members(cast: Cast, lab: Team) -> None:
    put(cast.admin, "admin/teams/lab/quotas", max_kernels=5)
    put(cast.alice, "admin/teams/lab/quotas", max_kernels=1)
    status, rows = put(cast.alice, "admin/teams/lab/people/bob/quotas", max_kernels=4)
    assert status == 200
    assert (row(rows, "max_kernels")["effective"], row(rows, "max_kernels")["origin"]) == (4, "team")
    assert put(cast.alice, "admin/teams/lab/people/bob/quotas", max_kernels=6)[0] == 403
    assert put(cast.alice, "admin/teams/lab/people/mallory/quotas", max_kernels=1)[0] == 404
    assert put(cast.alice, "admin/teams/lab/people/nobody/quotas", max_kernels=1)[0] == 404
    # Elsewhere bob is what he was.
    assert row(call(cast.bob, "GET", "usage")[1], "max_kernels")["limit"] == 10
    assert row(call(cast.bob, "GET", "usage?team=lab")[1], "max_kernels")["limit"] == 4


def test_a_team_administrator_learns_nothing_of_what_a_member_uses_elsewhere(cast: Cast, lab: Team) -> None:
    Kernel.objects.create(
        project=cast.project, user=cast.bob, kernelspec_name="python3", state=KernelState.BUSY
    )
    of_bob = "admin/teams/lab/people/bob/quotas"
    for status, rows in (call(cast.alice, "GET", of_bob), put(cast.alice, of_bob, max_kernels=1)):
        assert status == 200
        assert {one["used"] for one in rows} == {None}
    assert row(call(cast.admin, "GET", "admin/people/bob/quotas")[1], "max_kernels")["used"] == 1


def test_nobody_else_sets_anything(cast: Cast, lab: Team) -> None:
    for person in (cast.alice, cast.bob, cast.mallory):
        for path in ("admin/quotas", "admin/people/bob/quotas"):
            assert put(person, path, max_kernels=1)[0] == 403
    assert put(cast.bob, "admin/teams/lab/quotas", max_kernels=1)[0] == 403
    assert put(cast.mallory, "admin/teams/lab/quotas", max_kernels=1)[0] == 404
    assert put(cast.mallory, "admin/teams/alice/quotas", max_kernels=1)[0] == 404
    assert call(cast.mallory, "GET", "usage?team=lab")[0] == 404
    # A person administers their personal team: they may take from themselves, and no more.
    assert put(cast.mallory, "admin/teams/mallory/quotas", max_kernels=11)[0] == 403
    assert put(cast.mallory, "admin/teams/mallory/quotas", max_kernels=None)[0] == 403
    assert not QuotaSetting.objects.exists()


def test_an_unknown_person_is_not_found(cast: Cast) -> None:
    assert put(cast.admin, "admin/people/nobody/quotas", max_kernels=1)[0] == 404
    assert put(cast.admin, "admin/teams/nobodys/quotas", max_kernels=1)[0] == 404


def test_every_change_is_in_the_audit_log_with_the_old_and_the_new_value(cast: Cast, lab: Team) -> None:
    put(cast.admin, "admin/people/bob/quotas", max_kernels=3)
    put(cast.admin, "admin/people/bob/quotas", max_kernels=3)  # no change
    put(cast.admin, "admin/people/bob/quotas", max_kernels=4)
    call(cast.admin, "DELETE", "admin/people/bob/quotas?quota=max_kernels")
    put(cast.alice, "admin/teams/lab/people/bob/quotas", max_kernels=1)
    put(cast.admin, "admin/quotas", kernelspecs=["python3"])
    events = AuditEvent.objects.filter(action="quota_changed").order_by("pk")
    bob = f"user:{cast.bob.pk}"
    assert [(event.actor, event.target, event.details) for event in events] == [
        (cast.admin, bob, {"level": "person", "quota": "max_kernels", "old": "unset", "new": 3}),
        (cast.admin, bob, {"level": "person", "quota": "max_kernels", "old": 3, "new": 4}),
        (cast.admin, bob, {"level": "person", "quota": "max_kernels", "old": 4, "new": "unset"}),
        (
            cast.alice,
            bob,
            {"level": "member", "team": "lab", "quota": "max_kernels", "old": "unset", "new": 1},
        ),
        (
            cast.admin,
            "site:quotas",
            {"level": "site", "quota": "kernelspecs", "old": "unset", "new": ["python3"]},
        ),
    ]


def test_everybody_sees_their_own_limits_and_where_they_come_from(cast: Cast) -> None:
    put(cast.admin, "admin/people/bob/quotas", max_kernels=3)
    rows = call(cast.bob, "GET", "usage")[1]
    assert row(rows, "max_kernels")["limit"] == 3
    assert row(rows, "max_kernels")["origin"] == "person"
    assert row(rows, "kernel_memory_bytes")["used"] is None
    assert row(call(cast.alice, "GET", "usage")[1], "max_kernels")["origin"] == "site"


def test_only_kernelspecs_that_may_be_started_are_listed_anywhere(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire)
    put(cast.admin, "admin/people/bob/quotas", kernelspecs=["deno"])
    base = f"/jupyter/{cast.project.team.slug}/{cast.project.slug}/api/kernelspecs"

    def listed(person: User) -> tuple[list[str], list[str], str]:
        hub = [spec["name"] for spec in call(person, "GET", f"kernelspecs?project={cast.project.pk}")[1]]
        jupyter = Client().get(base, headers=headers_of(person)).json()
        return hub, sorted(jupyter["kernelspecs"]), jupyter["default"]

    assert listed(cast.bob) == (["deno"], ["deno"], "deno")
    assert listed(cast.alice) == (["deno", "python3"], ["deno", "python3"], "python3")
    assert Client().get(f"{base}/python3", headers=headers_of(cast.bob)).status_code == 404
    started = Client().post(
        base.replace("kernelspecs", "kernels"),
        "{}",
        content_type="application/json",
        headers=headers_of(cast.bob),
    )
    assert (started.status_code, started.json()["name"]) == (201, "deno")
    assert call(cast.mallory, "GET", f"kernelspecs?project={cast.project.pk}")[0] == 404


def test_jupyter_clients_read_in_plain_words_which_quota_is_used_up(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    ScriptedNode(hub_wire)
    put(cast.admin, "admin/quotas", max_kernels=1)
    address = f"/jupyter/{cast.project.team.slug}/{cast.project.slug}/api/kernels"
    answers = [
        Client().post(address, "{}", content_type="application/json", headers=headers_of(cast.bob))
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[1].json()["message"] == "You are running 1 of 1 kernel: stop one that you do not need."
