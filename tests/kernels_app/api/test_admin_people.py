"""The admin API of people: docs/reference/admin-api.md."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from kernels_app.models import Kernel, KernelState, Node
from tests.asking import Asking, signed_in
from tests.cast import PASSWORD, Cast, headers_of
from zasper_hub.accounts.models import AuditEvent, LoginSession, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.services import create_person

PEOPLE = "/api/hub/v1/admin/people"
NEW_PASSWORD = "a whole new battery"


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["username"] for item in answer.json()["items"]]


def test_people_are_listed_in_parts_searched_and_sorted(cast: Cast, root: Asking) -> None:
    assert names(root.get(PEOPLE)) == ["alice", "bob", "carol", "mallory", "root"]
    second = root.get(PEOPLE, sort="-username", offset=1, limit=2)
    assert names(second) == ["mallory", "carol"]
    assert second.json()["total"] == 5
    assert names(root.get(PEOPLE, search="ALI")) == ["alice"]
    assert names(root.get(PEOPLE, offset=50)) == []
    assert names(root.get(PEOPLE, state="administrator")) == ["root"]


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "password"},
        {"limit": 0},
        {"limit": 201},
        {"offset": -1},
        {"state": "asleep"},
        {"search": "a\x00"},
    ],
)
def test_a_list_that_cannot_be_is_refused(cast: Cast, root: Asking, query: dict[str, str | int]) -> None:
    answer = root.get(PEOPLE, **query)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"


def test_a_person_is_shown_with_kernels_projects_and_sign_ins(cast: Cast, root: Asking) -> None:
    signed_in(cast.bob)
    Kernel.objects.create(
        project=cast.project, user=cast.bob, kernelspec_name="python3", state=KernelState.IDLE
    )
    Kernel.objects.create(
        project=cast.project, user=cast.bob, kernelspec_name="python3", state=KernelState.STOPPED
    )
    bob = root.get(f"{PEOPLE}/BOB").json()
    assert bob["username"] == "bob"
    assert bob["kernel_count"] == len(bob["kernels"]) == 1
    assert bob["is_online"]
    [project] = bob["projects"]
    assert (project["team"], project["slug"], project["role"]) == ("alice", "analysis", "editor")
    assert (project["owner_count"], project["member_count"]) == (1, 3)
    assert [sign_in["is_open"] for sign_in in bob["sign_ins"]] == [True]


def test_nobody_of_that_name_is_404_and_control_characters_too(cast: Cast, root: Asking) -> None:
    for name in ("nobody", "a%00", "%1b"):
        assert root.get(f"{PEOPLE}/{name}").status_code == 404


def test_an_account_without_a_password_gets_a_link_that_works_once(
    cast: Cast, root: Asking, lab: Team
) -> None:
    body = {
        "username": "dora",
        "display_name": "Dora M.",
        "email": "d@example.org",
        "teams": [{"slug": "lab"}],
    }
    answer = root.post(PEOPLE, body)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["person"]["email"] == "d@example.org"
    assert [team["slug"] for team in made["person"]["teams"]] == ["dora", "lab"]
    url = made["link"]["url"]
    client = Client()
    assert b"dora" in client.get(url).content
    assert client.post(url, {"password": NEW_PASSWORD, "again": "another"}).status_code == 422
    assert client.post(url, {"password": "short", "again": "short"}).status_code == 422
    done = client.post(url, {"password": NEW_PASSWORD, "again": NEW_PASSWORD})
    assert (done.status_code, done.headers["Location"]) == (302, "/")
    assert client.get("/api/hub/v1/me").json()["username"] == "dora"
    assert Client().get(url).status_code == 404
    assert Client().post(url, {"password": NEW_PASSWORD, "again": NEW_PASSWORD}).status_code == 404


def test_a_link_dies_when_the_password_changes_or_the_account_is_disabled(cast: Cast, root: Asking) -> None:
    first = root.post(f"{PEOPLE}/bob/password-link").json()["url"]
    assert root.post(f"{PEOPLE}/bob/password", {"password": NEW_PASSWORD}).status_code == 204
    assert Client().get(first).status_code == 404
    second = root.post(f"{PEOPLE}/bob/password-link").json()["url"]
    assert Client().get(second).status_code == 200
    root.patch(f"{PEOPLE}/bob", {"is_active": False})
    assert Client().get(second).status_code == 404
    assert root.post(f"{PEOPLE}/bob/password-link").status_code == 403
    assert Client().get("/accounts/choose-password/!!/x/").status_code == 404


def test_a_set_password_ends_all_sign_ins_and_must_be_strong(cast: Cast, root: Asking) -> None:
    bob = signed_in(cast.bob)
    assert root.post(f"{PEOPLE}/bob/password", {"password": "12345"}).status_code == 422
    assert bob.get("/api/hub/v1/me").status_code == 200
    assert root.post(f"{PEOPLE}/bob/password", {"password": NEW_PASSWORD}).status_code == 204
    assert bob.get("/api/hub/v1/me").status_code == 401
    assert signed_in(cast.bob, NEW_PASSWORD)
    own = root.post(f"{PEOPLE}/root/password", {"password": NEW_PASSWORD})
    assert own.json()["error"]["code"] == "yourself"


def test_who_is_disabled_is_out_at_once_and_can_come_back(cast: Cast, root: Asking) -> None:
    bob = signed_in(cast.bob)
    token = headers_of(cast.bob)
    node = Node.objects.create(node_id="n")
    kernel = Kernel.objects.create(
        project=cast.project, user=cast.bob, kernelspec_name="python3", state=KernelState.BUSY, node=node
    )
    answer = root.patch(f"{PEOPLE}/bob", {"is_active": False, "stop_kernels": True})
    assert answer.status_code == 200
    assert bob.get("/api/hub/v1/me").status_code == 401
    assert Client().get("/api/hub/v1/me", headers=token).status_code == 401
    assert not LoginSession.objects.filter(user=cast.bob).exists()
    kernel.refresh_from_db()
    assert kernel.state == KernelState.STOPPING
    assert root.patch(f"{PEOPLE}/bob", {"is_active": True}).json()["is_active"]
    assert Client().get("/api/hub/v1/me", headers=token).status_code == 200
    actions = AuditEvent.objects.filter(target=f"user:{cast.bob.pk}").values_list("action", flat=True)
    assert list(actions).count("account_changed") == 2


def test_nobody_locks_themselves_or_everybody_out(cast: Cast, root: Asking) -> None:
    assert root.patch(f"{PEOPLE}/root", {"is_active": False}).json()["error"]["code"] == "yourself"
    last = root.patch(f"{PEOPLE}/root", {"is_administrator": False})
    assert (last.status_code, last.json()["error"]["code"]) == (409, "last_administrator")
    second = create_person(username="second", password=PASSWORD, is_administrator=True)
    assert root.patch(f"{PEOPLE}/root", {"is_administrator": False}).status_code == 200
    assert root.get(PEOPLE).status_code == 403
    disabled = Asking(second).patch(f"{PEOPLE}/second", {"is_administrator": False})
    assert disabled.json()["error"]["code"] == "last_administrator"


def test_of_two_administrators_who_edit_at_once_the_second_is_told(cast: Cast, root: Asking) -> None:
    seen = root.get(f"{PEOPLE}/bob").json()["version"]
    assert root.patch(f"{PEOPLE}/bob", {"display_name": "Bob B.", "version": seen}).status_code == 200
    answer = root.patch(f"{PEOPLE}/bob", {"email": "b@example.org", "version": seen})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    now = answer.json()["error"]["details"]["version"]
    changed = root.patch(f"{PEOPLE}/bob", {"email": "b@example.org", "version": now}).json()
    assert (changed["display_name"], changed["email"]) == ("Bob B.", "b@example.org")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "a\x00b"}, 422),
        ({"username": "a b"}, 422),
        ({"username": "ALICE"}, 409),
        ({"username": "ok", "email": "nonsense"}, 422),
        ({"username": "ok", "display_name": "a\x1bb"}, 422),
        ({"username": "ok", "password": "12345"}, 422),
        ({"username": "ok", "teams": [{"slug": "no-such"}]}, 404),
        ({"username": "ok", "teams": [{"slug": "alice"}]}, 422),
        ({}, 422),
    ],
)
def test_a_bad_account_is_refused_and_nothing_is_made(
    cast: Cast, root: Asking, body: dict[str, object], status: int
) -> None:
    assert root.post(PEOPLE, body).status_code == status
    assert User.objects.count() == 5


def test_many_are_changed_at_once_and_each_refusal_is_told(cast: Cast, root: Asking) -> None:
    answer = root.post(f"{PEOPLE}/bulk", {"usernames": ["bob", "root", "nobody", "bob"], "action": "disable"})
    assert answer.json()["done"] == ["bob"]
    assert {row["username"]: row["code"] for row in answer.json()["failed"]} == {
        "root": "yourself",
        "nobody": "not_found",
    }


def test_a_team_administrator_sees_the_team_and_no_more(cast: Cast, lab: Team) -> None:
    alice = Asking(cast.alice)
    assert names(alice.get(PEOPLE)) == ["alice", "bob"]
    User.objects.filter(pk=cast.bob.pk).update(email="bob@example.org")
    bob = alice.get(f"{PEOPLE}/bob").json()
    assert (bob["email"], bob["storage_bytes"], bob["sign_ins"], bob["projects"]) == (None, None, [], [])
    assert [team["slug"] for team in bob["teams"]] == ["lab"]
    assert names(alice.get(PEOPLE, search="bob@example")) == []
    assert alice.get(PEOPLE, sort="email").status_code == 422
    User.objects.filter(pk=cast.bob.pk).update(last_seen_at=timezone.now(), is_staff=True)
    for shown in (alice.get(f"{PEOPLE}/bob").json(), alice.get(PEOPLE).json()["items"][1]):
        assert shown["username"] == "bob"
        assert {shown[name] for name in ("last_seen_at", "is_active", "is_online", "is_administrator")} == {
            None
        }
    assert alice.get(PEOPLE, sort="-last_seen_at").status_code == 422
    for state in ("active", "disabled", "online", "administrator"):
        assert alice.get(PEOPLE, state=state).status_code == 422
    assert alice.get(f"{PEOPLE}/mallory").status_code == 404
    for refused in (
        alice.patch(f"{PEOPLE}/bob", {"is_active": False}),
        alice.post(f"{PEOPLE}/bob/password", {"password": NEW_PASSWORD}),
        alice.post(PEOPLE, {"username": "x"}),
    ):
        assert refused.status_code == 403
    TeamMembership.objects.filter(team=lab, user=cast.alice).update(role=TeamRole.MEMBER)
    assert alice.get(PEOPLE).status_code == 403


def test_the_overview_counts_and_warns(cast: Cast, root: Asking, lab: Team) -> None:
    node = Node.objects.create(node_id="n1", state="lost", info={"provisioner": "process", "memory_bytes": 8})
    Kernel.objects.create(
        project=cast.project, user=cast.bob, kernelspec_name="python3", state=KernelState.BUSY, node=node
    )
    Kernel.objects.create(project=cast.project, user=cast.bob, kernelspec_name="python3")
    answer = root.get("/api/hub/v1/admin/overview")
    assert answer.status_code == 200, answer.content
    hub = answer.json()
    assert hub["people"]["total"] == 5
    assert hub["teams"] == 1
    assert hub["kernels"] == {"total": 2, "by_state": {"busy": 1, "pending": 1}}
    assert hub["queue"]["length"] == 1
    assert [node["id"] for node in hub["nodes"]] == ["n1"]
    assert [warning["code"] for warning in hub["warnings"]] == ["no_node", "node_lost"]
    team = Asking(cast.alice).get("/api/hub/v1/admin/overview").json()
    assert (team["people"]["total"], team["kernels"]["total"], team["nodes"]) == (2, 0, [])


def test_me_says_what_one_administers(cast: Cast, lab: Team) -> None:
    for person, expected in ((cast.admin, "hub"), (cast.alice, "teams"), (cast.bob, None)):
        me = Client().get("/api/hub/v1/me", headers=headers_of(person)).json()
        assert me["administers"] == expected


@pytest.mark.parametrize("name", ["ali\x00ce", "\x00", "ali\x1bce"])
def test_a_sign_in_name_with_control_characters_is_refused_with_a_sentence(db: None, name: str) -> None:
    answer = Client().post("/accounts/login/", {"login": name, "password": "x"})
    assert answer.status_code == 422
    assert b"ontrol characters" in answer.content or b"ull characters" in answer.content


def test_an_api_name_with_control_characters_is_refused_with_a_sentence(cast: Cast) -> None:
    project = f"/api/hub/v1/projects/{cast.project.pk}/members"
    answer = Asking(cast.alice).post(project, {"username": "bo\x00b", "role": "viewer"})
    assert answer.status_code == 422
    assert "control characters" in answer.json()["error"]["message"]
