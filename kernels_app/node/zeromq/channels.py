"""The sockets to one kernel."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Literal, Protocol

import zmq

from kernels_app.node.connection import Connection
from kernels_app.node.zeromq.frames import (
    DELIMITER,
    InvalidMessage,
    KernelMessage,
    build_message,
    parse_message,
)
from kernels_app.node.zeromq.signing import Signer

logger = logging.getLogger(__name__)

ChannelName = Literal["shell", "iopub", "stdin", "control"]
CHANNELS: tuple[ChannelName, ...] = ("shell", "iopub", "stdin", "control")

# One wake-up handles at most this much before other kernels get their turn.
DRAIN_COUNT = 256
DRAIN_S = 0.01
# A channel that was never empty for this long: the kernel sends faster than we can read.
BACKLOG_S = 2.0
# A kernel's sockets appear some time after its process: look often at first.
RECONNECT_MS = 10
RECONNECT_MAX_MS = 200
# Log lines about frames with a wrong signature: the first, and then each thousandth.
INVALID_LOG_EVERY = 1000
# Waited under load for what other kernels, and the same one, send next; in full from this many messages a second on.
WINDOW_S = 0.0025
BUSY_RATE = 1500.0
SHORTEST_WINDOW_S = 0.0003
# The plain calls: pyzmq's own wrappers turn each number into an enum, and look twice.
_get = zmq.backend.Socket.get
_receive = zmq.backend.Socket.recv
_send = zmq.backend.Socket.send
_EVENTS, _RCVMORE, _DONTWAIT = int(zmq.EVENTS), int(zmq.RCVMORE), int(zmq.DONTWAIT)
_POLLIN = int(zmq.POLLIN)
_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)


class ChannelListener(Protocol):
    """What the channels call, on the event loop. Must not block."""

    def on_kernel_message(self, channel: ChannelName, message: KernelMessage) -> None: ...

    def on_backlog(self, is_behind: bool) -> None:
        """The kernel sends faster than it can be read (True), and later: all is read (False)."""
        ...


class KernelContext:
    """The ZeroMQ context of a node: one input thread for all kernels, and one window for what they send.

    A kernel sends the messages of one cell one by one, and each would wake the node. So under load the sockets that
    have something are read together at the end of a window; a lone message is read at once.
    """

    def __init__(self) -> None:
        self.context = zmq.Context(io_threads=1)
        self.context.set(zmq.MAX_SOCKETS, 16_384)
        self._ready: dict[tuple[KernelChannels, ChannelName], None] = {}
        self._is_waiting = False
        self._count = 0
        self._rate = 0.0
        self._read_s = 0.0

    def close(self) -> None:
        self.context.destroy(linger=0)

    def read_soon(self, channels: KernelChannels, name: ChannelName) -> None:
        """Has `channels.drain(name)` called, now or with the others of the window."""
        self._ready[channels, name] = None
        if self._is_waiting:
            return
        window_s = WINDOW_S * min(1.0, self._rate / BUSY_RATE)
        if window_s < SHORTEST_WINDOW_S:
            self._read()
        else:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(window_s, self._read)

    def count_message(self) -> None:
        self._count += 1

    def _read(self) -> None:
        self._is_waiting = False
        ready, self._ready = self._ready, {}
        for channels, name in ready:
            channels.drain(name)
        now_s = time.monotonic()
        passed_s = max(now_s - self._read_s, 1e-4)
        self._rate += (self._count / passed_s - self._rate) * min(1.0, passed_s * 10)
        self._read_s, self._count = now_s, 0


class KernelChannels:
    """Shell, iopub, stdin and control of one launch of a kernel. Signatures are made and checked
    here: what does not carry the kernel's signature is dropped and counted."""

    def __init__(self, context: KernelContext, connection: Connection, listener: ChannelListener) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._signer = Signer(connection.key.encode())
        self._listener = listener
        self._session_id = secrets.token_hex(8)
        self._sockets: dict[ChannelName, zmq.Socket[bytes]] = {}
        self._descriptors: dict[ChannelName, int] = {}
        self._busy_since: dict[ChannelName, float] = {}
        self._is_behind = False
        self.invalid_count = 0
        for name in CHANNELS:
            socket = context.context.socket(zmq.SUB if name == "iopub" else zmq.DEALER)
            socket.set(zmq.LINGER, 0)
            # Unlimited: at the limit a kernel's publisher drops outputs. What bounds memory is that
            # each wake-up reads all there is, and `on_backlog` when that is not enough.
            socket.set(zmq.RCVHWM, 0)
            socket.set(zmq.SNDHWM, 0)
            socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
            socket.set(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
            if name == "iopub":
                socket.set(zmq.SUBSCRIBE, b"")
            else:
                # A kernel routes its input requests by the identity on the shell channel.
                socket.set(zmq.IDENTITY, self._session_id.encode())
            socket.connect(connection.endpoint(name))
            self._sockets[name] = socket
            descriptor = socket.fileno()
            self._descriptors[name] = descriptor
            self._loop.add_reader(descriptor, self._on_readable, name)

    def send(
        self,
        channel: ChannelName,
        msg_type: str,
        content: bytes,
        *,
        msg_id: str,
        parent_header: bytes = b"{}",
        metadata: bytes = b"{}",
        buffers: list[bytes] | None = None,
    ) -> None:
        """Queues the message; it leaves when the kernel is there. Does nothing once closed."""
        socket = self._sockets.get(channel)
        if socket is None:
            return
        frames = build_message(
            msg_type,
            content,
            msg_id=msg_id,
            session_id=self._session_id,
            date=datetime.now(UTC).isoformat(),
            signer=self._signer,
            parent_header=parent_header,
            metadata=metadata,
            buffers=buffers or (),
        )
        socket.send_multipart(frames, flags=zmq.DONTWAIT)
        # Sending may have taken the signal that something can be read.
        self._loop.call_soon(self._on_readable, channel)

    def send_frames(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        """A message as a client made it: header, parent header, metadata, content. False once closed."""
        socket = self._sockets.get(channel)
        if socket is None:
            return False
        parts = [DELIMITER, self._signer.sign(signed), *signed, *buffers]
        for part in parts[:-1]:
            _send(socket, part, _MORE)
        _send(socket, parts[-1], _DONTWAIT)
        self._loop.call_soon(self._on_readable, channel)
        return True

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            self._loop.remove_reader(descriptor)
        self._descriptors.clear()
        for socket in self._sockets.values():
            socket.close()
        self._sockets.clear()

    def _on_readable(self, name: ChannelName) -> None:
        socket = self._sockets.get(name)
        # Asking takes the signal; until all is read no other comes.
        if socket is not None and int(_get(socket, _EVENTS)) & _POLLIN:
            self._context.read_soon(self, name)

    def drain(self, name: ChannelName) -> None:
        """Reads what is there; goes on in the next turn of the loop when that is much."""
        socket = self._sockets.get(name)
        if socket is None:
            return
        deadline = time.monotonic() + DRAIN_S
        for count in range(DRAIN_COUNT):
            try:
                frames = [_receive(socket, _DONTWAIT)]
            except zmq.Again:
                self._caught_up(name)
                return
            while _get(socket, _RCVMORE):
                frames.append(_receive(socket))
            self._context.count_message()
            self._receive(name, frames)
            if name not in self._sockets:
                return  # closed by what was received
            if count % 16 == 15 and time.monotonic() > deadline:
                break
        self._check_backlog(name)
        self._loop.call_soon(self.drain, name)

    def _receive(self, name: ChannelName, frames: list[bytes]) -> None:
        try:
            message = parse_message(frames, self._signer)
            self._listener.on_kernel_message(name, message)
        except InvalidMessage as error:
            self.invalid_count += 1
            if self.invalid_count % INVALID_LOG_EVERY == 1:
                logger.warning("Dropped a message on %s: %s (%d so far)", name, error, self.invalid_count)
        except Exception:
            # A mistake of ours with one message must not leave the next ones unread.
            logger.exception("A message on %s could not be handled.", name)

    def _check_backlog(self, name: ChannelName) -> None:
        now = time.monotonic()
        since = self._busy_since.setdefault(name, now)
        if now - since > BACKLOG_S and not self._is_behind:
            self._is_behind = True
            self._listener.on_backlog(True)

    def _caught_up(self, name: ChannelName) -> None:
        if self._busy_since:
            self._busy_since.pop(name, None)
            if self._is_behind and not self._busy_since:
                self._is_behind = False
                self._listener.on_backlog(False)
