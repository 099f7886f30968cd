"""The load client's end of one WebSocket: every frame goes to a function at once.

What the client itself takes is taken from the servers on the same machine, and what it takes late looks like their
latency: so its frames are read by picows, which spends a fraction of what a coroutine for each message does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

MAX_FRAME_BYTES = 1 << 30
CONNECT_TIMEOUT_S = 30


class SocketClosed(Exception):
    """The connection is not there any more."""


class CannotConnect(Exception):
    """There is no server, or it refused the socket."""


class LoadSocket(WSListener):
    """`on_frame` gets each message, `on_closed` the words of the end: once, whoever ended it."""

    def __init__(self, on_frame: Callable[[str | bytes], None], on_closed: Callable[[str], None]) -> None:
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._transport: WSTransport | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._words = ""
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        headers: Mapping[str, str],
        subprotocols: Sequence[str],
        on_frame: Callable[[str | bytes], None],
        on_closed: Callable[[str], None],
    ) -> LoadSocket:
        """Raises CannotConnect."""
        offered = {"Sec-WebSocket-Protocol": ", ".join(subprotocols)} if subprotocols else {}
        try:
            _, socket = await ws_connect(
                lambda: cls(on_frame, on_closed),
                url,
                websocket_handshake_timeout=CONNECT_TIMEOUT_S,
                max_frame_size=MAX_FRAME_BYTES,
                extra_headers={**headers, **offered},
            )
        except (WSError, OSError, TimeoutError) as error:
            raise CannotConnect(f"{url}: {error}") from error
        assert isinstance(socket, LoadSocket)
        return socket

    async def send(self, frame: str | bytes) -> None:
        """Waits while the server takes no more. Raises SocketClosed."""
        await self._has_room.wait()
        if self._transport is None or self._ended.done() or self._transport.is_close_frame_sent:
            raise SocketClosed(self._words)
        if isinstance(frame, str):
            self._transport.send(WSMsgType.TEXT, frame.encode())
        else:
            self._transport.send(WSMsgType.BINARY, frame)

    def stop_reading(self) -> None:
        if self._transport is not None and not self._ended.done():
            self._transport.underlying_transport.pause_reading()

    def read_again(self) -> None:
        if self._transport is not None and not self._ended.done():
            self._transport.underlying_transport.resume_reading()

    async def close(self) -> None:
        """In good order: what the server sent before it is read."""
        if self._transport is not None and not self._ended.done():
            self._transport.send_close()
            await self._ended

    # Called by picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.BINARY:
            self._on_frame(frame.get_payload_as_bytes())
        elif kind == WSMsgType.TEXT:
            self._on_frame(frame.get_payload_as_utf8_text())
        elif kind == WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self._words = f"{int.from_bytes(payload[:2])} {payload[2:].decode(errors='replace')}".strip()
            if not transport.is_close_frame_sent:
                transport.send_close()
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._has_room.set()
        if not self._ended.done():
            self._ended.set_result(None)
            self._on_closed(self._words or "no closing frame")

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()
