"""Whoever watches gets each operation once and in order: rows, log and topic leave no gap and no overlap.

A browser is played by the same `apply` that its twin in TypeScript is tested against.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from kernels_app.bus.identifiers import (
    CellId,
    DocumentId,
    RunId,
    StreamId,
    make_seq,
    run_log,
    run_log_trimmed,
    run_topic,
)
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import AnyOperation, Started, Stream, decode_batch, encode_batch
from kernels_app.bus.transport import Publication, TransportError
from kernels_app.errors import NotFound, TooSlow
from kernels_app.relay import feeds, watching
from kernels_app.relay.feeds import Relay
from kernels_app.relay.watching import Watcher
from kernels_app.runs.apply import apply, new_cell_state
from kernels_app.selectors.cells import RunsSnapshot

DOCUMENT_ID = UUID(int=7)
KEY = DocumentId(str(DOCUMENT_ID))
CELLS = [CellId("c1"), CellId("c2")]
RUN = RunId("r")
DEADLINE_S = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(watching, "LAST_RETRY_S", 0.005)


class World:
    """The wire, a node that writes, a recorder that falls behind and trims, and the rows."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.generation = 1
        self.number = 0
        self.count = 0
        self.seq = 0
        self.truth: dict[CellId, dict[str, Any]] = {}
        self.rows: dict[CellId, dict[str, Any]] = {}
        self.rows_seq = 0
        self.is_gone = False
        self.write_operation(Started)

    def write_operation(self, kind: type[Started] | type[Stream] = Stream, count: int = 1) -> None:
        """One batch: in the log, then on the topic."""
        operations: list[AnyOperation] = []
        for _ in range(count):
            self.number += 1
            self.count += 1
            cell = CELLS[self.count % 2]
            seq = make_seq(self.generation, self.number)
            if kind is Started or not self.truth.get(cell):
                operations.append(Started(seq=seq, at=1, cell_id=cell, run_id=RUN))
            else:
                text = f"{self.count}\n"
                operations.append(
                    Stream(seq=seq, at=1, cell_id=cell, run_id=RUN, index=0, name="stdout", text=text)
                )
            apply(self.truth, operations[-1])
        payload = encode_batch(operations)
        self.seq = operations[-1].seq
        [entry_id] = self.store.write(
            [Publication(payload, log=run_log(KEY), entry_id=StreamId(f"{self.seq}-0"))]
        )
        assert entry_id is not None
        self.store.write([Publication(payload, topic=run_topic(KEY))])

    def write_unheard(self, count: int = 1) -> None:
        """In the log, but no subscriber hears of it."""
        listeners = self.store._listeners.pop(run_topic(KEY), [])
        self.write_operation(count=count)
        self.store._listeners[run_topic(KEY)] = listeners

    def interrupt(self) -> None:
        self.store.set_down(True)
        self.store.set_down(False)

    def publish_again(self) -> None:
        """A node that was cut off publishes what it cannot know has arrived."""
        entries = self.store.read_log(run_log(KEY), StreamId("0-0"), None)
        for entry in entries[-3:]:
            self.store.write([Publication(entry.payload, topic=run_topic(KEY))])

    def next_writer(self) -> None:
        self.generation += random.Random(self.generation).randrange(1, 3)
        self.number = 0

    def record(self, at_most: int) -> None:
        entries = self.store.read_log(run_log(KEY), StreamId(f"{self.rows_seq}-0"), at_most)
        for entry in entries:
            for operation in decode_batch(entry.payload).ops:
                apply(self.rows, operation)
            self.rows_seq = int(entry.id.partition("-")[0])

    def trim(self, keep: int) -> None:
        entries = [
            entry
            for entry in self.store.read_log(run_log(KEY), StreamId("0-0"), None)
            if int(entry.id.partition("-")[0]) <= self.rows_seq
        ]
        if len(entries) > keep:
            last = entries[-keep - 1].id
            self.store.put_value(run_log_trimmed(KEY), last.partition("-")[0].encode(), None)
            self.store.trim_log(run_log(KEY), last)


class WorldRows:
    def __init__(self, world: World, chance: random.Random | None = None) -> None:
        self.world = world
        self.chance = chance

    async def snapshot(self, document_id: UUID) -> RunsSnapshot | None:
        await self._wait()
        if self.world.is_gone:
            return None
        seq, cells = self.world.rows_seq, copy.deepcopy(self.world.rows)
        await self._wait()
        return RunsSnapshot(seq, None, cells)

    async def log_seq(self, document_id: UUID) -> int | None:
        await self._wait()
        return None if self.world.is_gone else self.world.rows_seq

    async def _wait(self) -> None:
        for _ in range(self.chance.randrange(4) if self.chance is not None else 0):
            await asyncio.sleep(0)


