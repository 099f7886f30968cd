"""Puts operations of the output log into rows: one transaction, once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from kernels_app.bus.identifiers import CellId
from kernels_app.bus.operations import AnyOperation, BlobRef, KernelChanged
from kernels_app.models import LIVE_STATES, Kernel, KernelState, Run
from kernels_app.recorder.failures import UNFIT_VALUE
from kernels_app.runs.apply import apply, new_cell_state
from kernels_app.runs.footprint import cells_of, changes_notebook, kernel_changes, moment, run_changes
from kernels_app.selectors.cells import cell_state_of
from kernels_app.selectors.kernels import UNFINISHED_STATES
from kernels_app.selectors.metrics import observe_start
from kernels_app.services.queue import fill_places_soon
from notebooks_app.models import CellOutput, Document
from notebooks_app.services.blobs import refer_to_blobs
from notebooks_app.services.file_hints import send_kernels_hint
from notebooks_app.storage.blobs import open_blob, store_blob

log = structlog.get_logger(__name__)

_READY_STATES = ("idle", "busy")
_CELL_FIELDS = (
    "run_id", "state", "execution_count", "outputs", "input", "source_sha256",
    "queued_at", "started_at", "finished_at", "seq",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AppliedRows:
    """The document's rows hold the log up to `log_seq`. `is_dirty`: the notebook file is out of date now."""

    log_seq: int
    is_dirty: bool


def apply_operations(
    document_id: UUID, operations: Sequence[AnyOperation], *, up_to: int
) -> AppliedRows | None:
    """Applies those of the operations that the rows do not have yet; the rows then hold the log up to `up_to`.

    None when the document is gone.
    """
    with transaction.atomic():
        document = (
            Document.objects.select_for_update(no_key=True)
            .only("log_seq", "project_id")
            .filter(pk=document_id)
            .first()
        )
        if document is None:
            return None
        fresh = [operation for operation in operations if operation.seq > document.log_seq]
        log_seq = max(document.log_seq, up_to)
        if log_seq == document.log_seq:
            return AppliedRows(log_seq, False)
        _apply_to_cells(document_id, fresh)
        _apply_to_runs(document_id, fresh)
        for kernel_id, changes in kernel_changes(fresh).items():
            if _apply_to_kernel(document_id, kernel_id, changes):
                send_kernels_hint(document.project_id)
        now = timezone.now()
        is_dirty = changes_notebook(fresh)
        fields: dict[str, Any] = {"log_seq": log_seq}
        if is_dirty:
            fields |= {"changed_at": now, "dirty_since": Coalesce("dirty_since", Value(now))}
        Document.objects.filter(pk=document_id).update(**fields)
    return AppliedRows(log_seq, is_dirty)


def apply_fitting_operations(
    document_id: UUID, operations: Sequence[AnyOperation], *, up_to: int
) -> AppliedRows | None:
    """As `apply_operations`, one by one, without those that the database refuses for a value in them.

    What is left out cannot be stored later either: else the notebook's log would stand still for ever.
    """
    is_dirty = False
    for operation in operations:
        try:
            applied = apply_operations(document_id, [operation], up_to=operation.seq)
        except UNFIT_VALUE:
            log.exception("operation_not_stored", document_id=str(document_id), seq=operation.seq)
            continue
        if applied is None:
            return None
        is_dirty = is_dirty or applied.is_dirty
    applied = apply_operations(document_id, [], up_to=up_to)
    return None if applied is None else AppliedRows(applied.log_seq, is_dirty)


def log_seq_of(document_id: UUID) -> int | None:
    return Document.objects.filter(pk=document_id).values_list("log_seq", flat=True).first()


