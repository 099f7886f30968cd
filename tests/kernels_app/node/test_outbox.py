from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from kernels_app.bus.envelopes import KernelAnswer, KernelEvent, decode_event, decode_mail
from kernels_app.bus.identifiers import EVENTS_STREAM, KernelId, Mailbox, NodeId, StreamId, mailbox_stream
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import KernelStateName
from kernels_app.node import outbox as outbox_module
from kernels_app.node.outbox import Outbox

MAILBOX = Mailbox("web-1")


class Clock:
    now_ms = 1000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def outbox(store: MemoryStore, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outbox]:
    monkeypatch.setattr(outbox_module, "FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(outbox_module, "LAST_RETRY_S", 0.005)
    made = Outbox(MemoryTransport(store), clock)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def event(state: KernelStateName) -> KernelEvent:
    return KernelEvent(node_id=NodeId("n"), fence=1, at=1, kernel_id=KernelId("k"), state=state)


def states(store: MemoryStore) -> list[str]:
    entries = store.read_log(EVENTS_STREAM, StreamId("0-0"), None)
    return [found.state for entry in entries if isinstance(found := decode_event(entry.payload), KernelEvent)]


def answers(store: MemoryStore) -> list[str]:
    entries = store.read_log(mailbox_stream(MAILBOX), StreamId("0-0"), None)
    return [
        found.request_id for entry in entries if isinstance(found := decode_mail(entry.payload), KernelAnswer)
    ]


async def flushed(outbox: Outbox) -> None:
    async with asyncio.timeout(10):
        await outbox.flush()


async def test_events_are_written_in_order(outbox: Outbox, store: MemoryStore) -> None:
    for state in ("starting", "idle", "died"):
        outbox.event(event(state))
    await flushed(outbox)
    assert states(store) == ["starting", "idle", "died"]


async def test_events_wait_for_the_wire_however_long_but_mail_does_not(
    outbox: Outbox, store: MemoryStore, clock: Clock
) -> None:
    store.set_down(True)
    outbox.event(event("died"))
    outbox.mail(MAILBOX, KernelAnswer(request_id="old"))
    await asyncio.sleep(0.03)
    clock.now_ms += outbox_module.MAIL_LIFE_MS + 1
    outbox.mail(MAILBOX, KernelAnswer(request_id="fresh"))
    store.set_down(False)
    await flushed(outbox)
    assert states(store) == ["died"]
    assert answers(store) == ["fresh"]


async def test_mail_past_its_bound_drops_the_oldest(
    outbox: Outbox, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_MAIL_BYTES", 2500)
    store.set_down(True)
    for number in range(5):
        outbox.mail(MAILBOX, KernelAnswer(request_id=str(number), content=b"x" * 1000))
    store.set_down(False)
    await flushed(outbox)
    assert answers(store) == ["3", "4"]


async def test_comm_frames_reach_the_topic(outbox: Outbox, store: MemoryStore) -> None:
    heard: list[bytes | None] = []
    await MemoryTransport(store).subscribe("runs:d", heard.append)
    outbox.publish("runs:d", b"frame")
    condition: Callable[[], bool] = lambda: heard == [b"frame"]  # noqa: E731
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
