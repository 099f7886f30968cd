"""The recorder: one event loop that turns what is on the wire into rows and files.

Three loops beside each other, each with a thread of its own for the database: output logs and kernel events; updates of
live documents; exports. An entry of a stream is acknowledged when what it tells of is committed, so a recorder that is
killed anywhere does again what it had not finished, and doing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal
from uuid import UUID

import msgspec
import structlog
from django.db import Error as DatabaseError

from kernels_app.bus.envelopes import (
    KernelEvent,
    KernelsMeasured,
    NodeStarted,
    NodeStopped,
    ProjectsMeasured,
    StopRefused,
    decode_document_note,
    decode_event,
    decode_note,
)
from kernels_app.bus.identifiers import DOCUMENTS_STREAM, EVENTS_STREAM, RECORDER_GROUP, RUNS_STREAM
from kernels_app.bus.transport import GroupEntry, Transport, TransportError
from kernels_app.errors import HubError
from kernels_app.recorder import backlog
from kernels_app.recorder.export_schedule import ExportSchedule
from kernels_app.recorder.failures import passes_by_itself
from kernels_app.recorder.figures import record_figures
from kernels_app.recorder.output_logs import OutputLogs
from kernels_app.recorder.rows import AppliedRows
from kernels_app.recorder.threads import WorkThread
from kernels_app.services.endings import (
    record_edit,
    record_kernel_event,
    record_node_started,
    record_node_stopped,
    record_stop_refused,
)
from kernels_app.services.storage_limits import record_project_figures
from notebooks_app.models import Document
from notebooks_app.services.documents_file import export_document
from notebooks_app.sync.compaction import compact

log = structlog.get_logger(__name__)

READ_COUNT = 1_000
READ_WAIT_MS = 5_000
# At most four commits a second for a document, and none waits longer than this.
ROUND_S = 0.25
# ... but a round that took long (huge outputs) is followed by a longer pause: a quarter of a core at most.
PAUSE_FACTOR = 3.0
LONGEST_PAUSE_S = 2.0
# Browsers wait for "saved to disk", not for each keystroke.
DOCUMENTS_ROUND_S = 1.0
LOOK_BACK_EVERY_S = 60.0
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0

_PASSING = (TransportError, DatabaseError, HubError, OSError)


class Recorder:
    """The recorder's loops over one transport. `run` goes on until it is cancelled."""

    def __init__(
        self,
        transport: Transport,
        *,
        consumer: str = "recorder",
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_round` is called after each round of reading the wire that succeeded: every few seconds."""
        self._transport = transport
        self._consumer = consumer
        self._on_round = on_round
        self._rows_thread = WorkThread("rows")
        self._documents_thread = WorkThread("documents")
        self._exports_thread = WorkThread("exports")
        self._logs = OutputLogs(transport, self._rows_thread, applied=self._note_applied)
        self._exports = ExportSchedule()
        self._exports_changed = asyncio.Event()
        # Documents whose notes are acknowledged but whose work failed: done again at the next look back.
        self._failed_logs: set[UUID] = set()
        self._failed_documents: set[UUID] = set()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat("runs", self._runs_round))
                group.create_task(self._repeat("documents", self._documents_round))
                group.create_task(self._repeat("exports", self._exports_round))
                group.create_task(self._repeat("look_back", self._look_back_round()))
        finally:
            for thread in (self._rows_thread, self._documents_thread, self._exports_thread):
                await asyncio.to_thread(thread.close)

    async def _repeat(self, name: str, one_round: Callable[[], Awaitable[None]]) -> None:
        """Rounds for ever; when the wire, the database or the disk is away, less and less often."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await one_round()
                self._on_round()
                retry_s = FIRST_RETRY_S
            except _PASSING as error:
                log.warning("recorder_waits", loop=name, error=str(error), error_type=type(error).__name__)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
            except Exception:
                log.exception("recorder_round_failed", loop=name)
                await asyncio.sleep(LAST_RETRY_S)

    # Output logs and kernel events

    async def _runs_round(self) -> None:
        entries = await self._transport.read_group(
            [RUNS_STREAM, EVENTS_STREAM],
            group=RECORDER_GROUP,
            consumer=f"{self._consumer}-runs",
            count=READ_COUNT,
            wait_ms=READ_WAIT_MS,
        )
        if not entries:
            return
        started = time.monotonic()
        for document_id in _documents_of(
            entries, RUNS_STREAM, lambda payload: decode_note(payload).document_id
        ):
            await self._catch_up(document_id)
        # After the outputs: what a node wrote before its last word comes before it.
        for entry in entries:
            if entry.stream == EVENTS_STREAM:
                await self._try_to_record_event(entry)
        await self._transport.acknowledge(entries, group=RECORDER_GROUP)
        took_s = time.monotonic() - started
        await asyncio.sleep(max(ROUND_S - took_s, min(took_s * PAUSE_FACTOR, LONGEST_PAUSE_S)))

    async def _catch_up(self, document_id: UUID) -> None:
        try:
            await self._logs.catch_up(document_id)
            self._failed_logs.discard(document_id)
        except Exception as error:
            if passes_by_itself(error):
                raise
            # The document's own trouble (its disk is full, its rows are odd) is not the others'.
            log.exception("log_not_applied", document_id=str(document_id))
            self._failed_logs.add(document_id)

    async def _try_to_record_event(self, entry: GroupEntry) -> None:
        try:
            await self._record_event(entry)
        except Exception as error:
            if passes_by_itself(error):
                raise
            # Told again it would fail again, and hold up what others have to tell.
            log.exception("event_not_recorded", entry_id=entry.id)

    async def _record_event(self, entry: GroupEntry) -> None:
        try:
            event = decode_event(entry.payload)
        except (msgspec.ValidationError, msgspec.DecodeError):
            log.exception("event_unreadable", entry_id=entry.id)
            return
        match event:
            case KernelEvent():
                await self._rows_thread.run(record_kernel_event, event)
            case NodeStarted():
                try:
                    info = msgspec.json.decode(event.info, type=dict[str, object])
                except (msgspec.ValidationError, msgspec.DecodeError):
                    info = {}
                await self._rows_thread.run(record_node_started, event, info)
            case KernelsMeasured():
                await self._rows_thread.run(record_figures, event)
            case ProjectsMeasured():
                await self._rows_thread.run(record_project_figures, event)
            case NodeStopped():
                await self._rows_thread.run(record_node_stopped, event)
            case StopRefused():
                await self._rows_thread.run(record_stop_refused, event)

    def _note_applied(self, document_id: UUID, applied: AppliedRows) -> None:
        if applied.is_dirty:
            self._schedule_export(document_id)

    # Live documents

    async def _documents_round(self) -> None:
        entries = await self._transport.read_group(
            [DOCUMENTS_STREAM],
            group=RECORDER_GROUP,
            consumer=f"{self._consumer}-documents",
            count=READ_COUNT,
            wait_ms=READ_WAIT_MS,
        )
        if not entries:
            return
        started = time.monotonic()
        documents = _documents_of(
            entries, DOCUMENTS_STREAM, lambda payload: decode_document_note(payload).document_id
        )
        for document_id in documents:
            await self._compact(document_id)
        await self._transport.acknowledge(entries, group=RECORDER_GROUP)
        await asyncio.sleep(max(DOCUMENTS_ROUND_S - (time.monotonic() - started), 0))

    async def _compact(self, document_id: UUID) -> None:
        try:
            done = await self._documents_thread.run(compact, str(document_id))
            self._failed_documents.discard(document_id)
        except Exception as error:
            if passes_by_itself(error):
                raise
            log.exception("document_not_compacted", document_id=str(document_id))
            self._failed_documents.add(document_id)
            return
        if done.entry_count:
            self._schedule_export(document_id)
            await self._rows_thread.run(record_edit, document_id)

    # Exports

    def _schedule_export(self, document_id: UUID) -> None:
        self._exports.note_change(document_id, time.monotonic())
        self._exports_changed.set()

    async def _exports_round(self) -> None:
        self._exports_changed.clear()
        for document_id, failures in self._exports.take_due(time.monotonic()):
            await self._export(document_id, failures)
        due = self._exports.next_due()
        try:
            async with asyncio.timeout(None if due is None else max(due - time.monotonic(), 0.05)):
                # A change only ever puts a due time off, unless nothing was pending.
                await self._exports_changed.wait()
        except TimeoutError:
            return

    async def _export(self, document_id: UUID, failures: int) -> None:
        try:
            await self._exports_thread.run(export_document, str(document_id))
        except Exception as error:
            log.warning(
                "export_failed",
                document_id=str(document_id),
                error_type=type(error).__name__,
                failures=failures + 1,
            )
            self._exports.note_failure(document_id, failures + 1, time.monotonic())

    # What notes do not tell: they were lost with the wire, or acknowledged by a recorder that died

    def _look_back_round(self) -> Callable[[], Awaitable[None]]:
        is_first = True

        async def look_back() -> None:
            nonlocal is_first
            await self._look_back(everything=is_first)
            is_first = False
            await asyncio.sleep(LOOK_BACK_EVERY_S)

        return look_back

    async def _look_back(self, *, everything: bool) -> None:
        thread = self._documents_thread
        for document_id in await thread.run(backlog.dirty_documents):
            self._schedule_export(document_id)
        for document_id, log_seq in await thread.run(backlog.log_positions, everything=everything):
            # At start also what is in the rows already: an earlier recorder has not trimmed it yet.
            look = (
                self._logs.has_entries(document_id)
                if everything
                else self._logs.is_ahead(document_id, log_seq)
            )
            if await look or document_id in self._failed_logs:
                await self._rewrite_note(document_id)
        for document_id, epoch, stream_id in await thread.run(
            backlog.update_positions, everything=everything
        ):
            if document_id in self._failed_documents or await backlog.is_update_log_ahead(
                self._transport, document_id, epoch, stream_id
            ):
                await backlog.write_document_note(self._transport, document_id, epoch)
        await self._logs.trim_all()

    async def _rewrite_note(self, document_id: UUID) -> None:
        """Through the stream, so that one loop alone works on a document's log."""
        await backlog.write_run_note(self._transport, document_id)


def _export(document_id: UUID) -> Literal["done", "changed", "failed"]:
    if export_document(str(document_id)):
        return "done"
    is_failed = Document.objects.filter(pk=document_id).exclude(export_error="").exists()
    return "failed" if is_failed else "changed"


def _documents_of(
    entries: Iterable[GroupEntry], stream: str, document_of: Callable[[bytes], str]
) -> list[UUID]:
    """The documents that the notes of the stream are about, each once, in order of their first note."""
    found: dict[UUID, None] = {}
    for entry in entries:
        if entry.stream != stream:
            continue
        try:
            found[UUID(document_of(entry.payload))] = None
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError):
            log.warning("note_unreadable", stream=stream, entry_id=entry.id)
    return list(found)