class Browser:
    """Keeps what it got over all its connections, and complains about what comes twice or not at all."""

    def __init__(self, world: World, relay: Relay, chance: random.Random | None = None) -> None:
        self.world = world
        self.relay = relay
        self.chance = chance
        self.seq = 0
        self.cells: dict[CellId, dict[str, Any]] = {}
        self.snapshot_count = 0
        self.resumed_count = 0
        self._parts_to_come = 0
        self._connection: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.done()

    def connect(self) -> None:
        self._connection = asyncio.create_task(self._live())

    async def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.cancel()
            await asyncio.gather(self._connection, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            try:
                feed, listener = await self.relay.attach(DOCUMENT_ID)
                break
            except TransportError:
                await asyncio.sleep(0.001)
        try:
            watcher = Watcher(self.relay.transport, feed, listener, WorldRows(self.world, self.chance))
            async for frame in watcher.frames(self.seq):
                self.take(frame)
                if self.chance is not None and self.chance.randrange(4) == 0:
                    await asyncio.sleep(self.chance.random() * 0.004)
        finally:
            await self.relay.detach(feed, listener)

    def take(self, frame: bytes) -> None:
        message = msgspec.json.decode(frame)
        match message["type"]:
            case "snapshot":
                self.snapshot_count += 1
                self.seq = message["seq"]
                self.cells = {
                    cell_id: {**new_cell_state(), **state} for cell_id, state in message["cells"].items()
                }
                self._parts_to_come = message["parts"]
            case "snapshot_part":
                self._parts_to_come -= 1
                for cell_id, outputs in message["outputs"].items():
                    self.cells[cell_id]["outputs"] += outputs
            case "resumed":
                self.resumed_count += 1
                assert message["seq"] == self.seq
            case "ops":
                assert self._parts_to_come == 0
                for operation in decode_batch(frame).ops:
                    assert operation.seq > self.seq, "twice, or out of order"
                    apply(self.cells, operation)
                    self.seq = operation.seq
            case other:
                raise AssertionError(other)

    async def hears(self) -> None:
        """Connected, caught up, and given the last operation live."""
        self.connect()
        await self.caught_up()
        self.world.write_operation()
        await self.caught_up()

    async def caught_up(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.seq < self.world.seq:
                assert self._connection is not None
                if self._connection.done():
                    self._connection.result()
                await asyncio.sleep(0.001)
        assert self.cells == self.world.truth


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def relay(world: World) -> AsyncIterator[Relay]:
    transport = MemoryTransport(world.store)
    yield Relay(transport)
    await transport.close()


@pytest.fixture
async def browser(world: World, relay: Relay) -> AsyncIterator[Browser]:
    browser = Browser(world, relay)
    yield browser
    await browser.disconnect()


async def test_a_document_that_is_gone_ends_the_frames(world: World, relay: Relay) -> None:
    world.is_gone = True
    feed, listener = await relay.attach(DOCUMENT_ID)
    with pytest.raises(NotFound):
        await anext(Watcher(relay.transport, feed, listener, WorldRows(world)).frames(0))
    with pytest.raises(NotFound):
        await anext(Watcher(relay.transport, feed, listener, WorldRows(world)).frames(5))


async def test_what_the_rows_do_not_have_yet_comes_from_the_log(world: World, browser: Browser) -> None:
    for _ in range(5):
        world.write_operation()
    world.record(3)
    browser.connect()
    await browser.caught_up()
    assert browser.snapshot_count == 1


async def test_resume_brings_what_was_missed_and_no_snapshot(world: World, browser: Browser) -> None:
    browser.connect()
    await browser.caught_up()
    await browser.disconnect()
    for _ in range(700):
        world.write_operation()
    world.record(1_000)
    browser.connect()
    await browser.caught_up()
    assert (browser.snapshot_count, browser.resumed_count) == (1, 1)


async def test_who_was_away_past_the_trim_gets_a_snapshot(world: World, browser: Browser) -> None:
    browser.connect()
    await browser.caught_up()
    await browser.disconnect()
    for _ in range(50):
        world.write_operation()
    world.record(100)
    world.trim(keep=5)
    browser.connect()
    await browser.caught_up()
    assert (browser.snapshot_count, browser.resumed_count) == (2, 0)


async def test_a_number_from_another_life_gets_a_snapshot(world: World, browser: Browser) -> None:
    browser.seq = world.seq + 1_000
    browser.connect()
    async with asyncio.timeout(DEADLINE_S):
        while browser.snapshot_count == 0:
            await asyncio.sleep(0)
    await browser.caught_up()


async def test_a_log_that_the_message_server_lost_is_made_up_for_by_a_snapshot(
    world: World, browser: Browser
) -> None:
    browser.connect()
    await browser.caught_up()
    await browser.disconnect()
    world.write_operation()
    world.record(10)
    world.store.delete_log(run_log(KEY))
    browser.connect()
    await browser.caught_up()
    assert browser.snapshot_count == 2


async def test_an_interruption_is_made_up_for_from_the_log(world: World, browser: Browser) -> None:
    await browser.hears()
    world.write_unheard(3)
    world.interrupt()
    await browser.caught_up()
    assert browser.snapshot_count == 1


async def test_a_gap_on_the_topic_is_filled_from_the_log(world: World, browser: Browser) -> None:
    await browser.hears()
    world.write_unheard()
    world.write_operation()
    await browser.caught_up()


async def test_the_last_word_of_one_writer_is_not_lost_when_the_next_begins(
    world: World, browser: Browser
) -> None:
    await browser.hears()
    world.write_unheard()
    world.next_writer()
    world.write_operation()
    await browser.caught_up()


async def test_sockets_at_one_document_share_one_subscription(world: World, relay: Relay) -> None:
    browsers = [Browser(world, relay) for _ in range(5)]
    for browser in browsers:
        browser.connect()
    for browser in browsers:
        await browser.caught_up()
    assert relay.feed_count == 1
    assert len(world.store._listeners[run_topic(KEY)]) == 1
    for browser in browsers:
        await browser.disconnect()
    assert relay.feed_count == 0
    assert run_topic(KEY) not in world.store._listeners


async def test_comm_frames_pass_beside_the_log(world: World, relay: Relay) -> None:
    feed, listener = await relay.attach(DOCUMENT_ID)
    frames = Watcher(relay.transport, feed, listener, WorldRows(world)).frames(0)
    assert msgspec.json.decode(await anext(frames))["type"] == "snapshot"
    assert msgspec.json.decode(await anext(frames))["type"] == "ops"
    comm = b'{"type":"comm","message_type":"comm_msg","content":{}}'
    world.store.write([Publication(comm, topic=run_topic(KEY))])
    assert await anext(frames) == comm
    await frames.aclose()


async def test_comm_frames_that_nobody_takes_end_the_socket(
    world: World, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MAX_COMM_BYTES", 100)
    feed, listener = await relay.attach(DOCUMENT_ID)
    frames = Watcher(relay.transport, feed, listener, WorldRows(world)).frames(0)
    await anext(frames)
    for _ in range(5):
        feed.hear(b'{"type":"comm","content":{"much":"much"}}')

    async def take_all() -> None:
        async for _ in frames:
            pass

    with pytest.raises(TooSlow):
        await take_all()


@pytest.mark.parametrize("seed", range(40))
async def test_in_any_order_of_events_everybody_gets_everything_once(
    world: World, relay: Relay, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    browsers = [Browser(world, relay, random.Random(seed * 10 + number)) for number in range(3)]
    try:
        for _ in range(150):
            match chance.randrange(20):
                case 0:
                    await chance.choice(browsers).disconnect()
                case 1 | 2 | 3:
                    browser = chance.choice(browsers)
                    await browser.disconnect()
                    browser.connect()
                case 4:
                    world.store.set_down(True)
                    await asyncio.sleep(chance.random() * 0.003)
                    world.store.set_down(False)
                case 14:
                    world.write_unheard(chance.randrange(1, 4))
                    if chance.randrange(2):
                        world.interrupt()
                case 5 | 6 | 7:
                    world.record(chance.randrange(1, 30))
                case 8:
                    world.trim(keep=chance.randrange(6))
                case 9:
                    world.next_writer()
                case 10:
                    world.publish_again()
                case 11:
                    await asyncio.sleep(chance.random() * 0.003)
                case 12 | 13:
                    await asyncio.sleep(0)
                case _:
                    world.write_operation(count=chance.randrange(1, 4))
        world.interrupt()  # what was written last may be unheard
        for browser in browsers:
            if not browser.is_connected:
                browser.connect()
        for browser in browsers:
            await browser.caught_up()
    finally:
        for browser in browsers:
            await browser.disconnect()
