"""Clients that say more than the node takes are not read from until it has taken most of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from kernels_app.bus.channel_messages import pack_message
from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.relay_envelopes import Say
from kernels_app.consumers.channels import ChannelsConsumer
from kernels_app.consumers.outlets import DirectOutlet
from kernels_app.errors import Unavailable
from kernels_app.models import Kernel
from kernels_app.relay import node_link
from kernels_app.relay.direct_socket import DirectSocket
from kernels_app.relay.kernel_feed import ChannelClient, KernelFeed
from kernels_app.relay.node_link import NodeLink
from kernels_app.relay.server_sides import _DaphneSide
from tests.kernels_app.relay.test_direct_socket import RecordingSide

DEADLINE_S = 5
MESSAGE = b"x" * 400


@pytest.fixture
async def link(monkeypatch: pytest.MonkeyPatch) -> NodeLink:
    """One that takes two messages, to a node that hears nothing."""
    monkeypatch.setattr(node_link, "MAX_WAITING_BYTES", 1000)

    async def listen() -> None: ...

    return NodeLink(
        MemoryTransport(MemoryStore()),
        Mailbox("web"),
        NodeId("node"),
        1,
        listen=listen,
        is_needed=lambda: True,
    )


async def said(link: NodeLink) -> int:
    """Its last number, when all it has to say was cast."""
    async with asyncio.timeout(DEADLINE_S):
        while link._items:
            await asyncio.sleep(0.001)
    return link._number


async def test_who_cannot_wait_is_called_once_when_most_is_taken(link: NodeLink) -> None:
    calls: list[str] = []
    for _ in range(3):
        link.add(Say(KernelId("k"), "client", MESSAGE))
    assert not link.has_room
    link.call_with_room(lambda: calls.append("go on"))
    number = await said(link)
    link.hear(number, is_missing=False)
    assert (calls, link.has_room) == (["go on"], True)
    link.hear(number, is_missing=False)
    assert calls == ["go on"]
    await link.close()


async def test_a_socket_past_the_server_is_held_back_and_goes_on(
    link: NodeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = RecordingSide()
    consumer = ChannelsConsumer()
    consumer._is_v1 = True
    outlet = DirectOutlet(
        DirectSocket(side, on_message=consumer._take, on_drained=lambda: None, max_message_bytes=1 << 20),
        is_v1=True,
        end=lambda error: None,
    )
    consumer._outlet = outlet
    consumer._client = ChannelClient("client", outlet, may_return=True)
    consumer._feed = KernelFeed(KernelId("k"), link)
    monkeypatch.setattr("kernels_app.consumers.channels.check_message", lambda frame: None)
    consumer._take(False, MESSAGE)
    consumer._take(False, MESSAGE)
    assert not side.is_paused
    consumer._take(False, MESSAGE)
    consumer._take(False, MESSAGE)  # read already when it was held back
    assert side.is_paused
    link.hear(await said(link), is_missing=False)
    assert not side.is_paused
    for _ in range(3):
        consumer._take(False, MESSAGE)
    assert side.is_paused
    monkeypatch.setattr(consumer, "close_with", lambda error: asyncio.sleep(0))
    consumer._end_later(Unavailable())
    assert not side.is_paused, "who is to leave must be able to answer"
    await link.close()


async def test_a_message_for_no_channel_of_kernels_is_ignored_and_told_once(link: NodeLink) -> None:
    consumer = ChannelsConsumer()
    consumer._kernel = Kernel()
    ends: list[object] = []
    outlet = DirectOutlet(
        DirectSocket(
            RecordingSide(), on_message=consumer._take, on_drained=lambda: None, max_message_bytes=1 << 20
        ),
        is_v1=False,
        end=ends.append,
    )
    consumer._outlet = outlet
    consumer._client = ChannelClient("client", outlet, may_return=True)
    consumer._feed = KernelFeed(KernelId("k"), link)
    with capture_logs() as logs:
        consumer._is_v1 = False
        for channel in ('"nowhere"', "5"):
            consumer._take(
                True, b'{"header": {"msg_id": "a", "msg_type": "b"}, "channel": %s}' % channel.encode()
            )
        consumer._is_v1 = True
        consumer._take(False, pack_message("nowhere", [b"{}"] * 4))
        assert (link._number, consumer._ending, ends) == (0, None, [])
        consumer._take(False, pack_message("shell", [b"{}"] * 4))
    assert link._items or link._number
    assert [entry["event"] for entry in logs] == ["channel_unknown"]
    await link.close()


class TwistedTransport:
    """As much of Twisted's as is used of it, over a real socket."""

    connected = True
    disconnecting = False

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def fileno(self) -> int:
        return self.socket.fileno()

    def unregisterProducer(self) -> None: ...

    def registerProducer(self, producer: object, streaming: bool) -> None: ...

    def stopReading(self) -> None: ...

    def startReading(self) -> None: ...


class DaphneProtocol:
    STATE_OPEN = 1
    state = 1

    def __init__(self, end: socket.socket) -> None:
        self.transport = TwistedTransport(end)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


async def test_what_comes_meanwhile_stays_in_the_socket_and_is_read_after(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    heard: list[bytes] = []
    side: Any = _DaphneSide(DaphneProtocol(ours))
    side.take_over(heard.append, lambda: None)

    async def until(count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(b"".join(heard)) < count:
                await asyncio.sleep(0.001)

    theirs.send(b"one")
    await until(3)
    side.pause_reading()
    side.pause_reading()
    theirs.send(b"two")
    await asyncio.sleep(0.05)  # the loop had its chance
    assert b"".join(heard) == b"one"
    side.resume_reading()
    await until(6)
    assert b"".join(heard) == b"onetwo"
    side.pause_reading()
    side.stopProducing()  # the connection has ended
    side.resume_reading()
    assert side._descriptor is None
