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


class ChannelListener(Protocol):
    """What the channels call, on the event loop. Must not block."""

    def on_kernel_message(self, channel: ChannelName, message: KernelMessage) -> None: ...

    def on_backlog(self, is_behind: bool) -> None:
        """The kernel sends faster than it can be read (True), and later: all is read (False)."""
        ...


class KernelContext:
    """The ZeroMQ context of a node: one input thread for all kernels."""

    def __init__(self) -> None:
        self.context = zmq.Context(io_threads=1)
        self.context.set(zmq.MAX_SOCKETS, 16_384)

    def close(self) -> None:
        self.context.destroy(linger=0)


class KernelChannels:
    """Shell, iopub, stdin and control of one launch of a kernel. Signatures are made and checked
    here: what does not carry the kernel's signature is dropped and counted."""

    def __init__(self, context: KernelContext, connection: Connection, listener: ChannelListener) -> None:
        self._loop = asyncio.get_running_loop()
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
            self._loop.add_reader(descriptor, self._drain, name)

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
        self._loop.call_soon(self._drain, channel)

    def send_frames(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        """A message as a client made it: header, parent header, metadata, content. False once closed."""
        socket = self._sockets.get(channel)
        if socket is None:
            return False
        socket.send_multipart(
            [DELIMITER, self._signer.sign(signed), *signed, *buffers], flags=zmq.DONTWAIT, copy=False
        )
        self._loop.call_soon(self._drain, channel)
        return True

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            self._loop.remove_reader(descriptor)
        self._descriptors.clear()
        for socket in self._sockets.values():
            socket.close()
        self._sockets.clear()

    def _drain(self, name: ChannelName) -> None:
        socket = self._sockets.get(name)
        if socket is None:
            return
        deadline = time.monotonic() + DRAIN_S
        for count in range(DRAIN_COUNT):
            # The plain read of the option: the wrapper turns the number into an enum, each time.
            if not int(zmq.backend.Socket.get(socket, zmq.EVENTS)) & zmq.POLLIN:
                self._caught_up(name)
                return
            try:
                frames = socket.recv_multipart(flags=zmq.DONTWAIT)
            except zmq.Again:
                self._caught_up(name)
                return
            self._receive(name, frames)
            if name not in self._sockets:
                return  # closed by what was received
            if count % 16 == 15 and time.monotonic() > deadline:
                break
        self._check_backlog(name)
        self._loop.call_soon(self._drain, name)

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
