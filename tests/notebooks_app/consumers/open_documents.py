"""The document of these tests, and what is live of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from channels.db import database_sync_to_async

from kernels_app.bus.memory_store import memory_store
from notebooks_app.models import Document
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.shape import read_shape
from notebooks_app.sync.update_log import load_live
from notebooks_app.wire import close_hub_transport
from tests.cast import Cast, make_cast
from tests.notebooks_app.sync.documents import make_document


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
