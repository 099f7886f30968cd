"""The document socket: who may enter and edit, hostile frames, floods and readers that do not read."""

from __future__ import annotations

import asyncio

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator

from kernels_app.bus.memory_store import memory_store
from notebooks_app.consumers import documents as consumer_module
from notebooks_app.consumers import outgoing
from notebooks_app.models import Document, Role
from notebooks_app.services.projects import set_project_member
from notebooks_app.sync.frames import Kind
from tests.cast import Cast, socket_headers_of
from tests.notebooks_app.consumers.open_documents import compacted, live_sources
from tests.notebooks_app.sync.client import APPLICATION, DEADLINE_S, Refusal, connect, connect_synced
from tests.notebooks_app.sync.yjs_bytes import deep_value, update_of


@pytest.mark.parametrize("who", ["mallory", "admin"])
async def test_a_stranger_is_refused_before_accept(cast: Cast, document: Document, who: str) -> None:
    with pytest.raises(AssertionError, match="4403"):
        await connect(document, getattr(cast, who))


async def test_an_unknown_document_is_refused_like_a_foreign_one(cast: Cast, document: Document) -> None:
    headers = await asyncio.to_thread(socket_headers_of, cast.alice)
    for name in ("00000000-0000-4000-8000-000000000000", "nonsense", "..%2f"):
        socket = WebsocketCommunicator(APPLICATION, f"/ws/documents/{name}", headers=headers)
        assert await socket.connect(timeout=DEADLINE_S) == (False, 4403)


async def test_another_epoch_is_told_and_closed(cast: Cast, document: Document) -> None:
    client = await connect(document, cast.alice, epoch="0" * 16)
    assert await client.until_closed() == 4409
    assert client.hello is None
    await client.leave()


async def test_viewers_see_and_may_not_edit(cast: Cast, document: Document) -> None:
    alice, carol = await connect_synced(document, cast.alice), await connect_synced(document, cast.carol)
    assert carol.hello is not None
    assert carol.hello["role"] == "viewer"
    carol.source("a").insert(0, "graffiti")
    await carol.flush()
    await carol.until(lambda: bool(carol.refusals))
    assert carol.refusals == [Refusal(1, "viewer")]
    alice.source("b").insert(0, "seen ")
    await alice.until_acknowledged()
    await carol.until(lambda: carol.sources()["b"] == "seen y = 2")
    assert (await live_sources(document))["a"] == "x = 1\n"
    await alice.leave()
    await carol.leave()


@pytest.mark.parametrize("scopes", [("read",), ("read", "run"), ("read", "manage", "account")])
async def test_a_token_without_the_scope_to_write_may_only_look(
    cast: Cast, document: Document, scopes: tuple[str, ...]
) -> None:
    program = await connect_synced(document, cast.alice, scopes=scopes)
    assert program.hello is not None
    assert program.hello["role"] == "viewer"
    program.source("a").insert(0, "graffiti")
    await program.flush()
    await program.until(lambda: program.refusals != [] or program.acks != {})
    assert program.refusals == [Refusal(1, "wrong_scope")]
    assert (await live_sources(document))["a"] == "x = 1\n"
    await program.leave()


async def test_a_token_with_the_scope_to_write_edits(cast: Cast, document: Document) -> None:
    program = await connect_synced(document, cast.bob, scopes=("read", "write"))
    assert program.hello is not None
    assert program.hello["role"] == "editor"
    program.source("a").insert(0, "edited ")
    await program.until_acknowledged()
    assert program.refusals == []
    assert (await live_sources(document))["a"] == "edited x = 1\n"
    await program.leave()


@pytest.mark.parametrize("scopes", [("write",), ("run",), ("manage",)])
async def test_a_token_without_the_scope_to_read_is_refused_before_accept(
    cast: Cast, document: Document, scopes: tuple[str, ...]
) -> None:
    with pytest.raises(AssertionError, match="4403"):
        await connect(document, cast.alice, scopes=scopes)


async def test_a_viewers_token_with_every_scope_is_a_viewers(cast: Cast, document: Document) -> None:
    carol = await connect_synced(document, cast.carol, scopes=("read", "write", "run"))
    carol.source("a").insert(0, "graffiti")
    await carol.flush()
    await carol.until(lambda: carol.refusals != [])
    assert carol.refusals == [Refusal(1, "viewer")]
    await carol.leave()


async def test_an_editor_who_becomes_a_viewer_is_told_and_refused(cast: Cast, document: Document) -> None:
    bob = await connect_synced(document, cast.bob)
    await database_sync_to_async(set_project_member)(cast.project, cast.bob, Role.VIEWER, actor=cast.alice)
    await bob.until(lambda: bob.hello is not None and bob.hello["role"] == "viewer" and bob.is_synced)
    bob.source("a").insert(0, "late")
    await bob.flush()
    await bob.until(lambda: bob.refusals != [])
    assert bob.refusals[0].code == "viewer"
    await bob.leave()


