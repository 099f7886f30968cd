"""Moves a document's update log into its snapshot row. Called by the recorder.

The order is what makes it safe: commit, then trim, then tell the browsers. Ended at any point, nothing
is lost: what was committed and not trimmed is merged once more by the next run, which changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from kernels_app.bus.identifiers import DocumentId, StreamId, update_log
from kernels_app.bus.transport import Entry
from notebooks_app.models import Document
from notebooks_app.sync.replica import encode_since, is_complete, load_tolerantly, too_deep_in
from notebooks_app.sync.update_log import durable_publication, update_in, written_at_s
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE = 1_000
# Another recorder would have to win this often in a row; there is one, by its consumer group.
_MAX_ATTEMPTS = 10


# An update that builds on one that is missing waits in the log for it: after a loss of the wire, whoever
# has the missing one gives it back within seconds. Its sender gives it again, too, at its next sync.
WAIT_FOR_MISSING_S = 60.0


@dataclass(frozen=True)
class Compaction:
    """What a run did. `stream_id`: everything up to it is in the database now."""

    entry_count: int
    dropped_count: int = 0
    stream_id: StreamId | None = None


def compact(document_id: str) -> Compaction:
    """Everything in the document's update log at the time of the call is in its snapshot afterwards.

    Raises:
        TransportError: the wire is down; the note stays, and so does the log.
        django.db.Error: as any write; again, nothing is lost.
    """
    entry_count = dropped_count = 0
    stream_id: StreamId | None = None
    while True:
        step = _compact_some(DocumentId(document_id))
        entry_count += step.entry_count
        dropped_count += step.dropped_count
        stream_id = step.stream_id or stream_id
        if step.entry_count < ENTRIES_AT_ONCE:
            return Compaction(entry_count, dropped_count, stream_id)


def _compact_some(document_id: DocumentId) -> Compaction:
    epoch = Document.objects.filter(pk=document_id).values_list("epoch", flat=True).first()
    if epoch is None:
        return Compaction(0)
    wire = blocking_transport()
    log_key = update_log(document_id, epoch)
    entries = wire.read_log(log_key, count=ENTRIES_AT_ONCE)
    if not entries:
        return Compaction(0)
    merged = _commit(document_id, epoch, entries, timezone.now())
    if merged is None or merged.done_count == 0:
        return Compaction(0)
    stream_id = entries[merged.done_count - 1].id
    wire.trim_log(log_key, up_to=stream_id)
    wire.write([durable_publication(document_id, stream_id)])
    return Compaction(merged.done_count, len(merged.dropped), stream_id)


@dataclass(frozen=True)
class _Merged:
    """`done_count`: how many entries, from the first, need not be kept; `dropped`: indexes of bad ones."""

    snapshot: bytes
    done_count: int
    dropped: list[int]


def _commit(document_id: DocumentId, epoch: str, entries: list[Entry], now: datetime) -> _Merged | None:
    """Merges the entries into the snapshot row; None when there is no such document any more."""
    for _ in range(_MAX_ATTEMPTS):
        row = (
            Document.objects.filter(pk=document_id, epoch=epoch)
            .values_list("snapshot", "snapshot_version")
            .first()
        )
        if row is None:
            return None
        merged = _merge(bytes(row[0]), entries, now)
        written = Document.objects.filter(pk=document_id, snapshot_version=row[1]).update(
            snapshot=merged.snapshot,
            snapshot_version=F("snapshot_version") + 1,
            snapshot_stream_id=entries[merged.done_count - 1].id
            if merged.done_count
            else F("snapshot_stream_id"),
            changed_at=now,
            dirty_since=Coalesce("dirty_since", now),
        )
        if written:
            if merged.dropped:
                ids = [entries[index].id for index in merged.dropped[:10]]
                count = len(merged.dropped)
                log.warning("updates_dropped", document_id=document_id, count=count, stream_ids=ids)
            return merged
    raise RuntimeError(f"Document {document_id}: {_MAX_ATTEMPTS} compactions lost against another")


def _merge(snapshot: bytes, entries: list[Entry], now: datetime) -> _Merged:
    """The snapshot with the entries in it; those that wait for a missing one are not done."""
    updates = [update_in(entry) for entry in entries]
    dropped = {index for index, update in enumerate(updates) if update is None}
    candidates = [index for index in range(len(entries)) if index not in dropped]
    deep = too_deep_in(snapshot, [updates[index] or b"" for index in candidates], exactly=True)
    dropped |= {candidates[index] for index in deep}
    candidates = [index for index in candidates if index not in dropped]
    replica, bad = load_tolerantly(snapshot, [updates[index] or b"" for index in candidates])
    dropped |= {candidates[index] for index in bad}
    done_count = len(entries)
    for index in candidates:
        update = updates[index]
        if index in dropped or update is None or is_complete(replica, update):
            continue
        if now.timestamp() - written_at_s(entries[index].id) <= WAIT_FOR_MISSING_S:
            done_count = index
            break
        dropped.add(index)
    return _Merged(
        encode_since(replica), done_count, sorted(index for index in dropped if index < done_count)
    )
