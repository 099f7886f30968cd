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
from notebooks_app.sync.replica import (
    MAX_TYPE_DEPTH,
    BadUpdate,
    encode_since,
    exact_type_depth,
    load_replica,
    load_tolerantly,
)
from notebooks_app.sync.update_check import inspect_update
from notebooks_app.sync.update_log import durable_publication, updates_in
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE = 1_000
# Another recorder would have to win this often in a row; there is one, by its consumer group.
_MAX_ATTEMPTS = 10


@dataclass(frozen=True)
class Compaction:
    """What a run did. `stream_id`: the last entry that is in the database now."""

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
    stream_id = entries[-1].id
    dropped_count = _commit(document_id, epoch, entries, timezone.now())
    wire.trim_log(log_key, up_to=stream_id)
    wire.write([durable_publication(document_id, stream_id)])
    return Compaction(len(entries), dropped_count, stream_id)


def _commit(document_id: DocumentId, epoch: str, entries: list[Entry], now: datetime) -> int:
    """Merges the entries into the snapshot row; the number of those that could not be merged."""
    updates = updates_in(entries)
    for _ in range(_MAX_ATTEMPTS):
        row = (
            Document.objects.filter(pk=document_id, epoch=epoch)
            .values_list("snapshot", "snapshot_version")
            .first()
        )
        if row is None:
            return 0
        old_snapshot, version = bytes(row[0]), row[1]
        snapshot, dropped = _merge(old_snapshot, updates)
        if dropped:
            ids = [entries[index].id for index in dropped[:10]]
            log.warning("updates_dropped", document_id=document_id, count=len(dropped), stream_ids=ids)
        written = Document.objects.filter(pk=document_id, snapshot_version=version).update(
            snapshot=snapshot,
            snapshot_version=F("snapshot_version") + 1,
            snapshot_stream_id=entries[-1].id,
            changed_at=now,
            dirty_since=Coalesce("dirty_since", now),
        )
        if written:
            return len(dropped)
    raise RuntimeError(f"Document {document_id}: {_MAX_ATTEMPTS} compactions lost against another")


def _merge(snapshot: bytes, updates: list[bytes]) -> tuple[bytes, list[int]]:
    replica, dropped = load_tolerantly(snapshot, updates)
    merged = encode_since(replica)
    may_be_deeper = any(inspect_update(update).type_depth for update in updates)
    if not may_be_deeper or exact_type_depth([merged]) <= MAX_TYPE_DEPTH:
        return merged, dropped
    # Someone built a tree to break readers with: its updates go, one by one as they exceed the limit.
    good: list[bytes] = []
    bad: list[int] = []
    base = [snapshot] if snapshot else []
    for index, update in enumerate(updates):
        try:
            is_good = exact_type_depth([*base, *good, update]) <= MAX_TYPE_DEPTH
        except BadUpdate:
            is_good = False
        if is_good and index not in dropped:
            good.append(update)
        else:
            bad.append(index)
    return encode_since(load_replica(snapshot, good)), bad
