"""The document socket: two and more real Yjs clients, their presence, and a wire that fails."""

from __future__ import annotations

import asyncio
import os
import random
import tracemalloc
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
from notebooks_app.errors import NotFound
from notebooks_app.models import Document
from notebooks_app.notebook_format import Cell
from notebooks_app.services.documents import close_sockets
from notebooks_app.sync.frames import ClientUpdate, encode_topic_message, encode_update
from notebooks_app.sync.shape import new_cell
from notebooks_app.wire import blocking_transport
from tests.cast import Cast, socket_headers_of
from tests.notebooks_app.consumers.open_documents import compacted, live_sources
from tests.notebooks_app.sync.client import APPLICATION, DEADLINE_S, Client, connect, connect_synced
from tests.notebooks_app.sync.documents import make_document


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
