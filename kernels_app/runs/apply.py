"""What each operation of the output log does to the states of cells: docs/reference/runs.md. Pure.

The browser's twin is `frontend/src/store/outputLog.ts`; both are tested against `tests/vectors/operations.json`.
States are plain dictionaries, as they are in snapshots and in the database.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from kernels_app.bus.identifiers import CellId
from kernels_app.bus.operations import (
    AnyOperation,
    BlobRef,
    Clear,
    Counted,
    Display,
    Error,
    Finished,
    InputClosed,
    InputRequest,
    KernelChanged,
    Notice,
    Queued,
    Started,
    Stream,
    StreamChunk,
    UpdateDisplay,
)

CellState = dict[str, Any]
Output = dict[str, Any]


def new_cell_state() -> CellState:
    """State of a cell that never ran."""
    return {
        "state": "idle",
        "run_id": None,
        "execution_count": None,
        "outputs": [],
        "queued_at": None,
        "started_at": None,
        "finished_at": None,
        "source_sha256": "",
        "input": None,
    }


def apply(cells: dict[CellId, CellState], operation: AnyOperation) -> None:
    """Change `cells` in place. An operation on a cell that is not there yet makes it."""
    if isinstance(operation, KernelChanged):
        return
    if isinstance(operation, UpdateDisplay):
        _update_display(cells, operation)
        return
    cell = cells.get(operation.cell_id)
    if cell is None:
        cell = cells[operation.cell_id] = new_cell_state()
    match operation:
        case Queued():
            cell.update(
                state="queued",
                run_id=operation.run_id,
                queued_at=operation.at,
                source_sha256=operation.source_sha256,
            )
        case Started():
            cell.update(
                state="running",
                run_id=operation.run_id,
                started_at=operation.at,
                finished_at=None,
                execution_count=None,
                outputs=[],
                input=None,
            )
        case Counted():
            cell["execution_count"] = operation.execution_count
        case Stream():
            _apply_stream(cell["outputs"], operation)
        case StreamChunk():
            _apply_chunk(cell["outputs"], operation)
        case Display():
            _put(cell["outputs"], operation.index, _display_output(operation))
        case Error():
            _put(
                cell["outputs"],
                operation.index,
                {
                    "output_type": "error",
                    "ename": operation.ename,
                    "evalue": operation.evalue,
                    "traceback": list(operation.traceback),
                },
            )
        case Notice():
            _put(
                cell["outputs"],
                operation.index,
                {"output_type": "notice", "code": operation.code, "text": operation.text},
            )
        case Clear():
            cell["outputs"] = []
        case InputRequest():
            cell["input"] = {
                "input_id": operation.input_id,
                "prompt": operation.prompt,
                "password": operation.password,
            }
        case InputClosed():
            if cell["input"] is not None and cell["input"]["input_id"] == operation.input_id:
                cell["input"] = None
        case Finished():
            _finish(cell, operation)
        case _:
            assert_never(operation)


def _finish(cell: CellState, operation: Finished) -> None:
    # Written twice it does nothing, and a cell that was queued again is not ended by its run before.
    if cell["run_id"] != operation.run_id or cell["state"] not in ("queued", "running"):
        return
    cell["state"] = operation.status
    if operation.started_at is not None:
        cell["started_at"] = operation.started_at
    if operation.finished_at is not None:
        cell["finished_at"] = operation.finished_at
    if operation.execution_count is not None:
        cell["execution_count"] = operation.execution_count
    cell["input"] = None


def _put(outputs: list[Output], index: int, output: Output) -> None:
    if index < len(outputs):
        outputs[index] = output
    else:
        outputs.append(output)


def _display_output(operation: Display) -> Output:
    output: Output = {
        "output_type": operation.output_type,
        "data": operation.data,
        "metadata": operation.metadata,
    }
    if operation.blobs:
        output["blobs"] = _blobs(operation.blobs)
    if operation.display_id is not None:
        output["display_id"] = operation.display_id
    if operation.execution_count is not None:
        output["execution_count"] = operation.execution_count
    return output


def _blobs(blobs: dict[str, BlobRef]) -> dict[str, Any]:
    return {mime: msgspec.to_builtins(blob) for mime, blob in blobs.items()}


def _update_display(cells: dict[CellId, CellState], operation: UpdateDisplay) -> None:
    for target in operation.targets:
        outputs = cells[target.cell_id]["outputs"] if target.cell_id in cells else []
        if target.index >= len(outputs) or outputs[target.index].get("display_id") != operation.display_id:
            continue
        output = outputs[target.index]
        output["data"] = operation.data
        output["metadata"] = operation.metadata
        output.pop("blobs", None)
        if operation.blobs:
            output["blobs"] = _blobs(operation.blobs)


def _apply_stream(outputs: list[Output], operation: Stream) -> None:
    if operation.index >= len(outputs):
        outputs.append({"output_type": "stream", "name": operation.name, "text": ""})
    output = outputs[min(operation.index, len(outputs) - 1)]
    if output["output_type"] != "stream":
        return
    key = "text" if operation.part == "head" else "tail"
    output[key] = _change_text(output.get(key, ""), operation.cut, operation.drop) + operation.text
    if operation.part == "tail" or operation.omitted or "tail" in output:
        output["omitted"] = operation.omitted


def _change_text(text: str, cut: int, drop: int) -> str:
    """Without `cut` UTF-16 units at its start and `drop` at its end."""
    if not cut and not drop:
        return text
    if text.isascii():
        return text[cut : max(cut, len(text) - drop)]
    units = text.encode("utf-16-le")
    return units[cut * 2 : max(cut * 2, len(units) - drop * 2)].decode("utf-16-le", "replace")


def _apply_chunk(outputs: list[Output], operation: StreamChunk) -> None:
    if operation.index >= len(outputs) or outputs[operation.index]["output_type"] != "stream":
        return
    output = outputs[operation.index]
    if operation.blob is not None:
        output.setdefault("chunks", []).append(msgspec.to_builtins(operation.blob))
    if operation.limit_reached:
        output["limit_reached"] = True
