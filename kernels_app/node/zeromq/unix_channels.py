"""The sockets to one kernel on unix sockets, without the ZeroMQ library.

No thread of its own, no signals between threads, no call for each frame: a third of what a message costs the node.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque

from kernels_app.bus.socket_poll import READABLE, WRITABLE, SocketPoll
from kernels_app.node.connection import Connection
from kernels_app.node.zeromq.channel_base import (
    CHANNELS,
    DRAIN_S,
    RECONNECT_GROWTH,
    RECONNECT_MAX_MS,
    RECONNECT_MS,
    ChannelListener,
    ChannelName,
    SocketChannels,
)
from kernels_app.node.zeromq.incoming import INCOMING, TOO_LARGE
from kernels_app.node.zeromq.zmtp import (
    GREETING,
    SUBSCRIPTION,
    BrokenPeer,
    MessageReader,
    MessageTooLarge,
    pack_message,
    ready_command,
)

logger = logging.getLogger(__name__)

READ_BYTES = 32 * 1024
# Read in one turn, from one socket.
TURN_BYTES = 1024 * 1024
# Read and not handled yet: above the first the kernel is asked to pause, above the second its socket fills.
MUCH_BYTES = 16 * 1024 * 1024
MAX_INBOX_BYTES = 64 * 1024 * 1024
# Said to a kernel that does not read.
MAX_UNSENT_BYTES = 256 * 1024 * 1024
# A kernel that asks and does not read is not answered.
MAX_UNSENT_REPLIES_BYTES = 64 * 1024


class UnixChannels(SocketChannels):
    """What is read and not handled waits here, as in the library, so that a kernel never keeps its outputs itself."""

    def __init__(self, poll: SocketPoll, connection: Connection, listener: ChannelListener) -> None:
        super().__init__(connection, listener)
        self._poll = poll
        identity = self._session_id.encode()
        self._links = {
            name: _Link(
                self,
                name,
                poll,
                connection.endpoint(name).removeprefix("ipc://"),
                # A kernel routes its input requests by the identity on the shell channel.
                ready_command("SUB") if name == "iopub" else ready_command("DEALER", identity),
                SUBSCRIPTION if name == "iopub" else b"",
            )
            for name in CHANNELS
        }
        for link in self._links.values():
            link.connect()

    def close(self) -> None:
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _write(self, channel: ChannelName, parts: list[bytes]) -> bool:
        link = self._links.get(channel)
        if link is None:
            return False
        link.send(pack_message(parts))
        self._poll.expect()  # outputs and the reply come right behind each other
        return True

    # Called by the links

    def received(self, name: ChannelName, frames: list[bytes]) -> None:
        self._receive(name, frames)

    def fell_behind(self, name: ChannelName, *, is_much: bool) -> None:
        self._fall_behind(name, is_much=is_much)

    def caught_up(self, name: ChannelName) -> None:
        self._catch_up(name)

    def overran(self, reason: str) -> None:
        self._listener.on_overrun(reason)

    def hear_outputs_first(self) -> tuple[int, bool]:
        """Handles what the kernel has published: how many messages, and whether those are all for now.

        Before each reply: a kernel sends its outputs first, and clients wait only seconds for those that come after.
        """
        outputs = self._links.get("iopub")
        return (0, True) if outputs is None else outputs.handle_all()


class _Link:
    """One socket, connected again whenever the kernel is not there."""

    def __init__(
        self, owner: UnixChannels, name: ChannelName, poll: SocketPoll, path: str, ready: bytes, first: bytes
    ) -> None:
        self._owner = owner
        self._name = name
        self._poll = poll
        self._path = path
        self._hello = GREETING + ready
        self._first = first  # said as soon as the other end takes messages
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._socket: socket.socket | None = None
        self._reader = MessageReader()
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._sent_of_first = 0
        self._read_in = -1  # this look
        self._is_ready = False  # the other end takes messages
        self._is_blocked = False  # ... but the socket takes no more for now
        self._retry: asyncio.TimerHandle | None = None
        self._retry_ms: float = RECONNECT_MS

    def connect(self) -> None:
        """Now or, while nobody listens, later."""
        self._retry = None
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            self._connect_later()
            return
        self._retry_ms = RECONNECT_MS
        self._socket = made
        self._reader = MessageReader()
        self._is_ready = self._is_blocked = False
        self._poll.add(made.fileno(), self)
        self._write(self._hello)

    def _begin(self) -> None:
        self._is_ready = True
        self._sent_of_first = 0  # a message that was cut off is sent anew
        if self._first:
            self._unsent.appendleft(self._first)
            self._unsent_bytes += len(self._first)
        self._flush()

    def _connect_later(self) -> None:
        if self._retry is not None:
            return
        self._retry = self._loop.call_later(self._retry_ms / 1000, self.connect)
        self._retry_ms = min(self._retry_ms * RECONNECT_GROWTH, RECONNECT_MAX_MS)

    def close(self) -> None:
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        self._disconnect()
        self._reader = MessageReader()
        self._inbox.clear()
        self._inbox_bytes = 0
        self._unsent.clear()

    def overran(self, reason: str) -> None:
        """It sent more than a kernel may. Nothing more is heard on this socket."""
        self.close()
        self._owner.overran(reason)

    def _disconnect(self) -> None:
        INCOMING.forget(self)
        made, self._socket, self._is_ready = self._socket, None, False
        if made is not None:
            self._poll.remove(made.fileno())
            made.close()

    def send(self, data: bytes) -> None:
        """One packed message."""
        if self._unsent_bytes > MAX_UNSENT_BYTES:
            logger.warning("A message on %s was dropped: the kernel does not read.", self._name)
            return
        if self._is_ready and not self._unsent:
            sent = self._write(data)
            if sent == len(data):
                return
            self._sent_of_first = sent
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._is_ready:
            self._wait_until_writable()

    def _write(self, data: bytes | memoryview) -> int:
        """How much the socket took. That it is broken is seen, and dealt with, by reading."""
        if self._socket is None:
            return 0
        try:
            return self._socket.send(data)
        except OSError:
            return 0

    def _wait_until_writable(self) -> None:
        if self._socket is not None and not self._is_blocked:
            self._is_blocked = True
            self._poll.change(self._socket.fileno(), wants_to_write=True)

    def _flush(self) -> None:
        while self._unsent and self._socket is not None:
            first = self._unsent[0]
            self._sent_of_first += self._write(memoryview(first)[self._sent_of_first :])
            if self._sent_of_first < len(first):
                self._wait_until_writable()
                return
            self._unsent.popleft()
            self._unsent_bytes -= len(first)
            self._sent_of_first = 0
        if self._is_blocked and self._socket is not None:
            self._is_blocked = False
            self._poll.change(self._socket.fileno(), wants_to_write=False)

    def on_ready(self, events: int) -> int:
        if events & WRITABLE:
            self._flush()
        elif self._read_in == self._poll.look_number and not self._inbox:
            return 0  # what was there is read; an end, too, is seen again
        is_over = bool(events & READABLE) and self._read()
        count = self._handle()
        if is_over and not self._is_closed:
            self._disconnect()
            if not self._inbox:
                self._connect_later()
        return count

    def handle_all(self) -> tuple[int, bool]:
        """Reads and handles what is there now, for a while: how many messages, and whether nothing is left."""
        count = 0
        if not self._inbox and self._socket is not None:
            self._read_in = -1
            count = self.on_ready(READABLE)
            self._read_in = self._poll.look_number
        return count, not self._inbox

    def _read(self) -> bool:
        """True when the other end is gone."""
        left = TURN_BYTES
        while self._socket is not None and left > 0 and self._inbox_bytes < MAX_INBOX_BYTES:
            try:
                data = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                return True
            if not data:
                return True
            self._inbox.append(data)
            self._inbox_bytes += len(data)
            left -= len(data)
            if len(data) < READ_BYTES:
                break
        return False

    def _handle(self) -> int:
        """Handles what was read, for a while; how many messages."""
        count = 0
        if self._inbox and self._name != "iopub":
            count, is_all = self._owner.hear_outputs_first()
            if not is_all:
                self._poll.ask(self)
                return count
        deadline = time.monotonic() + DRAIN_S
        while self._inbox:
            data = self._inbox.popleft()
            self._inbox_bytes -= len(data)
            try:
                messages = self._reader.feed(data)
            except MessageTooLarge as error:
                logger.warning("The %s socket of a kernel: %s", self._name, error)
                self.overran(TOO_LARGE)
                return count
            except BrokenPeer as error:
                logger.warning("The %s socket of a kernel: %s", self._name, error)
                self._inbox.clear()
                self._inbox_bytes = 0
                self._reader = MessageReader()
                self._disconnect()
                self._connect_later()
                return count
            for frames in messages:
                self._owner.received(self._name, frames)
                if self._is_closed:
                    return count  # by what was received
            count += len(messages)
            INCOMING.hold(self, self._reader.held_bytes)
            if self._reader.is_ready and not self._is_ready and self._socket is not None:
                self._begin()
            if self._reader.replies:
                self._reply()
            if self._inbox and time.monotonic() > deadline:
                self._owner.fell_behind(self._name, is_much=self._inbox_bytes > MUCH_BYTES)
                self._poll.ask(self)
                return count
        self._owner.caught_up(self._name)
        if self._socket is None and self._retry is None and not self._is_closed:
            self._connect_later()  # its last words are handled
        return count

    def _reply(self) -> None:
        replies, self._reader.replies = self._reader.replies, []
        for data in replies:
            if self._unsent_bytes < MAX_UNSENT_REPLIES_BYTES:
                self.send(data)
