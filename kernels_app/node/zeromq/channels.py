"""The sockets to one kernel, by the ZeroMQ library where they are TCP ports."""

from __future__ import annotations

import asyncio
import time

import zmq

from kernels_app.bus.socket_poll import GATHER_S, SocketPoll
from kernels_app.node.connection import Connection
from kernels_app.node.zeromq.channel_base import (
    CHANNELS,
    DRAIN_S,
    RECONNECT_MAX_MS,
    RECONNECT_MS,
    ChannelListener,
    ChannelName,
    KernelChannels,
    SocketChannels,
)
from kernels_app.node.zeromq.incoming import MAX_MESSAGE_BYTES
from kernels_app.node.zeromq.unix_channels import UnixChannels

# One wake-up handles at most this much before other kernels get their turn.
DRAIN_COUNT = 256
# Waited under load for what other kernels, and the same one, send next; in full from this many messages a second on.
WINDOW_S = 0.0025
BUSY_RATE = 1500.0
# Of sockets that are polled: below it what they bring is waited for after each question, which keeps answers quick.
POLL_BUSY_RATE = 5000.0
SHORTEST_WINDOW_S = 0.0003
# The plain calls: pyzmq's own wrappers turn each number into an enum, and look twice.
_get = zmq.backend.Socket.get
_receive = zmq.backend.Socket.recv
_send = zmq.backend.Socket.send
_EVENTS, _RCVMORE, _DONTWAIT = int(zmq.EVENTS), int(zmq.RCVMORE), int(zmq.DONTWAIT)
_POLLIN = int(zmq.POLLIN)
_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)


class KernelContext:
    """The ZeroMQ context of a node: one input thread for all kernels, and one window for what they send.

    A kernel sends the messages of one cell one by one, and each would wake the node. So under load the sockets that
    have something are read together at the end of a window; a lone message is read at once.
    """

    def __init__(self) -> None:
        self.context = zmq.Context(io_threads=1)
        self.context.set(zmq.MAX_SOCKETS, 16_384)
        self._ready: dict[tuple[LibraryChannels, ChannelName], None] = {}
        self._is_waiting = False
        self._count = 0
        self._rate = 0.0
        self._read_s = 0.0
        # Kernels on unix sockets need none of this.
        self.poll = SocketPoll(gather_s=GATHER_S, busy_rate=POLL_BUSY_RATE)

    def close(self) -> None:
        self.poll.close()
        self.context.destroy(linger=0)

    def read_soon(self, channels: LibraryChannels, name: ChannelName) -> None:
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


def open_channels(
    context: KernelContext, connection: Connection, listener: ChannelListener
) -> KernelChannels:
    """The way to a kernel that listens there, or soon will."""
    if connection.transport == "ipc":
        return UnixChannels(context.poll, connection, listener)
    return LibraryChannels(context, connection, listener)


class LibraryChannels(SocketChannels):
    """By libzmq."""

    def __init__(self, context: KernelContext, connection: Connection, listener: ChannelListener) -> None:
        super().__init__(connection, listener)
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._sockets: dict[ChannelName, zmq.Socket[bytes]] = {}
        self._descriptors: dict[ChannelName, int] = {}
        for name in CHANNELS:
            socket = context.context.socket(zmq.SUB if name == "iopub" else zmq.DEALER)
            socket.set(zmq.LINGER, 0)
            # Unlimited: at the limit a kernel's publisher drops outputs. What bounds memory is that
            # each wake-up reads all there is, and `on_backlog` when that is not enough.
            socket.set(zmq.RCVHWM, 0)
            socket.set(zmq.SNDHWM, 0)
            # Of one frame; the library counts no whole messages. Such a kernel is the node's own user anyway.
            socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
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

    def _write(self, channel: ChannelName, parts: list[bytes]) -> bool:
        socket = self._sockets.get(channel)
        if socket is None:
            return False
        for part in parts[:-1]:
            _send(socket, part, _MORE)
        _send(socket, parts[-1], _DONTWAIT)
        # Sending may have taken the signal that something can be read.
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
                self._catch_up(name)
                return
            while _get(socket, _RCVMORE):
                frames.append(_receive(socket))
            self._context.count_message()
            self._receive(name, frames)
            if name not in self._sockets:
                return  # closed by what was received
            if count % 16 == 15 and time.monotonic() > deadline:
                break
        self._fall_behind(name)
        self._loop.call_soon(self.drain, name)
