"""The document socket: two and more real Yjs clients, hostile ones among them, and a wire that fails."""

from __future__ import annotations

import asyncio
import os
import random
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from pycrdt import Doc, Map

from kernels_app.bus.envelopes import decode_document_note
from kernels_app.bus.identifiers import DOCUMENTS_STREAM, DocumentId, update_log
from kernels_app.bus.memory_store import memory_store
from kernels_app.bus.transport import Publication
from notebooks_app.consumers import documents as consumer_module
from notebooks_app.consumers import outgoing
from notebooks_app.errors import NotFound
from notebooks_app.models import Document, Role
from notebooks_app.notebook_format import Cell
from notebooks_app.services.documents import close_sockets
from notebooks_app.services.projects import set_project_member
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.frames import ClientUpdate, Kind, encode_topic_message, encode_update
from notebooks_app.sync.shape import new_cell, read_shape
from notebooks_app.sync.update_log import load_live
from notebooks_app.wire import blocking_transport, close_hub_transport
from tests.cast import Cast, make_cast, socket_headers_of
from tests.notebooks_app.sync.client import APPLICATION, DEADLINE_S, Client, Refusal, connect, connect_synced
from tests.notebooks_app.sync.documents import make_document
from tests.notebooks_app.sync.yjs_bytes import deep_value, update_of


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def document(cast: Cast) -> Document:
    return make_document(cast)


@pytest.fixture(autouse=True)
async def _wire() -> AsyncIterator[None]:
    yield
    memory_store("tests").set_down(False)
    await close_hub_transport()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not [task for task in others if "DocumentConsumer" in repr(task)], "a task outlived its socket"


async def live_sources(document: Document) -> dict[str, str]:
    notebook = read_shape(await database_sync_to_async(load_live)(document))
    return {cell.id or "": cell.source for cell in notebook.cells}


async def compacted(document: Document) -> None:
    await database_sync_to_async(compact)(str(document.pk))


async def test_a_client_gets_the_notebook_and_its_edit_reaches_the_other(
    cast: Cast, document: Document
) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    assert alice.hello is not None
    assert alice.hello["role"] == "owner"
    assert alice.hello["epoch"] == document.epoch
    assert bob.sources() == {"a": "x = 1\n", "b": "y = 2"}
    alice.source("a").insert(0, "# é😀漢\n")
    await alice.until_acknowledged()
    await bob.until(lambda: bob.sources()["a"] == "# é😀漢\nx = 1\n")
    await alice.leave()
    await bob.leave()


async def test_edits_are_durable_after_compaction_and_survive_everyone_leaving(
    cast: Cast, document: Document
) -> None:
    alice = await connect_synced(document, cast.alice)
    alice.source("b").insert(0, "kept ")
    await alice.until_acknowledged()
    await compacted(document)
    await alice.until(lambda: alice.durable == [alice.acks[1]])
    await alice.leave()
    bob = await connect_synced(document, cast.bob)
    assert bob.sources()["b"] == "kept y = 2"
    assert bob.hello is not None
    assert bob.hello["stream_id"] == alice.acks[1]
    await bob.leave()


async def test_only_who_changed_something_is_noted_as_having_left_it(cast: Cast, document: Document) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    alice.source("b").insert(0, "kept ")
    await alice.until_acknowledged()
    await bob.leave()
    await document.arefresh_from_db()
    assert document.left_at is None
    await alice.leave()
    await document.arefresh_from_db()
    assert document.left_by_id == cast.alice.pk


async def test_an_edit_leaves_a_note_for_the_recorder_in_the_same_write(
    cast: Cast, document: Document
) -> None:
    before = blocking_transport().last_id(DOCUMENTS_STREAM)
    alice = await connect_synced(document, cast.alice)
    alice.source("b").insert(0, "z")
    await alice.until_acknowledged()
    entries = blocking_transport().read_log(DOCUMENTS_STREAM)
    notes = [decode_document_note(entry.payload) for entry in entries if before is None or entry.id > before]
    assert str(document.pk) in {note.document_id for note in notes}
    await alice.leave()


