"""A browser's runs socket, and the hub, wire and node behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator

from kernels_app.bus.envelopes import (
    Execute,
    StartKernel,
)
from kernels_app.bus.identifiers import DocumentId
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.relay.mailbox import mailbox_of_this_loop
from notebooks_app.models import Document
from notebooks_app.wire import close_hub_transport, hub_transport
from tests.cast import Cast, make_cast, socket_headers_of
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import User
from zasper_hub.asgi import application

DEADLINE_S = 15.0


class Scene:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.cast: Cast = make_cast()
        self.document: Document = make_document(self.cast, "1", "2")
        self.key = DocumentId(str(self.document.pk))
        self.node = ScriptedNode(store)


class Page:
    """One browser's socket."""

    def __init__(self, user: User, document_id: object, scopes: tuple[str, ...] = ()) -> None:
        self._user = user
        self._path = f"/ws/runs/{document_id}"
        self._scopes = scopes

    async def open(self) -> bool:
        headers = await database_sync_to_async(socket_headers_of)(self._user, *self._scopes)
        self.socket = WebsocketCommunicator(application, self._path, headers=headers)
        accepted, self.close_code = await self.socket.connect(timeout=DEADLINE_S)
        return bool(accepted)

    async def send(self, **message: Any) -> None:
        await self.socket.send_to(text_data=json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_from(timeout=DEADLINE_S))
        return message

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of this kind; those before it are passed over."""
        while True:
            message = await self.receive()
            if message["type"] == kind:
                return message

    async def operations_until(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while not any(operation["op"] == name for operation in found):
            message = await self.receive()
            if message["type"] == "ops":
                found += message["ops"]
        return found

    async def close(self) -> None:
        await self.socket.disconnect(timeout=DEADLINE_S)

    async def closed_with(self) -> int:
        while True:
            output = await self.socket.receive_output(timeout=DEADLINE_S)
            if output["type"] == "websocket.close":
                code: int = output["code"]
                return code


@pytest.fixture
async def scene(hub_wire: MemoryStore, transactional_db: None) -> AsyncIterator[Scene]:
    yield await database_sync_to_async(Scene)(hub_wire)
    hub_wire.set_down(False)
    await mailbox_of_this_loop(await hub_transport()).close()
    await close_hub_transport()
    tasks = [task for task in asyncio.all_tasks() if "RunsConsumer" in repr(task)]
    assert not tasks, "a task outlived its socket"


@pytest.fixture
async def alice(scene: Scene) -> AsyncIterator[Page]:
    page = Page(scene.cast.alice, scene.document.pk)
    assert await page.open()
    yield page
    await page.close()


async def node_commands(scene: Scene, count: int) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            found += scene.node.commands()
            await asyncio.sleep(0.005)
    return found


async def run_first(scene: Scene, page: Page) -> tuple[StartKernel, Execute]:
    await page.send(type="run", request_id="r", cells=[{"cell_id": "c1", "source": "1"}])
    start, execute = await node_commands(scene, 2)
    scene.node.kernel(start, "idle")
    return start, execute
