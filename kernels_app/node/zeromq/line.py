"""The line to a kernel in a container: one unix socket to its attendant, in place of ZeroMQ sockets.

The node listens, the attendant connects, and again when the node was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

from kernels_app.node.zeromq.attendant.protocol import (
    CONTROL,
    IOPUB,
    SHELL,
    STARTED,
    STDIN,
    UNKNOWN_RUN,
    BrokenLine,
    FrameTooLarge,
    Unpacker,
    pack,
)
from kernels_app.node.zeromq.channel_base import ChannelListener, ChannelName, KernelChannels
from kernels_app.node.zeromq.incoming import INCOMING, MAX_MESSAGE_BYTES, TOO_LARGE

logger = logging.getLogger(__name__)

_KINDS: dict[ChannelName, bytes] = {"shell": SHELL, "iopub": IOPUB, "stdin": STDIN, "control": CONTROL}
_NAMES = {kind: name for name, kind in _KINDS.items()}
FrameHandler = Callable[[bytes, list[bytes]], None]


class Started(msgspec.Struct, frozen=True):
    """The attendant's first word: the kernel's process runs, or why it does not."""

    errno: int | None = None
    filename: str = ""


class AttendantLine:
    """`open`, then the attendant connects: `started` tells. Frames that come before `attach` wait for it."""

    def __init__(self) -> None:
        self.started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._server: asyncio.AbstractServer | None = None
        self._transport: asyncio.Transport | None = None
        self._handler: FrameHandler | None = None
        self._on_overrun: Callable[[str], None] = lambda reason: None
        self._early: list[tuple[bytes, list[bytes]]] = []
        self._early_bytes = 0
        self._unsent: list[bytes] = []
        self._path: Path | None = None

    async def open(self, path: Path) -> None:
        """Listens. Raises OSError."""
        _forget(path)
        self._path = path
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), str(path))
        # The attendant is another user; the folder around it is for nobody else.
        os.chmod(path, 0o666)  # noqa: PTH101, S103

    def attach(self, handler: FrameHandler, on_overrun: Callable[[str], None]) -> None:
        self._handler, self._on_overrun = handler, on_overrun
        early, self._early = self._early, []
        for kind, parts in early:
            handler(kind, parts)

    def send(self, kind: bytes, parts: list[bytes]) -> None:
        data = pack(kind, parts)
        if self._transport is None or not self.started.done():
            self._unsent.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if self._path is not None:
            _forget(self._path)
        self.started.cancel()
        self._handler = None
        self._on_overrun = lambda reason: None
        self._early.clear()

    # Called by the connection

    def connected(self, transport: asyncio.Transport) -> None:
        if self._transport is not None:
            # One attendant, one line: whoever else comes out of the container is not heard.
            transport.abort()
            return
        self._transport = transport

    def disconnected(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is self._transport:
            self._transport = None

    def is_line(self, transport: asyncio.BaseTransport | None) -> bool:
        return transport is not None and transport is self._transport

    def received(self, kind: bytes, parts: list[bytes]) -> None:
        if kind == STARTED:
            with contextlib.suppress(msgspec.MsgspecError, IndexError):
                word = msgspec.json.decode(parts[0], type=Started)
                if not self.started.done():
                    self.started.set_result(word)
            unsent, self._unsent = self._unsent, []
            if self._transport is not None:
                self._transport.writelines(unsent)
        elif self._handler is not None:
            self._handler(kind, parts)
        else:
            self._early_bytes += sum(map(len, parts))
            if self._early_bytes > MAX_MESSAGE_BYTES:
                raise FrameTooLarge("More than one message before anybody listens.")
            self._early.append((kind, parts))

    def overran(self, reason: str) -> None:
        self._on_overrun(reason)


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


class _Connection(asyncio.Protocol):
    def __init__(self, line: AttendantLine) -> None:
        self._line = line
        self._unpacker = Unpacker()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked: uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._line.connected(self._transport)

    def data_received(self, data: bytes) -> None:
        if not self._line.is_line(self._transport):
            return
        self._unpacker.feed(data)
        try:
            for kind, parts in self._unpacker.frames():
                self._line.received(kind, parts)
                if not self._line.is_line(self._transport):
                    return  # closed by what was received
        except FrameTooLarge as error:
            logger.warning("An attendant's line: %s", error)
            self.overran(TOO_LARGE)
        except BrokenLine as error:
            logger.warning("An attendant's line is broken: %s", error)
            self._abort()
        else:
            INCOMING.hold(self, self._unpacker.held_bytes)

    def overran(self, reason: str) -> None:
        self._abort()
        self._line.overran(reason)

    def _abort(self) -> None:
        INCOMING.forget(self)
        self._unpacker = Unpacker()
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        INCOMING.forget(self)
        self._line.disconnected(self._transport)


class LineChannels(KernelChannels):
    """Over the line to an attendant. The line itself is its provisioner's to close."""

    def __init__(
        self,
        line: AttendantLine,
        key: str,
        listener: ChannelListener,
        *,
        on_unknown_run: Callable[[str], None] = lambda run_id: None,
    ) -> None:
        super().__init__(key, listener)
        self._line = line
        self._on_unknown_run = on_unknown_run
        self._is_open = True
        line.attach(self._on_frame, listener.on_overrun)

    def close(self) -> None:
        self._is_open = False

    def _write(self, channel: ChannelName, parts: list[bytes]) -> bool:
        if self._is_open:
            self._line.send(_KINDS[channel], parts)
        return self._is_open

    def _on_frame(self, kind: bytes, parts: list[bytes]) -> None:
        if not self._is_open:
            return
        if kind == UNKNOWN_RUN and parts:
            self._on_unknown_run(parts[0].decode("utf-8", "replace"))
            return
        name = _NAMES.get(kind)
        if name is not None:
            self._receive(name, parts)