def keep_blob(document_id: UUID, blob: BlobRef, data: bytes | None) -> bool:
    """Stores a payload and lets the document refer to it. False when nobody has the payload (any more).

    Raises:
        DiskFull
    """
    if data is not None:
        if store_blob(data) != blob.sha256:
            log.error("blob_is_not_what_it_says", document_id=str(document_id), sha256=blob.sha256)
            return False
    else:
        stored = open_blob(blob.sha256)
        if stored is None:
            log.error("blob_missing", document_id=str(document_id), sha256=blob.sha256)
            return False
        stored.close()
    with transaction.atomic():
        if not Document.objects.filter(pk=document_id).exists():
            return False
        refer_to_blobs(document_id, {blob.sha256: blob.size_bytes})
    return True


def _apply_to_cells(document_id: UUID, operations: Sequence[AnyOperation]) -> None:
    cell_ids = cells_of(operations)
    rows = {
        CellId(row.cell_id): row
        for row in CellOutput.objects.filter(document_id=document_id, cell_id__in=cell_ids)
    }
    cells: dict[CellId, dict[str, Any]] = {
        cell_id: cell_state_of(rows[cell_id]) if cell_id in rows else new_cell_state() for cell_id in cell_ids
    }
    seqs: dict[CellId, int] = {}
    for operation in operations:
        try:
            apply(cells, operation)
        except Exception:
            # One operation that does not fit must not stop the notebook's others for ever.
            log.exception("operation_not_applied", document_id=str(document_id), seq=operation.seq)
            continue
        seqs.update((cell_id, operation.seq) for cell_id in cells_of([operation]))
    for cell_id, seq in seqs.items():
        row = rows.get(cell_id) or CellOutput(document_id=document_id, cell_id=cell_id)
        _fill(row, cells[cell_id], seq)
        if row.pk is None:
            row.save(force_insert=True)
        else:
            row.save(update_fields=_CELL_FIELDS)


def _fill(row: CellOutput, state: dict[str, Any], seq: int) -> None:
    row.state = state["state"]
    row.run_id = state["run_id"] or ""
    row.execution_count = state["execution_count"]
    row.outputs = state["outputs"]
    row.input = state["input"]
    row.source_sha256 = state["source_sha256"] or ""
    for name in ("queued_at", "started_at", "finished_at"):
        setattr(row, name, None if state[name] is None else moment(state[name]))
    row.seq = seq


def _apply_to_runs(document_id: UUID, operations: Sequence[AnyOperation]) -> None:
    only_taken: list[UUID] = []
    unfinished = Run.objects.filter(document_id=document_id, state__in=UNFINISHED_STATES)
    for run_id, change in run_changes(operations).items():
        try:
            key = UUID(run_id)
        except ValueError:
            continue
        if len(change.fields) == 2:  # queued, nothing more: a request of hundreds of cells is one UPDATE
            only_taken.append(key)
        else:
            unfinished.filter(pk=key).update(**change.fields)
    if only_taken:
        unfinished.filter(pk__in=only_taken).update(is_taken=True, source="")


def _apply_to_kernel(document_id: UUID, kernel_id: str, changes: Sequence[KernelChanged]) -> bool:
    """Whether lists of kernels are out of date now: it came up or ended (not each turn of idle and busy)."""
    try:
        key = UUID(kernel_id)
    except ValueError:
        return False
    kernels = Kernel.objects.filter(pk=key, document_id=document_id, state__in=LIVE_STATES)
    ready = next((change for change in changes if change.state in _READY_STATES), None)
    became_ready = ready is not None and kernels.filter(ready_at=None).update(ready_at=moment(ready.at)) > 0
    if became_ready:
        observe_start(key)
    last = changes[-1]
    if last.state not in LIVE_STATES:
        has_ended = kernels.update(
            state=last.state, reason=last.reason[:500], ended_at=moment(last.at), ends_at=None
        )
        if has_ended:
            fill_places_soon()
        return has_ended > 0
    if last.state != "pending":
        # A person's stop is not taken back by what the node wrote before it heard of it.
        kernels.exclude(state=KernelState.STOPPING).update(state=last.state, last_activity_at=moment(last.at))
    return became_ready
