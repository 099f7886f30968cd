"""Raw kernel channels from client to kernel and back, over a wire that loses what is cast now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_app.bus.channel_messages import ChannelName, pack_message, unpack_message
from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.transport import TopicListener, TransportError
from kernels_app.errors import HubError
from kernels_app.node import relaying
from kernels_app.node.relay_kernel import KernelRelay
from kernels_app.node.relaying import NodeRelay
from kernels_app.node.zeromq.frames import KernelMessage
from kernels_app.relay import node_link
from kernels_app.relay.channels import channel_relay_of_this_loop
from kernels_app.relay.kernel_feed import ChannelClient

KERNEL, NODE, FENCE = KernelId("kernel"), NodeId("node"), 3
DEADLINE_S = 10

# What happens to a cast: it arrives, it is refused, it is lost with its sender's connection, or with its reader's.
ARRIVES, REFUSED, LOST_BY_SENDER, LOST_BY_READER = range(4)


class LossyTransport(MemoryTransport):
    """Does with each cast what `fates` says, in turn; all later ones arrive."""

    def __init__(self, store: MemoryStore, fates: Sequence[int]) -> None:
        super().__init__(store)
        self.fates = list(fates)
        self.readers: list[TopicListener] = []  # of the other end
        self._connections = 1

    def cast(self, topic: str, payload: bytes) -> None:
        fate = self.fates.pop(0) if self.fates else ARRIVES
        if fate == ARRIVES:
            super().cast(topic, payload)
        elif fate == LOST_BY_READER:
            for listener in self.readers:
                asyncio.get_running_loop().call_later(0.002, listener, None)
        else:
            self._connections += 1
            if fate == REFUSED:
                raise TransportError("away")

    async def ready(self) -> int:
        return self._connections

    async def subscribe(self, topic: str, listener: TopicListener) -> Callable[[], Awaitable[None]]:
        self.own_listener = listener
        return await super().subscribe(topic, listener)


class KeepingOutlet:
    """A connection that is `lag` messages behind what it was given."""

    def __init__(self, lag: int = 0) -> None:
        self.lag = lag
        self.seqs: list[int] = []
        self.contents: list[bytes] = []

    def put(self, messages: Sequence[tuple[int, bytes]]) -> None:
        for seq, message in messages:
            self.seqs.append(seq)
            self.contents.append(unpack_message(message)[1][3])

    def waiting_bytes(self) -> int:
        return 0

    def sent_seq(self) -> int:
        return self.seqs[-1 - self.lag] if len(self.seqs) > self.lag else -1

    def final_seq(self, *, in_good_order: bool) -> int:
        return self.sent_seq()

    def lose(self, count: int) -> None:
        raise AssertionError(f"{count} messages were lost")

    def end(self, error: HubError | None) -> None:
        raise AssertionError(f"ended: {error}")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (relaying, "SWEEP_S", 0.01),
        (relaying, "RETRY_S", 0.002),
        (relaying, "ANSWER_S", 0.005),
        (node_link, "RETRY_S", 0.002),
        (node_link, "CHECK_S", 0.01),
        (node_link, "RESEND_S", 0.02),
        (node_link, "REPEAT_GAP_S", 0.005),
    ):
        monkeypatch.setattr(module, name, value)


FATES = st.lists(
    st.sampled_from([ARRIVES, ARRIVES, ARRIVES, REFUSED, LOST_BY_SENDER, LOST_BY_READER]), max_size=30
)


@settings(deadline=None, max_examples=60)
@given(to_node=FATES, to_web=FATES, lag=st.integers(0, 4), breaks_after=st.integers(0, 20))
def test_whatever_a_wire_loses_a_client_has_all_its_kernel_sent_and_the_kernel_all_it_said_once_and_in_order(
    to_node: list[int], to_web: list[int], lag: int, breaks_after: int
) -> None:
    """Its connection breaks once: what it was given last did not reach it."""
    asyncio.run(_talk(to_node, to_web, lag, breaks_after))


async def _talk(to_node: list[int], to_web: list[int], lag: int, breaks_after: int) -> None:
    store = MemoryStore()
    web_wire, node_wire = LossyTransport(store, to_node), LossyTransport(store, to_web)
    said: list[bytes] = []
    kernels: dict[KernelId, KernelRelay] = {}

    def send(channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        said.append(signed[3])
        return True

    async def catch_up() -> None:
        pass

    node = NodeRelay(node_id=NODE, fence=FENCE, transport=node_wire, find=kernels.get, catch_up=catch_up)
    kernel = kernels[KERNEL] = KernelRelay(
        KERNEL, send=send, on_news=node.on_news, on_pressure=lambda _: None
    )
    kernel.open()
    running = asyncio.create_task(node.run())
    outlet = first = KeepingOutlet(lag)
    client = ChannelClient("client", outlet, may_return=True)
    arrived: list[bytes] = []
    relay = channel_relay_of_this_loop(web_wire)
    feed = relay.join(kernel_id=KERNEL, node_id=NODE, fence=FENCE, client=client)
    try:
        async with asyncio.timeout(DEADLINE_S):
            while client.seq is None:  # what a kernel sends before anybody is there is nobody's
                await asyncio.sleep(0.001)
                web_wire.readers, node_wire.readers = [node_wire.own_listener], [web_wire.own_listener]
            for number in range(20):
                if number == breaks_after:
                    relay.leave(feed, client, in_good_order=False)
                    arrived = [] if first.sent_seq() < 0 else first.contents[: len(first.contents) - lag]
                    outlet = KeepingOutlet()
                    client = ChannelClient("client", outlet, may_return=True)
                    feed = relay.join(kernel_id=KERNEL, node_id=NODE, fence=FENCE, client=client)
                feed.say(client, _request(number))
                kernel.hear("iopub", _message(number))
                await asyncio.sleep(0.001)
            while len(said) < 20 or len(arrived) + len(outlet.contents) < 20:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.03)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await feed.link.close()
    assert said == [b"%d" % number for number in range(20)]
    assert arrived + outlet.contents == [b"%d" % number for number in range(20)]
    assert outlet.seqs == sorted(set(outlet.seqs))


def _request(number: int) -> bytes:
    header = b'{"msg_id": "r%d", "msg_type": "execute_request"}' % number
    return pack_message("shell", [header, b"{}", b"{}", b"%d" % number])


def _message(number: int) -> KernelMessage:
    header = b'{"msg_id": "k%d", "msg_type": "stream"}' % number
    return KernelMessage("stream", f"k{number}", "", header, b"{}", b"%d" % number)
