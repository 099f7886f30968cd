from __future__ import annotations

import asyncio

import msgspec
import pytest

from kernels_app.bus.envelopes import NodeInfo, NodeKernels
from kernels_app.bus.identifiers import NODES_KEY, KernelId, NodeId, node_lease
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.node import registration
from kernels_app.node.registration import LeaseHeld, LeaseLost, Registration

NODE = NodeId("n1")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "LEASE_S", 0.2)
    monkeypatch.setattr(registration, "RENEW_S", 0.05)
    monkeypatch.setattr(registration, "RETRY_S", 0.02)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def registered(store: MemoryStore, holder: str) -> Registration:
    def info(fence: int) -> NodeInfo:
        return NodeInfo(
            node_id=NODE, fence=fence, provisioner="process", kernelspecs=[], memory_bytes=1, cpu_count=1
        )

    def kernels(fence: int) -> NodeKernels:
        return NodeKernels(fence=fence, kernel_ids=[KernelId("k")])

    return Registration(MemoryTransport(store), NODE, holder, info=info, kernels=kernels)


async def test_a_second_node_of_the_same_name_is_refused_while_the_first_lives(store: MemoryStore) -> None:
    first = registered(store, "one")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    with pytest.raises(LeaseHeld, match="another NODE_ID"):
        await registered(store, "two").acquire()
    keeping.cancel()


async def test_a_node_takes_over_when_the_lease_of_a_killed_one_ran_out(store: MemoryStore) -> None:
    fence = await registered(store, "one").acquire()
    async with asyncio.timeout(5):
        assert await registered(store, "two").acquire() > fence


async def test_the_same_parent_takes_over_at_once_and_the_older_node_learns_of_it(store: MemoryStore) -> None:
    older = registered(store, "parent")
    await older.acquire()
    keeping = asyncio.create_task(older.keep())
    younger = registered(store, "parent")
    assert await younger.acquire() > older.fence
    with pytest.raises(LeaseLost):
        await keeping


async def test_a_long_outage_of_the_wire_costs_no_lease(store: MemoryStore) -> None:
    node = registered(store, "one")
    fence = await node.acquire()
    store.set_down(True)
    keeping = asyncio.create_task(node.keep())
    await asyncio.sleep(0.3)  # longer than the lease
    assert not keeping.done()
    store.set_down(False)
    async with asyncio.timeout(5):
        while NODE not in store.get_fields(NODES_KEY):
            await asyncio.sleep(0.01)
    assert store.acquire_lease(node_lease(NODE), "reaper", 1) is None
    assert not keeping.done()
    assert msgspec.json.decode(store.get_fields(NODES_KEY)[NODE])["fence"] == fence
    keeping.cancel()


async def test_a_node_given_up_by_the_hub_learns_of_it(store: MemoryStore) -> None:
    node = registered(store, "one")
    await node.acquire()
    await asyncio.sleep(0.25)
    assert store.acquire_lease(node_lease(NODE), "reaper", 0.01) is not None
    with pytest.raises(LeaseLost):
        await node.keep()


async def test_a_released_node_is_gone_from_the_list(store: MemoryStore) -> None:
    node = registered(store, "one")
    await node.acquire()
    await node.publish()
    await node.release()
    assert store.get_fields(NODES_KEY) == {}
    assert store.acquire_lease(node_lease(NODE), "two", 1) is not None
