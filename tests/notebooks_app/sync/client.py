"""A document client for tests, built on pycrdt: what the browser's provider does, without a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.testing import WebsocketCommunicator
from pycrdt import Awareness, Doc, Map, Text, TransactionEvent

from notebooks_app.consumers import websocket_urlpatterns
from notebooks_app.models import Document
from notebooks_app.sync.frames import Kind
from notebooks_app.sync.shape import read_shape
from tests.cast import socket_headers_of
from zasper_hub.accounts.models import User
from zasper_hub.accounts.sockets import SocketRoutes

APPLICATION = SocketRoutes(websocket_urlpatterns)
DEADLINE_S = 10.0


@dataclass
class Refusal:
    number: int
    code: str


@dataclass
class Client:
    """One connection. Frames are handled while something is waited for; `answers_echo` off plays a dead reader."""

    socket: WebsocketCommunicator
    doc: Doc[Any] = field(default_factory=Doc)
    hello: dict[str, Any] | None = None
    is_synced: bool = False
    acks: dict[int, str] = field(default_factory=dict)
    durable: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    close_code: int | None = None
    sent_count: int = 0
    hello_count: int = 0
    answers_echo: bool = True
    echo_count: int = 0

    def __post_init__(self) -> None:
        self.awareness = Awareness(self.doc)
        self._is_applying = False
        self._out: list[bytes] = []
        self._subscription = self.doc.observe(self._changed)

    def _changed(self, event: TransactionEvent) -> None:
        if not self._is_applying:
            self._out.append(event.update)

    @property
    def cells(self) -> Map[Any]:
        cells: Map[Any] = self.doc.get("cells", type=Map)
        return cells

    def source(self, cell_id: str) -> Text:
        source: Text = self.cells[cell_id]["source"]
        return source

    def sources(self) -> dict[str, str]:
        return {cell.id or "": cell.source for cell in read_shape(self.doc).cells}

    async def flush(self) -> None:
        """Sends the edits made since the last flush."""
        updates, self._out = self._out, []
        for update in updates:
            await self.send_update(update)

    async def send_update(self, update: bytes) -> int:
        self.sent_count += 1
        await self.send_frame(Kind.UPDATE, self.sent_count.to_bytes(4, "big") + update)
        return self.sent_count

    async def send_frame(self, kind: int, payload: bytes) -> None:
        await self.socket.send_to(bytes_data=bytes([kind]) + payload)

    async def say(self, state: dict[str, Any]) -> None:
        self.awareness.set_local_state(state)
        update = self.awareness.encode_awareness_update([self.awareness.client_id])
        await self.send_frame(Kind.AWARENESS, update)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Handles frames until the condition holds; fails after the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                assert self.close_code is None, f"closed with {self.close_code}"
                await self._handle_next()

    async def until_closed(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            while self.close_code is None:
                await self._handle_next()
        return self.close_code

    async def until_acknowledged(self) -> None:
        await self.flush()
        wanted = self.sent_count
        refused = {refusal.number for refusal in self.refusals}
        await self.until(lambda: all(n in self.acks or n in refused for n in range(1, wanted + 1)))

    async def _handle_next(self) -> None:
        message = await self.socket.receive_output(timeout=DEADLINE_S)
        if message["type"] == "websocket.close":
            self.close_code = message["code"]
            return
        await self._handle(message["bytes"])

    async def _handle(self, frame: bytes) -> None:
        payload = frame[1:]
        match frame[0]:
            case Kind.HELLO:
                self.hello = json.loads(payload)
                self.hello_count += 1
                self.is_synced = False
                await self.send_frame(Kind.SYNC_REQUEST, self.doc.get_state())
            case Kind.SYNC:
                size = int.from_bytes(payload[:4], "big")
                server_state = payload[4 : 4 + size]
                self._apply(payload[4 + size :])
                self._out.clear()
                lacking = self.doc.get_update(server_state)
                if self.hello is not None and self.hello["role"] != "viewer" and lacking != b"\0\0":
                    await self.send_update(lacking)
                self.is_synced = True
            case Kind.UPDATE:
                self._apply(payload)
            case Kind.ACK:
                self.acks[int.from_bytes(payload[:4], "big")] = payload[4:].decode()
            case Kind.DURABLE:
                self.durable.append(payload.decode())
            case Kind.AWARENESS:
                self.awareness.apply_awareness_update(payload, "remote")
            case Kind.REFUSED:
                error = json.loads(payload[4:])
                self.refusals.append(Refusal(int.from_bytes(payload[:4], "big"), error["code"]))
            case Kind.ECHO:
                self.echo_count += 1
                if self.answers_echo:
                    await self.socket.send_to(bytes_data=frame)
            case kind:
                raise AssertionError(f"frame of kind {kind}")

    def _apply(self, update: bytes) -> None:
        self._is_applying = True
        try:
            self.doc.apply_update(update)
        finally:
            self._is_applying = False

    async def leave(self, code: int = 1000) -> None:
        await self.socket.disconnect(code, timeout=DEADLINE_S)


async def connect(
    document: Document,
    user: User,
    *,
    epoch: str | None = None,
    doc: Doc[Any] | None = None,
    scopes: Sequence[str] = (),
) -> Client:
    """An open connection; `doc` is what the client has from an earlier one, `scopes` its token's (default: all)."""
    address = f"/ws/documents/{document.pk}?epoch={document.epoch if epoch is None else epoch}"
    headers = await asyncio.to_thread(socket_headers_of, user, *scopes)
    socket = WebsocketCommunicator(APPLICATION, address, headers=headers)
    is_open, code = await socket.connect(timeout=DEADLINE_S)
    assert is_open, code
    return Client(socket) if doc is None else Client(socket, doc)


async def connect_synced(
    document: Document, user: User, *, doc: Doc[Any] | None = None, scopes: Sequence[str] = ()
) -> Client:
    client = await connect(document, user, doc=doc, scopes=scopes)
    await client.until(lambda: client.is_synced)
    return client
