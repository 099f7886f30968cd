"""What cells last produced, in the form of the runs socket, and a snapshot of a whole document that fits the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from kernels_app.bus.identifiers import CellId
from kernels_app.models import Kernel
from kernels_app.selectors.kernels import last_kernel
from notebooks_app.models import CellOutput, Document

# The recorder commits at most a few times a second for a document: a second try nearly always fits.
_LOCK_FREE_TRIES = 4


@dataclass(frozen=True, slots=True)
class RunsSnapshot:
    """All cells and the kernel as of operation `seq`: the operations after it bring it up to date."""

    seq: int
    kernel: dict[str, Any] | None
    cells: dict[CellId, dict[str, Any]]


def runs_snapshot(document_id: UUID) -> RunsSnapshot | None:
    """The snapshot; None when the document is gone."""
    for _ in range(_LOCK_FREE_TRIES):
        before = _log_seq(document_id)
        if before is None:
            return None
        snapshot = _read(document_id, before)
        if _log_seq(document_id) == before:
            return snapshot
    with transaction.atomic():
        locked = (
            Document.objects.select_for_update(no_key=True)
            .filter(pk=document_id)
            .values_list("log_seq", flat=True)
        )
        seq = locked.first()
        return None if seq is None else _read(document_id, seq)


def cell_state_of(row: CellOutput) -> dict[str, Any]:
    """The row as a CellState (docs/reference/runs.md)."""
    return {
        "state": row.state,
        "run_id": row.run_id,
        "execution_count": row.execution_count,
        "outputs": row.outputs,
        "queued_at": milliseconds(row.queued_at),
        "started_at": milliseconds(row.started_at),
        "finished_at": milliseconds(row.finished_at),
        "source_sha256": row.source_sha256,
        "input": row.input,
    }


def kernel_state_of(kernel: Kernel) -> dict[str, Any]:
    """The kernel as snapshots and `GET documents/{id}` show it."""
    return {
        "kernel_id": str(kernel.pk),
        "kernelspec_name": kernel.kernelspec_name,
        "state": kernel.state,
        "reason": kernel.reason,
    }


def milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _log_seq(document_id: UUID) -> int | None:
    return Document.objects.filter(pk=document_id).values_list("log_seq", flat=True).first()


def _read(document_id: UUID, seq: int) -> RunsSnapshot:
    kernel = last_kernel(document_id)
    return RunsSnapshot(
        seq=seq,
        kernel=None if kernel is None else kernel_state_of(kernel),
        cells={
            CellId(row.cell_id): cell_state_of(row)
            for row in CellOutput.objects.filter(document_id=document_id)
            .order_by("pk")
            .iterator(chunk_size=200)
        },
    )
