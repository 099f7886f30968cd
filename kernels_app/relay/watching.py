"""What one socket at a document gets: everything in its output log, in order, once, wherever it comes from.

There are three sources: the rows (a snapshot as of some `seq`), the log (what was written after it, until trimmed),
and the batches that go by on the topic. The socket has one number, the last `seq` it was given, and each step asks
who can tell what comes after it. So nothing is kept for a slow reader: it takes the next step later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
import structlog

from kernels_app.bus.identifiers import (
    CellId,
    DocumentId,
    StreamId,
    run_log,
    run_log_trimmed,
    run_rows_replaced,
)
from kernels_app.bus.transport import Transport, TransportError
from kernels_app.errors import NotFound, TooSlow
from kernels_app.relay.feeds import DocumentFeed, Listener
from kernels_app.relay.snapshot_frames import snapshot_frames

log = structlog.get_logger(__name__)

READ_COUNT = 200
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 3.0

T = TypeVar("T")


class Snapshot(Protocol):
    @property
    def seq(self) -> int: ...
    @property
    def kernel(self) -> dict[str, Any] | None: ...
    @property
    def cells(self) -> dict[CellId, dict[str, Any]]: ...


class Rows(Protocol):
    """What the database knows of the document."""

    async def snapshot(self, document_id: UUID) -> Snapshot | None:
        """None when the document is gone."""
        ...

    async def log_seq(self, document_id: UUID) -> int | None: ...


class Watcher:
    """The frames of one socket, from a subscription that is in place already."""

    def __init__(
        self,
        transport: Transport,
        feed: DocumentFeed,
        listener: Listener,
        rows: Rows,
        *,
        passing_errors: tuple[type[Exception], ...] = (TransportError,),
    ) -> None:
        self._transport = transport
        self._feed = feed
        self._listener = listener
        self._rows = rows
        self._passing_errors = passing_errors
        self._key = DocumentId(str(feed.document_id))

    async def frames(self, resume_seq: int) -> AsyncGenerator[bytes, None]:
        """Frames to send, for ever: `resumed` or `snapshot` first, then operations after it.

        Raises:
            NotFound: the document is gone.
            TooSlow: more comm messages wait for the socket than are kept.
        """
        seq = resume_seq
        if resume_seq > 0 and await self._patiently(lambda: self._can_resume(resume_seq)):
            yield msgspec.json.encode({"type": "resumed", "seq": resume_seq})
        else:
            seq, frames = await self._patiently(self._snapshot)
            for frame in frames:
                yield frame
        while True:
            self._listener.woken.clear()
            if self._listener.is_overrun:
                raise TooSlow
            for frame in self._listener.take():
                yield frame
            if self._listener.was_interrupted:
                self._listener.was_interrupted = False
                self._listener.needs_snapshot |= await self._patiently(self._has_replaced_rows)
            if self._listener.needs_snapshot:
                self._listener.needs_snapshot = False
                seq, frames = await self._patiently(self._snapshot)
                for frame in frames:
                    yield frame
            recent = self._feed.recent.after(seq)
            if recent is None:
                step = await self._patiently(lambda after=seq: self._read_log(after))  # type: ignore[misc]
                if step is None:  # trimmed under us
                    seq, frames = await self._patiently(self._snapshot)
                    for frame in frames:
                        yield frame
                    continue
                recent = step
            for last, payload in recent:
                yield payload
                seq = last
            if not recent:
                await self._listener.woken.wait()

    async def _can_resume(self, seq: int) -> bool:
        """Whether the log has everything after `seq`."""
        log_seq = await self._rows.log_seq(self._feed.document_id)
        if log_seq is None:
            raise NotFound
        last_id = await self._transport.last_id(run_log(self._key))
        log_end = 0 if last_id is None else int(last_id.partition("-")[0])
        if seq > max(log_seq, log_end):
            return False  # a number from another life (the database was put back): start afresh
        if seq < log_seq and log_end < log_seq:
            return False  # the message server lost the log
        if await self._has_replaced_rows():
            return False  # what it has may not be what the rows have
        return await self._trimmed() <= seq

    async def _has_replaced_rows(self) -> bool:
        return await self._transport.get_value(run_rows_replaced(self._key)) is not None

    async def _snapshot(self) -> tuple[int, list[bytes]]:
        while True:
            snapshot = await self._rows.snapshot(self._feed.document_id)
            if snapshot is None:
                raise NotFound
            if (
                await self._trimmed() <= snapshot.seq
            ):  # else it is older than the log's beginning: a race, once
                return snapshot.seq, snapshot_frames(snapshot.seq, snapshot.kernel, snapshot.cells)

    async def _read_log(self, seq: int) -> list[tuple[int, bytes]] | None:
        """The next batches after `seq`; None when some of them are trimmed."""
        entries = await self._transport.read_log(
            run_log(self._key), after=StreamId(f"{seq}-0"), count=READ_COUNT
        )
        # The mark is set before the log is trimmed, so it is looked at after the log was read.
        if await self._trimmed() > seq:
            return None
        return [(int(entry.id.partition("-")[0]), entry.payload) for entry in entries]

    async def _trimmed(self) -> int:
        value = await self._transport.get_value(run_log_trimmed(self._key))
        return 0 if value is None else int(value)

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """The step's result, tried again while the wire or the database is away."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                return await step()
            except self._passing_errors as error:
                log.info("watcher_waits", document_id=self._key, error=str(error))
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
