"""A document that is written to and watched: the wire, a node, a recorder, and browsers.

A browser is played by the same `apply` that its twin in TypeScript is tested against.
"""

from __future__ import annotations

import asyncio
import copy
import random
from typing import Any
from uuid import UUID

import msgspec

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
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import AnyOperation, Started, Stream, decode_batch, encode_batch
from kernels_app.bus.transport import Publication, TransportError
from kernels_app.relay.feeds import Relay
from kernels_app.relay.watching import Watcher
from kernels_app.runs.apply import apply, new_cell_state
from kernels_app.selectors.cells import RunsSnapshot

DOCUMENT_ID = UUID(int=7)


KEY = DocumentId(str(DOCUMENT_ID))


CELLS = [CellId("c1"), CellId("c2")]


RUN = RunId("r")


DEADLINE_S = 20.0


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
