"""Writes the output log of one document: numbers, batches, blobs first, and again what an outage took."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from kernels_app.bus.envelopes import RunNote, encode
from kernels_app.bus.identifiers import (
    RUNS_STREAM,
    DocumentId,
    StreamId,
    blob_key,
    make_seq,
    run_log,
    run_topic,
    split_seq,
)
from kernels_app.bus.operations import AnyOperation, encode_batch
from kernels_app.bus.transport import Publication, Transport, TransportError
from kernels_app.node.folding import Folding
from kernels_app.node.folding_runs import FoldingLimits

logger = logging.getLogger(__name__)

# Waited for the rest of a burst: a short cell's operations become one batch.
WINDOW_MS = 2
# Larger lists of operations are cut: one socket message should not hold up the next.
BATCH_BYTES = 512 * 1024
BLOB_TTL_S = 86_400.0
# What was written this long ago may still be missing after an outage (AOF is synced each second).
KEPT_MS = 10_000
KEPT_BYTES = 16 * 1024 * 1024
# Messages taken from a kernel and not written yet: above the first the kernel is paused, below the
# second it goes on. Nothing is ever left out.
PAUSE_BYTES = 64 * 1024 * 1024
RESUME_BYTES = 16 * 1024 * 1024
FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0


class _Written(msgspec.Struct, frozen=True):
    at_ms: int
    last_seq: int
    payload: bytes
    blobs: list[tuple[str, bytes]]

    @property
    def size_bytes(self) -> int:
        return len(self.payload) + sum(len(data) for _, data in self.blobs)


class OutputLog:
    """One writer of one generation. Feed `folding`, then call `changed`; `run` writes.

    `on_pressure(True)` is called when too much waits to be written, `on_pressure(False)` when it is
    written; `on_superseded` when a later generation writes the log.
    """

    def __init__(
        self,
        transport: Transport,
        document_id: DocumentId,
        generation: int,
        *,
        clock_ms: Callable[[], int],
        limits: FoldingLimits | None = None,
        on_pressure: Callable[[bool], None] = lambda is_high: None,
        on_superseded: Callable[[], None] = lambda: None,
    ) -> None:
        self.document_id = document_id
        self.folding = Folding(self._next_seq, limits)
        self._transport = transport
        self._generation = generation
        self._clock_ms = clock_ms
        self._on_pressure = on_pressure
        self._on_superseded = on_superseded
        self._number = 0
        self._wake = asyncio.Event()
        self._wakes_at_ms: int | None = None
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_flushing = False
        self._is_superseded = False
        self._must_check = False
        self._is_high = False
        self._fed_bytes = 0
        self._written_bytes = 0
        self._kept: deque[_Written] = deque()
        self._kept_bytes = 0

    async def resume(self) -> bool:
        """Before `run`, in place of an earlier writer of this generation: go on behind its last number. False when
        a later generation writes the log."""
        while True:
            try:
                generation, number = split_seq(await self._last_seq())
            except TransportError:
                await asyncio.sleep(LAST_RETRY_S)
                continue
            if generation == self._generation:
                self._number = number
            return generation <= self._generation

    def changed(self, fed_bytes: int = 0) -> None:
        """The folding got something (of this size, as it came from the kernel)."""
        self._fed_bytes += fed_bytes
        if not self._is_high and self._fed_bytes - self._written_bytes > PAUSE_BYTES:
            self._is_high = True
            self._on_pressure(True)
        if self._wakes_at_ms == 0:
            return  # it is writing, and looks itself after that
        due_ms = self.folding.due_ms
        if due_ms is not None and (self._wakes_at_ms is None or due_ms < self._wakes_at_ms):
            self._is_idle.clear()
            self._wake.set()

    def check(self) -> None:
        """The wire was interrupted: compare the log with what was written lately."""
        self._must_check = True
        self._is_idle.clear()
        self._wake.set()

    async def flush(self) -> None:
        """Returns when everything fed so far is written. Give it a deadline: the wire may be away."""
        self._is_flushing = True
        self._is_idle.clear()
        self._wake.set()
        try:
            await self._is_idle.wait()
        finally:
            self._is_flushing = False

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            self._wake.clear()
            if self._must_check:
                await self._write([], [])
            now_ms = self._clock_ms()
            due_ms = now_ms if self._is_flushing else self.folding.due_ms
            if due_ms is None:
                self._is_idle.set()
                self._wakes_at_ms = None
                await self._wake.wait()
                continue
            delay_ms = due_ms - now_ms + (0 if self._is_flushing else WINDOW_MS)
            if delay_ms > 0:
                self._wakes_at_ms = due_ms
                try:
                    async with asyncio.timeout(delay_ms / 1000):
                        await self._wake.wait()
                    continue
                except TimeoutError:
                    pass
            self._wakes_at_ms = 0  # nobody needs to wake us while we write
            fed_bytes = self._fed_bytes
            folded = self.folding.take(self._clock_ms(), force=self._is_flushing)
            if folded.operations:
                await self._write(_batches(folded.operations), folded.blobs)
            elif self._is_flushing:
                self._is_flushing = False
            self._written_bytes = fed_bytes
            if self._is_high and self._fed_bytes - self._written_bytes < RESUME_BYTES:
                self._is_high = False
                self._on_pressure(False)

    def _next_seq(self) -> int:
        self._number += 1
        return make_seq(self._generation, self._number)

    async def _write(self, batches: list[tuple[int, bytes]], blobs: list[tuple[str, bytes]]) -> None:
        """Returns when the log has the batches; tries for as long as the wire is away."""
        retry_s = FIRST_RETRY_S
        while not self._is_superseded:
            try:
                if self._must_check:
                    await self._write_again()
                    self._must_check = False
                await self._put(batches, blobs)
                break
            except TransportError as error:
                if not self._must_check:
                    logger.warning("The output log of %s waits for the wire: %s", self.document_id, error)
                self._must_check = True
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
        now_ms = self._clock_ms()
        for index, (last_seq, payload) in enumerate(batches):
            self._keep(_Written(now_ms, last_seq, payload, blobs if index == 0 else []))

    async def _put(self, batches: list[tuple[int, bytes]], blobs: list[tuple[str, bytes]]) -> None:
        if not batches:
            return
        await self._put_blobs(blobs)
        publications = [
            Publication(
                payload,
                log=run_log(self.document_id),
                entry_id=StreamId(f"{last_seq}-0"),
                topic=run_topic(self.document_id),
            )
            for last_seq, payload in batches
        ]
        note = RunNote(document_id=self.document_id, seq=batches[-1][0])
        publications.append(Publication(encode(note), log=RUNS_STREAM))
        ids = await self._transport.write(publications)
        if None in ids[:-1]:
            await self._check_superseded()

    async def _put_blobs(self, blobs: list[tuple[str, bytes]]) -> None:
        try:
            async with asyncio.TaskGroup() as writes:
                for sha256, data in blobs:
                    writes.create_task(self._transport.put_value(blob_key(sha256), data, ttl_s=BLOB_TTL_S))
        except ExceptionGroup as errors:
            passing, others = errors.split(TransportError)
            if others is not None or passing is None:
                raise
            raise TransportError(f"Payloads are not written: {passing.exceptions[0]}") from errors

    async def _write_again(self) -> None:
        """What the log lacks of the last batches, in order."""
        last_seq = await self._last_seq()
        missing = [item for item in self._kept if item.last_seq > last_seq]
        if missing:
            logger.warning("Writing %d batches of %s again.", len(missing), self.document_id)
            await self._put(
                [(item.last_seq, item.payload) for item in missing],
                [blob for item in missing for blob in item.blobs],
            )

    async def _check_superseded(self) -> None:
        generation, _ = split_seq(await self._last_seq())
        if generation > self._generation and not self._is_superseded:
            self._is_superseded = True
            logger.warning("Generation %d of %s was superseded.", self._generation, self.document_id)
            self._on_superseded()

    async def _last_seq(self) -> int:
        last_id = await self._transport.last_id(run_log(self.document_id))
        return 0 if last_id is None else int(last_id.partition("-")[0])

    def _keep(self, item: _Written) -> None:
        self._kept.append(item)
        self._kept_bytes += item.size_bytes
        oldest_ms = item.at_ms - KEPT_MS
        while self._kept and (self._kept[0].at_ms < oldest_ms or self._kept_bytes > KEPT_BYTES):
            self._kept_bytes -= self._kept.popleft().size_bytes


def _batches(operations: list[AnyOperation]) -> list[tuple[int, bytes]]:
    """`(last seq, JSON)` of each batch; cut in halves until small enough."""
    payload = encode_batch(operations)
    if len(payload) <= BATCH_BYTES or len(operations) == 1:
        return [(operations[-1].seq, payload)]
    middle = len(operations) // 2
    return _batches(operations[:middle]) + _batches(operations[middle:])
