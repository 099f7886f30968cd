"""Terminals by REST: the hub's own routes, and those that Jupyter's clients know."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import msgspec
import pytest
from django.test import Client

from kernels_app.bus.envelopes import NodeInfo, decode_command
from kernels_app.bus.identifiers import NODES_KEY, command_stream
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.terminals import (
    TERMINALS_LABEL,
    StartTerminal,
    StopTerminal,
    TerminalCommand,
    decode_info,
    encode_info,
    terminals_key,
)
from kernels_app.bus.transport import FROM_START
from tests.cast import Cast, headers_of
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import AuditEvent, User

pytestmark = pytest.mark.django_db(transaction=True)


class Caller:
    def __init__(self, cast: Cast, user: User) -> None:
        self.client = Client(headers=headers_of(user))
        self.jupyter = f"/jupyter/{cast.project.team.slug}/{cast.project.slug}/api/terminals"
        self.hub = f"/api/hub/v1/projects/{cast.project.pk}/terminals"

    def post(self, path: str, body: object = None) -> Any:
        return self.client.post(path, {} if body is None else body, content_type="application/json")


@pytest.fixture
def node(hub_wire: MemoryStore) -> ScriptedNode:
    made = ScriptedNode(hub_wire)
    offer_terminals(made)
    return made


def offer_terminals(node: ScriptedNode) -> None:
    info = msgspec.json.decode(node.store.get_fields(NODES_KEY)[node.node_id], type=NodeInfo)
    able = msgspec.structs.replace(info, labels={TERMINALS_LABEL: "yes"})
    node.store.put_field(NODES_KEY, node.node_id, msgspec.json.encode(able))


@pytest.fixture
def bob(cast: Cast) -> Caller:
    return Caller(cast, cast.bob)


def commands(node: ScriptedNode) -> list[TerminalCommand]:
    entries = node.store.read_log(command_stream(node.node_id), FROM_START, None)
    found = [decode_command(entry.payload) for entry in entries]
    return [command for command in found if isinstance(command, TerminalCommand)]


def test_jupyters_clients_start_list_look_at_and_stop_terminals(bob: Caller, node: ScriptedNode) -> None:
    assert bob.client.get(bob.jupyter).json() == []
    made = bob.post(bob.jupyter)
    assert made.status_code == 200
    assert made.json()["name"] == "1"
    assert datetime.fromisoformat(made.json()["last_activity"]).tzinfo is not None
    assert bob.client.get(bob.jupyter).json() == [made.json()]
    assert bob.client.get(f"{bob.jupyter}/1").json() == made.json()
    assert bob.post(bob.jupyter, {"name": "build", "cwd": "data/raw"}).json()["name"] == "build"
    gone = bob.client.delete(f"{bob.jupyter}/1")
    assert (gone.status_code, gone.content) == (204, b"")
    assert [item["name"] for item in bob.client.get(bob.jupyter).json()] == ["build"]
    first, second, stop = commands(node)
    assert isinstance(first, StartTerminal)
    assert isinstance(second, StartTerminal)
    assert (first.cwd, second.cwd) == ("", "data/raw")
    assert isinstance(stop, StopTerminal)
    assert stop.terminal_id == first.terminal_id


@pytest.mark.parametrize("in_bulk", [False, True])
def test_who_is_disabled_has_no_terminals_any_more_and_others_keep_theirs(
    cast: Cast, bob: Caller, node: ScriptedNode, in_bulk: bool
) -> None:
    alice = Caller(cast, cast.alice)
    for caller in (bob, alice):
        assert caller.post(caller.hub).status_code == 201
    admin = Client()
    admin.force_login(cast.admin)
    people = "/api/hub/v1/admin/people"
    if in_bulk:
        body: dict[str, object] = {"usernames": [cast.bob.username], "action": "disable"}
        answer = admin.post(f"{people}/bulk", body, content_type="application/json")
    else:
        answer = admin.patch(
            f"{people}/{cast.bob.username}", {"is_active": False}, content_type="application/json"
        )
    assert answer.status_code == 200, answer.content
    started, _, stop = commands(node)
    assert isinstance(started, StartTerminal)
    assert isinstance(stop, StopTerminal)
    assert stop.terminal_id == started.terminal_id
    assert [item["name"] for item in alice.client.get(alice.jupyter).json()] == ["2"]


def test_an_unknown_terminal_is_404_in_jupyters_words(bob: Caller, node: ScriptedNode) -> None:
    for method in ("get", "delete"):
        answer = getattr(bob.client, method)(f"{bob.jupyter}/7")
        assert answer.status_code == 404
        assert answer.json() == {"message": "Terminal not found: 7", "reason": None}


def test_a_name_that_is_taken_means_the_terminal_that_has_it(bob: Caller, node: ScriptedNode) -> None:
    first, second = (bob.post(bob.jupyter, {"name": "one"}).json() for _ in range(2))
    assert first["name"] == second["name"] == "one"
    assert len(commands(node)) == 1


def test_a_number_is_not_given_again_when_its_terminal_is_gone(bob: Caller, node: ScriptedNode) -> None:
    assert bob.post(bob.hub).json()["name"] == "1"
    assert bob.client.delete(f"{bob.hub}/1").status_code == 204
    assert bob.post(bob.hub).json()["name"] == "2"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "../x"}, {"name": "a b"}, {"name": "x" * 65}, {"name": "\n"}, {"name": "-a"}, {"name": 5},
        {"cwd": 5}, {"name": ["1"]}, "text",
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_starts_nothing(bob: Caller, node: ScriptedNode, body: object) -> None:
    assert bob.post(bob.jupyter, body).status_code == 400
    assert bob.post(bob.hub, body).status_code in (400, 422)
    assert commands(node) == []


def test_a_list_is_no_request_of_jupyter(bob: Caller, node: ScriptedNode) -> None:
    assert bob.post(bob.jupyter, [1]).status_code == 400
    assert commands(node) == []


@pytest.mark.parametrize("cwd", ["..", "a/../../b", "/..", "\0", "/" * 5000, "."])
def test_a_folder_outside_is_never_sent_to_a_node(bob: Caller, node: ScriptedNode, cwd: str) -> None:
    assert bob.post(bob.jupyter, {"cwd": cwd}).status_code == 200
    [start] = commands(node)
    assert isinstance(start, StartTerminal)
    assert ".." not in start.cwd
    assert not start.cwd.startswith("/")


def test_viewers_and_strangers_see_and_start_nothing(cast: Cast, bob: Caller, node: ScriptedNode) -> None:
    bob.post(bob.hub)
    for user, status in ((cast.carol, 403), (cast.mallory, 404)):
        caller = Caller(cast, user)
        for path in (caller.hub, caller.jupyter):
            assert caller.client.get(path).status_code == status
            assert caller.post(path).status_code == status
            assert caller.client.delete(f"{path}/1").status_code == status
    assert len(commands(node)) == 1


def test_a_project_has_so_many_terminals_and_no_more(bob: Caller, node: ScriptedNode, settings: Any) -> None:
    settings.HUB_MAX_TERMINALS_PER_PROJECT = 2
    assert [bob.post(bob.hub).status_code for _ in range(3)] == [201, 201, 429]
    assert "may have 2" in bob.post(bob.hub).json()["error"]["message"]


def test_who_start_at_once_get_different_names(cast: Cast, node: ScriptedNode) -> None:
    names: list[str] = []

    def start() -> None:
        caller = Caller(cast, cast.bob)
        names.append(caller.post(caller.jupyter).json()["name"])

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["1", "2", "3", "4"]


def test_without_a_node_that_has_terminals_it_says_so(bob: Caller, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire)
    answer = bob.post(bob.hub)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_node")


def test_terminals_of_a_lost_node_and_entries_nobody_renews_are_not_listed(
    cast: Cast, bob: Caller, node: ScriptedNode
) -> None:
    key = terminals_key(str(cast.project.pk))
    bob.post(bob.hub)
    bob.post(bob.hub)
    [first, second] = node.store.get_fields(key).items()
    other_life = msgspec.structs.replace(decode_info(first[1]), fence=node.fence - 1)
    node.store.put_field(key, first[0], encode_info(other_life))
    stale = msgspec.structs.replace(decode_info(second[1]), renewed_at=0)
    node.store.put_field(key, second[0], encode_info(stale))
    node.store.put_field(key, "nonsense", b"{")
    assert bob.client.get(bob.hub).json() == []
    assert list(node.store.get_fields(key)) == [first[0]]


def test_the_hub_is_clear_about_a_message_server_that_is_away(bob: Caller, node: ScriptedNode) -> None:
    node.store.set_down(True)
    try:
        assert bob.client.get(bob.hub).status_code == 503
        assert bob.post(bob.jupyter).status_code == 503
    finally:
        node.store.set_down(False)


def test_who_started_a_terminal_is_written_down(cast: Cast, bob: Caller, node: ScriptedNode) -> None:
    bob.post(bob.hub)
    event = AuditEvent.objects.get(action="terminal_started")
    assert (event.actor, event.details["terminal"]) == (cast.bob, "1")
