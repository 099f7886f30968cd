"""What operations touch: cells, runs, kernels. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernels_app.bus.identifiers import CellId, KernelId, RunId
from kernels_app.bus.operations import (
    AnyOperation,
    CellOperation,
    Counted,
    Finished,
    InputClosed,
    InputRequest,
    KernelChanged,
    Queued,
    Started,
    UpdateDisplay,
)


def cells_of(operations: Iterable[AnyOperation]) -> list[CellId]:
    """The cells that the operations change, each once."""
    found: dict[CellId, None] = {}
    for operation in operations:
        if isinstance(operation, CellOperation):
            found[operation.cell_id] = None
        elif isinstance(operation, UpdateDisplay):
            found.update((target.cell_id, None) for target in operation.targets)
    return list(found)


def changes_notebook(operations: Sequence[AnyOperation]) -> bool:
    """Whether the notebook file is out of date after them."""
    return any(
        not isinstance(operation, Queued | InputRequest | InputClosed | KernelChanged)
        for operation in operations
    )


class RunChange(msgspec.Struct):
    """New values of a run's columns."""

    fields: dict[str, Any]
    is_finished: bool = False


def run_changes(operations: Iterable[AnyOperation]) -> dict[RunId, RunChange]:
    """What the operations say of each run. Nothing is said of a run after it finished."""
    changes: dict[RunId, RunChange] = {}
    for operation in operations:
        if not isinstance(operation, Queued | Started | Counted | Finished):
            continue
        if isinstance(operation, Queued) and operation.is_placeless:
            continue  # no node has it: its source is still needed
        change = changes.setdefault(operation.run_id, RunChange({"is_taken": True, "source": ""}))
        if change.is_finished:
            continue
        match operation:
            case Started():
                change.fields |= {"state": "running", "started_at": moment(operation.at)}
            case Counted():
                change.fields["execution_count"] = operation.execution_count
            case Finished():
                change.is_finished = True
                change.fields |= {
                    "state": operation.status,
                    "finished_at": moment(operation.finished_at or operation.at),
                }
                if operation.started_at is not None:
                    change.fields["started_at"] = moment(operation.started_at)
                if operation.execution_count is not None:
                    change.fields["execution_count"] = operation.execution_count
    return changes


def kernel_changes(operations: Iterable[AnyOperation]) -> dict[KernelId, list[KernelChanged]]:
    """The states of each kernel, in order."""
    changes: dict[KernelId, list[KernelChanged]] = {}
    for operation in operations:
        if isinstance(operation, KernelChanged):
            changes.setdefault(operation.kernel_id, []).append(operation)
    return changes


def moment(milliseconds: int) -> datetime | None:
    """The time of that many milliseconds since 1970; None for what no calendar has."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