HOSTILE: dict[str, bytes] = {
    "no frame": b"",
    "an unknown kind": b"\x63abc",
    "a kind of the server": bytes([Kind.HELLO]) + b"{}",
    "an inner kind": b"\xf1" + b"4403",
    "half an update": b"\x03\x00\x00",
    "an update that is none": b"\x03\x00\x00\x00\x01garbage",
    "an update of values nested 400,000 deep": b"\x03\x00\x00\x00\x01" + update_of(deep_value(400_000)),
    "a state vector that is none": b"\x01\xff\xff\xff",
    "presence that is none": b"\x06\xff\xff\xff",
    "a half echo": b"\x08\x00",
    "an echo of nothing": b"\x08\x00\x00\x00\x09",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_frame_is_refused_and_disturbs_nobody(
    cast: Cast, document: Document, name: str
) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    await bob.socket.send_input({"type": "websocket.receive", "bytes": HOSTILE[name]})
    bob.source("b").insert(0, "still ")
    await bob.flush()
    await bob.until(lambda: 1 in bob.acks)
    if name not in ("a state vector that is none", "an echo of nothing"):
        assert bob.refusals, "the sender is told"
        assert bob.refusals[0].code == "malformed"
    await alice.until(lambda: alice.sources()["b"] == "still y = 2")
    await alice.leave()
    await bob.leave()


async def test_text_frames_are_refused(cast: Cast, document: Document) -> None:
    bob = await connect_synced(document, cast.bob)
    await bob.socket.send_to(text_data="{}")
    await bob.until(lambda: bob.refusals == [Refusal(0, "malformed")])
    await bob.leave()


async def test_an_update_over_the_limit_is_refused_and_the_connection_stays(
    cast: Cast, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "MAX_UPDATE_BYTES", 1_000)
    bob = await connect_synced(document, cast.bob)
    number = await bob.send_update(bytes(1_001))
    await bob.until(lambda: bob.refusals == [Refusal(number, "too_large")])
    bob.source("b").insert(0, "small ")
    await bob.flush()
    await bob.until(lambda: 2 in bob.acks)
    await bob.leave()


async def test_a_document_does_not_grow_without_limit(
    cast: Cast, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "MAX_DOCUMENT_BYTES", 20_000)
    bob = await connect_synced(document, cast.bob)
    bob.source("b").insert(0, "x" * 15_000)
    await bob.until_acknowledged()
    bob.source("b").insert(0, "y" * 15_000)
    await bob.flush()
    await compacted(document)
    await bob.until(lambda: bob.refusals == [Refusal(2, "too_large")])
    await bob.leave()


async def test_a_flood_of_frames_is_ended(
    cast: Cast, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "MAX_WAITING_FRAMES", 20)
    bob = await connect_synced(document, cast.bob)
    memory_store("tests")
    for _ in range(400):
        await bob.socket.send_to(bytes_data=bytes([Kind.SYNC_REQUEST, 0]))
    assert await bob.until_closed() == 4429
    await bob.leave()


async def test_a_reader_that_stops_reading_is_closed_and_others_are_not(
    cast: Cast, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "ECHO_EVERY_BYTES", 2_000)
    monkeypatch.setattr(outgoing.Outgoing.__init__, "__kwdefaults__", {"max_unread_bytes": 20_000})
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    reader = await connect_synced(document, cast.carol)
    bob.answers_echo = False
    for _ in range(30):
        alice.source("b").insert(0, "x" * 1_000)
        await alice.until_acknowledged()
        size = len(alice.sources()["b"])
        await reader.until(lambda size=size: len(reader.sources()["b"]) == size)  # type: ignore[misc]
    assert await bob.until_closed() == 4408
    assert reader.echo_count > 5
    for client in (alice, bob, reader):
        await client.leave()


async def test_presence_of_another_client_cannot_be_forged(cast: Cast, document: Document) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    carol = await connect_synced(document, cast.carol)
    await alice.say({"cursor": 1})
    me = alice.awareness.client_id
    await carol.until(lambda: me in carol.awareness.states)
    bob.awareness.client_id = me
    for _ in range(5):
        await bob.say({"cursor": 666})
    await alice.say({"cursor": 2, "n": 1})
    await alice.say({"cursor": 3, "n": 2})
    await carol.until(lambda: carol.awareness.states[me].get("cursor") == 3)
    assert carol.awareness.states[me]["user"]["username"] == "alice"
    for client in (alice, bob, carol):
        await client.leave()
