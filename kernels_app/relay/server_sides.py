"""The connections of ASGI servers that are known here, as `DirectSocket` uses them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import structlog

from kernels_app.bus.socket_poll import socket_poll_of_this_loop

log = structlog.get_logger(__name__)

# Parts of a write below this are joined: one system call.
JOIN_BYTES = 256 * 1024
READ_BYTES = 64 * 1024
READS_A_TURN = 16  # then it is another connection's turn


class ServerSide(Protocol):
    """What is used of a server's connection."""

    def is_open(self) -> bool: ...

    def write(self, parts: list[bytes]) -> None: ...

    def waiting_bytes(self) -> int: ...

    def pass_on(self, data: bytes) -> None:
        """To the server's own protocol, as if it came from the client just now."""
        ...

    def take_over(self, receive: Callable[[bytes], None], drained: Callable[[], None]) -> None: ...

    def give_back(self) -> None:
        """The server's own protocol reads again."""
        ...

    def pause_reading(self) -> None:
        """What the client says from now on waits in its socket, until `resume_reading`."""
        ...

    def resume_reading(self) -> None: ...

    def linger(self, seconds: float) -> None:
        """Once the server closes the connection: for so long the client may take what was written, and answer."""
        ...


class _DaphneSide:
    """Daphne's protocol object on a plain TCP or unix transport of Twisted.

    Its socket is read together with all others of the process: a wake-up of Twisted's reactor for each message, with
    its bookkeeping, costs several times what reading it does.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._poll = socket_poll_of_this_loop()
        self._descriptor: int | None = None
        self._is_paused = False
        self._receive: Callable[[bytes], None] = _nothing_of
        self._drained: Callable[[], None] = _nothing

    def is_open(self) -> bool:
        return bool(self._protocol.state == self._protocol.STATE_OPEN and self._transport.connected)

    def write(self, parts: list[bytes]) -> None:
        transport = self._transport
        size = sum(map(len, parts))
        if size < JOIN_BYTES:
            parts = [b"".join(parts)]
            if not self.waiting_bytes() and not transport.disconnecting:
                # Twisted would wait for the next turn of the loop, with two system calls more.
                try:
                    sent = transport.socket.send(parts[0])
                except BlockingIOError:
                    sent = 0
                except OSError:
                    return  # the reader sees the end too, and tells
                if sent == size:
                    return
                parts = [parts[0][sent:]]
        transport.writeSequence(parts)

    def waiting_bytes(self) -> int:
        transport = self._transport
        return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)

    def pass_on(self, data: bytes) -> None:
        type(self._protocol).dataReceived(self._protocol, data)

    def take_over(self, receive: Callable[[bytes], None], drained: Callable[[], None]) -> None:
        self._receive, self._drained = receive, drained
        self._protocol.dataReceived = receive
        # So far the HTTP channel was asked to pause: it would have stopped reading.
        self._transport.unregisterProducer()
        self._transport.registerProducer(self, True)
        self._transport.stopReading()
        self._descriptor = self._transport.fileno()
        self._poll.add(self._descriptor, self)

    def give_back(self) -> None:
        self._protocol.__dict__.pop("dataReceived", None)
        self._leave_poll()
        self._transport.startReading()

    def pause_reading(self) -> None:
        if self._descriptor is not None and not self._is_paused:
            self._is_paused = True
            self._poll.remove(self._descriptor)

    def resume_reading(self) -> None:
        if self._descriptor is not None and self._is_paused:
            self._is_paused = False
            self._poll.add(self._descriptor, self)

    def linger(self, seconds: float) -> None:
        self._protocol.closeHandshakeTimeout = seconds

    def on_ready(self, events: int) -> int:
        """See `Polled`: there is something to read."""
        for _ in range(READS_A_TURN):
            if self._descriptor is None or self._is_paused:
                break  # by what was received
            try:
                data = self._transport.socket.recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._leave_poll()
                self._transport.startReading()  # Twisted finds the end, and tells
                break
            try:
                self._receive(data)
            except Exception:
                log.exception("websocket_failed")
                self._leave_poll()
                self._transport.abortConnection()
            if len(data) < READ_BYTES:
                break
        return 1

    def _leave_poll(self) -> None:
        if self._descriptor is not None:
            if not self._is_paused:
                self._poll.remove(self._descriptor)
            self._descriptor = None

    # As Twisted's push producers have it

    def pauseProducing(self) -> None:  # Twisted's name
        """`waiting_bytes` tells."""

    def resumeProducing(self) -> None:  # Twisted's name
        self._drained()

    def stopProducing(self) -> None:  # Twisted's name
        """The connection has ended; the socket is still open."""
        self._leave_poll()
        self._drained = _nothing
        self._receive = _nothing_of


class _AsyncioSide:
    """uvicorn's protocol objects, on a transport of asyncio or uvloop."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport: Any = protocol.transport

    def is_open(self) -> bool:
        protocol = self._protocol
        return bool(
            protocol.handshake_complete and not protocol.close_sent and not self._transport.is_closing()
        )

    def write(self, parts: list[bytes]) -> None:
        if sum(map(len, parts)) < JOIN_BYTES:
            self._transport.write(b"".join(parts))
        else:
            for part in parts:
                self._transport.write(part)

    def waiting_bytes(self) -> int:
        return int(self._transport.get_write_buffer_size())

    def pass_on(self, data: bytes) -> None:
        type(self._protocol).data_received(self._protocol, data)

    def take_over(self, receive: Callable[[bytes], None], drained: Callable[[], None]) -> None:
        protocol = self._protocol

        def resume_writing() -> None:
            type(protocol).resume_writing(protocol)
            drained()

        protocol.data_received = receive
        protocol.resume_writing = resume_writing
        self._renew()

    def give_back(self) -> None:
        self._protocol.__dict__.pop("data_received", None)
        self._renew()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def linger(self, seconds: float) -> None:
        self._protocol.close_timeout = seconds

    def _renew(self) -> None:
        # uvloop keeps the methods it found when the protocol was set.
        with contextlib.suppress(NotImplementedError):
            self._transport.set_protocol(self._protocol)


def server_side_of(send: Any) -> ServerSide | None:
    """The connection behind an ASGI `send`, before it is accepted; None where only ASGI will do."""
    return _daphne_side(send) or _uvicorn_side(send)


def _daphne_side(send: Any) -> ServerSide | None:
    if not (isinstance(send, partial) and send.args):
        return None
    try:
        from daphne.ws_protocol import WebSocketProtocol
        from twisted.internet.tcp import Server as TcpServer
        from twisted.internet.unix import Server as UnixServer
    except ImportError:
        return None
    protocol = send.args[0]
    if not isinstance(protocol, WebSocketProtocol):
        return None
    if type(protocol.transport) not in (TcpServer, UnixServer) or protocol._perMessageCompress is not None:
        return None
    return _DaphneSide(protocol)


def _uvicorn_side(send: Any) -> ServerSide | None:
    try:
        from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    except ImportError:
        return None
    protocol = getattr(send, "__self__", None)
    if not isinstance(protocol, WebSocketsSansIOProtocol) or protocol.conn.extensions:
        return None
    if not isinstance(getattr(protocol, "transport", None), asyncio.BaseTransport) and not hasattr(
        getattr(protocol, "transport", None), "get_write_buffer_size"
    ):
        return None
    return _AsyncioSide(protocol)


def _nothing() -> None:
    pass


def _nothing_of(data: bytes) -> None:
    pass
