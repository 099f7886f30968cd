"""Brings the rows of documents up to date with their output logs, and trims the logs after it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec
import structlog

from kernels_app.bus.identifiers import DocumentId, StreamId, blob_key, run_log, run_log_trimmed
from kernels_app.bus.operations import AnyOperation, blobs_of, decode_batch
from kernels_app.bus.transport import Entry, Transport
from kernels_app.recorder.failures import UNFIT_VALUE
from kernels_app.recorder.retention import LogRetention
from kernels_app.recorder.rows import (
    AppliedRows,
    apply_fitting_operations,
    apply_operations,
    keep_blob,
    log_seq_of,
)
from kernels_app.recorder.threads import WorkThread

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE = 200  # of 50 ms each: ten seconds of a printing cell in one transaction
_KNOWN_BLOBS = 4_096
# So long a stored blob is taken as stored. Unused ones are deleted after a day at the earliest.
_KNOWN_FOR_S = 3_600.0
_KNOWN_DOCUMENTS = 1_024


class OutputLogs:
    """The recorder's hands on the output logs. One call at a time a document."""

    def __init__(
        self, transport: Transport, rows: WorkThread, *, applied: Callable[[UUID, AppliedRows], None]
    ) -> None:
        self._transport = transport
        self._rows = rows
        self._applied = applied
        self._retention = LogRetention()
        # Since when, by the monotonic clock.
        self._kept_blobs: OrderedDict[tuple[UUID, str], float] = OrderedDict()
        # How far the rows of documents were, which never go back: what others added since is read again, and ignored.
        self._seqs: OrderedDict[UUID, int] = OrderedDict()

    async def catch_up(self, document_id: UUID) -> None:
        """The document's rows hold everything that was in its log when this was called.

        Raises:
            TransportError, django.db.Error, HubError (the disk is full): try again, nothing is lost.
        """
        known_seq = self._seqs.get(document_id)
        log_seq = await self._rows.run(log_seq_of, document_id) if known_seq is None else known_seq
        if log_seq is None:
            await self._forget(document_id)
            return
        key = run_log(DocumentId(str(document_id)))
        if not self._retention.knows(document_id):
            await self._learn(document_id, key, log_seq)
        while True:
            entries = await self._transport.read_log(
                key, after=StreamId(f"{log_seq}-0"), count=ENTRIES_AT_ONCE
            )
            if not entries:
                if log_seq == known_seq and await self._rows.run(log_seq_of, document_id) is None:
                    await self._forget(document_id)
                    return
                break
            operations = _operations(document_id, entries)
            await self._keep_blobs(document_id, operations)
            applied = await self._apply(document_id, operations, up_to=_seq(entries[-1]))
            if applied is None:
                await self._forget(document_id)
                return
            log_seq = applied.log_seq
            self._remember(document_id, log_seq)
            self._retention.add(document_id, [_seq(entry) for entry in entries], time.monotonic())
            self._applied(document_id, applied)
            if len(entries) < ENTRIES_AT_ONCE:
                break
        await self._trim(document_id)

    async def trim_all(self) -> None:
        """Trims the logs of documents that have become silent."""
        for document_id in self._retention.documents():
            await self._trim(document_id)

    async def is_ahead(self, document_id: UUID, log_seq: int) -> bool:
        """Whether the log has more than the rows, which hold it up to `log_seq`."""
        last_id = await self._transport.last_id(run_log(DocumentId(str(document_id))))
        return last_id is not None and _seq_of_id(last_id) > log_seq

    async def _apply(
        self, document_id: UUID, operations: Sequence[AnyOperation], *, up_to: int
    ) -> AppliedRows | None:
        try:
            return await self._rows.run(apply_operations, document_id, operations, up_to=up_to)
        except UNFIT_VALUE as error:
            log.warning("log_holds_unfit_value", document_id=str(document_id), error=str(error))
            return await self._rows.run(apply_fitting_operations, document_id, operations, up_to=up_to)

    async def has_entries(self, document_id: UUID) -> bool:
        """Whether there is anything in the log, new or not."""
        return bool(await self._transport.read_log(run_log(DocumentId(str(document_id))), count=1))

    async def _learn(self, document_id: UUID, key: str, log_seq: int) -> None:
        """What an earlier recorder left of the log counts as written now: it is kept a little longer."""
        after = StreamId("0-0")
        self._retention.add(document_id, [], time.monotonic())
        while True:
            entries = await self._transport.read_log(key, after=after, count=ENTRIES_AT_ONCE)
            seqs = [_seq(entry) for entry in entries if _seq(entry) <= log_seq]
            self._retention.add(document_id, seqs, time.monotonic())
            if len(seqs) < ENTRIES_AT_ONCE:
                return
            after = entries[-1].id

    async def _keep_blobs(self, document_id: UUID, operations: Sequence[AnyOperation]) -> None:
        for sha256, blob in blobs_of(operations).items():
            kept_s = self._kept_blobs.get((document_id, sha256))
            if kept_s is not None and time.monotonic() - kept_s < _KNOWN_FOR_S:
                continue
            data = await self._transport.get_value(blob_key(sha256))
            kept = await self._rows.run(keep_blob, document_id, blob, data)
            if kept:
                self._kept_blobs[document_id, sha256] = time.monotonic()
                self._kept_blobs.move_to_end((document_id, sha256))
                while len(self._kept_blobs) > _KNOWN_BLOBS:
                    self._kept_blobs.popitem(last=False)
                if data is not None:
                    # It is in the store now: who needs it next finds it there.
                    await self._transport.delete_value(blob_key(sha256))

    def _remember(self, document_id: UUID, log_seq: int) -> None:
        self._seqs[document_id] = log_seq
        self._seqs.move_to_end(document_id)
        while len(self._seqs) > _KNOWN_DOCUMENTS:
            self._seqs.popitem(last=False)

    async def _trim(self, document_id: UUID) -> None:
        seq = self._retention.trimmable(document_id, time.monotonic())
        if seq is None:
            return
        key = DocumentId(str(document_id))
        # First the mark, then the deed: a reader who misses entries finds the mark.
        await self._transport.put_value(run_log_trimmed(key), str(seq).encode())
        await self._transport.trim_log(run_log(key), up_to=StreamId(f"{seq}-0"))
        self._retention.trimmed(document_id, seq)

    async def _forget(self, document_id: UUID) -> None:
        key = DocumentId(str(document_id))
        self._retention.forget(document_id)
        self._seqs.pop(document_id, None)
        await self._transport.delete_log(run_log(key))
        await self._transport.delete_value(run_log_trimmed(key))


def _operations(document_id: UUID, entries: Sequence[Entry]) -> list[AnyOperation]:
    operations: list[AnyOperation] = []
    for entry in entries:
        try:
            operations += decode_batch(entry.payload).ops
        except (msgspec.ValidationError, msgspec.DecodeError):
            log.exception("batch_unreadable", document_id=str(document_id), entry_id=entry.id)
    return operations


def _seq(entry: Entry) -> int:
    return _seq_of_id(entry.id)


def _seq_of_id(entry_id: StreamId) -> int:
    return int(entry_id.partition("-")[0])
