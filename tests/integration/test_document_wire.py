"""The document socket over a real Valkey that is killed, restarted, and comes back without its data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from channels.db import database_sync_to_async
from pytest_django import Settings

from kernels_app.bus.identifiers import DocumentId, update_log
from kernels_app.bus.opening import open_blocking_transport
from notebooks_app import wire
from notebooks_app.models import Document
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.shape import read_shape
from notebooks_app.sync.update_log import load_live
from tests.cast import Cast, make_cast
from tests.kernels_app.bus.valkey_server import ValkeyServer
from tests.notebooks_app.sync.client import Client, connect_synced
from tests.notebooks_app.sync.documents import make_document

pytestmark = pytest.mark.integration


@pytest.fixture
def valkey(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    settings.BUS_URL = server.url
    blocking = open_blocking_transport(server.url)
    monkeypatch.setattr(wire, "_blocking", blocking)
    yield server
    blocking.close()
    server.close()


@pytest.fixture
async def open_wire(valkey: ValkeyServer) -> AsyncIterator[None]:
    yield
    await wire.close_hub_transport()


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def document(cast: Cast, open_wire: None) -> Document:
    return make_document(cast)


async def source_of(document: Document) -> str:
    replica = await database_sync_to_async(load_live)(document)
    return read_shape(replica).cells[0].source


async def type_in(client: Client, text: str) -> None:
    client.source("a").insert(0, text)
    await client.until_acknowledged()


async def test_clients_meet_and_edits_become_durable(cast: Cast, document: Document) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    await type_in(alice, "é😀 ")
    await bob.until(lambda: bob.sources()["a"] == "é😀 x = 1\n")
    await database_sync_to_async(compact)(str(document.pk))
    await alice.until(lambda: alice.durable == [alice.acks[1]])
    await alice.say({"cursor": 1})
    await bob.until(lambda: alice.awareness.client_id in bob.awareness.states)
    await alice.leave()
    await bob.until(lambda: alice.awareness.client_id not in bob.awareness.states)
    await bob.leave()


async def test_a_restart_of_valkey_loses_no_edit(
    cast: Cast, document: Document, valkey: ValkeyServer
) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    await type_in(alice, "before ")
    valkey.kill()
    bob.source("a").insert(0, "while down ")
    await bob.flush()
    assert await bob.until_closed() == 4503
    await bob.leave()
    valkey.start()
    await alice.until(lambda: alice.hello_count >= 2 and alice.is_synced)
    back = await connect_synced(document, cast.bob, doc=bob.doc)
    await back.until_acknowledged()
    await alice.until(lambda: alice.sources() == back.sources())
    assert sorted((await source_of(document)).split()) == sorted(["before", "while", "down", "x", "=", "1"])
    await alice.leave()
    await back.leave()


async def test_a_valkey_that_lost_its_data_gets_it_back_from_the_clients(
    cast: Cast, document: Document, valkey: ValkeyServer
) -> None:
    alice, bob = await connect_synced(document, cast.alice), await connect_synced(document, cast.bob)
    await type_in(alice, "kept by alice ")
    await bob.until(lambda: bob.sources()["a"].startswith("kept"))
    valkey.close()
    valkey._folder.mkdir()
    valkey.start()
    assert not wire.blocking_transport().read_log(update_log(DocumentId(str(document.pk)), document.epoch))
    await alice.until(lambda: alice.hello_count >= 2 and alice.is_synced)
    await bob.until(lambda: bob.hello_count >= 2 and bob.is_synced)
    await alice.until_acknowledged()
    assert await source_of(document) == "kept by alice x = 1\n"
    await alice.leave()
    await bob.leave()