async def test_the_last_edit_of_a_page_that_closes_at_once_is_kept(
    cast: Cast, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await connect_synced(document, cast.alice)
    gate = asyncio.Event()
    accepts = consumer_module.DocumentConsumer._accepts

    async def accept_late(consumer: consumer_module.DocumentConsumer, frame: ClientUpdate) -> bool:
        await gate.wait()
        return await accepts(consumer, frame)

    monkeypatch.setattr(consumer_module.DocumentConsumer, "_accepts", accept_late)
    alice.source("b").insert(0, "last ")
    await alice.flush()
    asyncio.get_running_loop().call_later(0.1, gate.set)  # when the disconnect is long in
    await alice.leave(1001)
    assert (await live_sources(document))["b"] == "last y = 2"


async def test_random_concurrent_edits_converge(cast: Cast, document: Document) -> None:
    seed_number = int.from_bytes(os.urandom(4), "big")
    print("seed", seed_number)
    chance = random.Random(seed_number)
    clients = [await connect_synced(document, user) for user in (cast.alice, cast.bob, cast.alice)]
    for step in range(120):
        client = chance.choice(clients)
        edit_at_random(client, chance, step)
        if chance.random() < 0.6:
            await client.flush()
        if chance.random() < 0.1:
            await compacted(document)
        if chance.random() < 0.1:
            index = clients.index(client)
            await client.until_acknowledged()
            await client.leave()
            clients[index] = await connect_synced(document, cast.bob, doc=client.doc)
    for client in clients:
        await client.until_acknowledged()
    wanted = await live_sources(document)
    for client in clients:
        await client.until(lambda client=client: client.sources() == wanted)  # type: ignore[misc]
    await compacted(document)
    assert await live_sources(document) == wanted
    for client in clients:
        await client.leave()


def edit_at_random(client: Client, chance: random.Random, step: int) -> None:
    ids = sorted(client.sources())
    match chance.randrange(6):
        case 0:
            made = Cell(cell_type="code", source="new 😀", id=f"n{step}")
            client.cells[f"n{step}"] = new_cell(made, f"a{chance.choice('1357BDFHJ')}")
        case 1 if len(ids) > 1:
            del client.cells[chance.choice(ids)]
        case 2 if ids:
            client.cells[chance.choice(ids)]["position"] = f"a{chance.choice('02468ACEG')}V"
        case 3 if ids:
            source = client.source(chance.choice(ids))
            text = str(source)
            start = chance.randrange(len(text) + 1)
            start_byte = len(text[:start].encode())
            end_byte = start_byte + len(text[start : start + chance.randrange(4)].encode())
            if end_byte > start_byte:
                del source[start_byte:end_byte]
        case _ if ids:
            source = client.source(chance.choice(ids))
            text = str(source)
            at = len(text[: chance.randrange(len(text) + 1)].encode())
            source.insert(at, chance.choice(["a", "é", "😀", "漢字\n"]))


async def test_edits_made_offline_by_both_sides_merge_on_return(cast: Cast, document: Document) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    await alice.leave()
    alice.source("a").insert(0, "offline\n")
    bob.source("a").insert(len(str(bob.source("a")).encode()), "online")
    await bob.until_acknowledged()
    back = await connect_synced(document, cast.alice, doc=alice.doc)
    await back.until_acknowledged()
    await bob.until(lambda: bob.sources()["a"] == "offline\nx = 1\nonline")
    assert back.sources() == bob.sources() == await live_sources(document)
    await back.leave()
    await bob.leave()


# Refusals


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


# Presence


async def test_presence_is_signed_arrives_at_newcomers_and_ends_with_the_connection(
    cast: Cast, document: Document
) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    await alice.say({"user": {"username": "root"}, "cursor": 7})
    me = alice.awareness.client_id
    await bob.until(lambda: me in bob.awareness.states)
    assert bob.awareness.states[me] == {
        "user": {"username": "alice", "display_name": cast.alice.shown_name},
        "cursor": 7,
    }
    carol = await connect_synced(document, cast.carol)
    await carol.until(lambda: me in carol.awareness.states)
    await alice.leave()
    await carol.until(lambda: me not in carol.awareness.states)
    await bob.until(lambda: me not in bob.awareness.states)
    await bob.leave()
    await carol.leave()


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


# The wire fails


async def test_an_edit_while_the_wire_is_down_is_not_acknowledged_and_comes_again(
    cast: Cast, document: Document
) -> None:
    alice = await connect_synced(document, cast.alice)
    memory_store("tests").set_down(True)
    alice.source("a").insert(0, "kept ")
    await alice.flush()
    assert await alice.until_closed() == 4503
    assert alice.acks == {}
    await alice.leave()
    memory_store("tests").set_down(False)
    back = await connect_synced(document, cast.alice, doc=alice.doc)
    await back.until_acknowledged()
    assert (await live_sources(document))["a"] == "kept x = 1\n"
    await back.leave()


async def test_after_an_interruption_clients_sync_again_and_give_back_what_the_wire_lost(
    cast: Cast, document: Document
) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    alice.source("a").insert(0, "precious ")
    await alice.until_acknowledged()
    await bob.until(lambda: bob.sources()["a"].startswith("precious"))
    memory_store("tests").set_down(True)
    # The server came back from an older state: the acknowledged entry is gone.
    memory_store("tests").set_down(False)
    blocking_transport().delete_log(update_log(DocumentId(str(document.pk)), document.epoch))
    await alice.until(lambda: alice.hello_count == 2 and alice.is_synced)
    await bob.until(lambda: bob.hello_count == 2 and bob.is_synced)
    await alice.until_acknowledged()
    assert (await live_sources(document))["a"] == "precious x = 1\n"
    await alice.leave()
    await bob.leave()


async def test_a_lost_note_is_written_again_when_the_document_is_opened(
    cast: Cast, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = DocumentId(str(document.pk))
    replica = Doc[Any]()
    replica.get("cells", type=Map)["z"] = new_cell(Cell(cell_type="code", id="z", source="lost note"), "a5")
    message = encode_topic_message(b"sender-1", encode_update(replica.get_update()))
    blocking_transport().write([Publication(message, log=update_log(key, document.epoch))])
    monkeypatch.setattr(consumer_module, "STALE_ENTRY_S", -1)
    alice = await connect_synced(document, cast.alice)
    assert alice.sources()["z"] == "lost note"

    def noted() -> bool:
        entries = blocking_transport().read_log(DOCUMENTS_STREAM)
        return key in {decode_document_note(entry.payload).document_id for entry in entries}

    async with asyncio.timeout(DEADLINE_S):
        while not noted():
            await asyncio.sleep(0)
    await alice.leave()


async def test_a_document_that_ends_closes_its_sockets(cast: Cast, document: Document) -> None:
    alice = await connect_synced(document, cast.alice)
    await database_sync_to_async(close_sockets)(document, NotFound())
    assert await alice.until_closed() == 4403
    await alice.leave()


async def test_one_more_person_costs_little_memory(cast: Cast) -> None:
    from tests.notebooks_app.sync.documents import cell

    cells = [cell(f"c{number}", "value = compute(1, 2, 3)\n" * 10) for number in range(300)]
    document = await database_sync_to_async(make_document)(cast, *cells)
    first = await connect(document, cast.alice)
    await first.until(lambda: first.hello is not None)
    headers = await asyncio.to_thread(socket_headers_of, cast.alice)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    sockets = []
    for _ in range(10):
        address = f"/ws/documents/{document.pk}?epoch={document.epoch}"
        socket = WebsocketCommunicator(APPLICATION, address, headers=headers)
        assert (await socket.connect(timeout=DEADLINE_S))[0]
        assert (await socket.receive_from(timeout=DEADLINE_S))[:1] == b"\x00"
        await socket.send_to(bytes_data=b"\x01\x00")
        assert (await socket.receive_from(timeout=DEADLINE_S))[:1] == b"\x02"
        sockets.append(socket)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / len(sockets) < 300_000
    for socket in sockets:
        await socket.disconnect(timeout=DEADLINE_S)
    await first.leave()
