"""Raw channels of a kernel whose node is gone for good: nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from django.db import InterfaceError
from django.utils import timezone

from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel, KernelState, Node
from kernels_app.relay import channels
from kernels_app.relay.channels import ChannelRelay
from kernels_app.relay.kernel_feed import ChannelClient
from kernels_app.selectors.kernels import lost_among
from tests.cast import make_cast
from tests.kernels_app.relay.test_slow_clients import FakeOutlet


async def test_clients_of_a_lost_kernel_are_told_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "REPORT_S", 0.01)
    monkeypatch.setattr(channels, "LOOK_S", 0.02)
    lost: dict[str, str] = {}
    asked: list[Collection[str]] = []

    async def find_lost(kernel_ids: Collection[str]) -> dict[str, str]:
        asked.append(kernel_ids)
        if len(asked) == 1:
            raise InterfaceError  # a connection that was closed
        return lost

    relay = ChannelRelay(MemoryTransport(MemoryStore()), find_lost)
    outlets = {name: FakeOutlet() for name in ("k1", "k2")}
    feeds = {}
    for name, outlet in outlets.items():
        client = ChannelClient(name, outlet, may_return=True)
        client.is_behind = name == "k1"  # it will not get the rest any more
        feeds[name] = relay.join(kernel_id=KernelId(name), node_id=NodeId("n"), fence=1, client=client)
    async with asyncio.timeout(10):
        while len(asked) < 3:
            await asyncio.sleep(0.01)
        assert not outlets["k1"].ended
        lost["k1"] = "Its node is gone."
        while not outlets["k1"].ended:
            await asyncio.sleep(0.01)
    assert feeds["k1"].gone_reason == "Its node is gone."
    assert (outlets["k1"].ended, outlets["k2"].ended) == ([None], [])
    for name, feed in feeds.items():
        relay.leave(feed, feed.clients[name], in_good_order=True)


async def test_a_database_that_does_not_answer_holds_no_report_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "REPORT_S", 0.01)
    monkeypatch.setattr(channels, "LOOK_S", 0.0)
    asked = asyncio.Event()

    async def find_lost(kernel_ids: Collection[str]) -> dict[str, str]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    relay = ChannelRelay(MemoryTransport(MemoryStore()), find_lost)
    outlet = FakeOutlet()
    client = ChannelClient("c", outlet, may_return=True)
    feed = relay.join(kernel_id=KernelId("k"), node_id=NodeId("n"), fence=1, client=client)
    async with asyncio.timeout(10):
        await asked.wait()
        outlet.seq = 7
        while client.reported_seq != 7:
            await asyncio.sleep(0.01)
    relay.leave(feed, client, in_good_order=True)


@pytest.mark.django_db
def test_lost_are_those_that_ended_without_their_node() -> None:
    cast = make_cast()
    nodes = {state: Node.objects.create(pk=state, state=state) for state in ("up", "lost")}

    def kernel(state: KernelState, node: str, *, has_ended: bool) -> str:
        made = Kernel.objects.create(
            project=cast.project,
            user=cast.alice,
            kernelspec_name="python3",
            state=state,
            node=nodes[node],
            reason=f"{state} on {node}",
            ended_at=timezone.now() if has_ended else None,
        )
        return str(made.pk)

    lost = kernel(KernelState.LOST, "lost", has_ended=True)
    stopped = kernel(KernelState.STOPPED, "lost", has_ended=True)
    others = [
        kernel(KernelState.BUSY, "up", has_ended=False),
        kernel(KernelState.BUSY, "lost", has_ended=False),  # its end is still to be recorded
        kernel(KernelState.DIED, "up", has_ended=True),  # its node tells it, after the last message
    ]
    assert lost_among([lost, stopped, *others]) == {lost: "lost on lost", stopped: "stopped on lost"}
