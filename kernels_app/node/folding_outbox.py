"""Operations and blobs that wait to be taken, and the displays that updates find. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from kernels_app.bus.identifiers import CellId
from kernels_app.bus.operations import (
    AnyOperation,
    Clear,
    Display,
    DisplayTarget,
    Error,
    Notice,
    Stream,
    StreamChunk,
    UpdateDisplay,
)
from kernels_app.node.folding_payloads import make_blob
from kernels_app.node.folding_runs import CellRun
from kernels_app.node.folding_stream import PartChange, StreamFold

_MAX_DISPLAY_IDS = 10_000
_MAX_TARGETS = 1_000


class Folded(NamedTuple):
    """Operations, numbered and in order, and the blobs to keep before they are written."""

    operations: list[AnyOperation]
    blobs: list[tuple[str, bytes]]


class Outbox:
    """What is ready to be written. `due_ms`: when it should be; None when it is empty."""

    def __init__(self, next_seq: Callable[[], int], coalesce_ms: int) -> None:
        self.due_ms: int | None = None
        self._coalesce_ms = coalesce_ms
        self._next_seq = next_seq
        self._operations: list[AnyOperation] = []
        self._payloads: dict[str, bytes] = {}

    def add(self, operation: AnyOperation, due_ms: int) -> None:
        self._operations.append(operation)
        self.want(due_ms)

    def want(self, due_ms: int) -> None:
        """Something will be taken by this time."""
        self.due_ms = due_ms if self.due_ms is None else min(self.due_ms, due_ms)

    def add_payloads(self, payloads: dict[str, bytes]) -> None:
        self._payloads.update(payloads)

    def add_notice(self, run: CellRun, code: str, text: str, now_ms: int) -> None:
        """A new output that tells of a limit."""
        index = run.take_index()
        notice = Notice(
            seq=0, at=now_ms, cell_id=run.cell_id, run_id=run.run_id, index=index, code=code, text=text
        )
        self.add(notice, now_ms + self._coalesce_ms)

    def add_stream(
        self, run: CellRun, stream: StreamFold, part: Literal["head", "tail"], change: PartChange, now_ms: int
    ) -> None:
        """A change of a stream's text; the first one makes its output."""
        if stream.index is None:
            stream.index = run.take_index()
        self.add(
            Stream(
                seq=0,
                at=now_ms,
                cell_id=run.cell_id,
                run_id=run.run_id,
                index=stream.index,
                name="stderr" if stream.name == "stderr" else "stdout",
                text=change.text,
                part=part,
                cut=change.cut,
                drop=change.drop,
                omitted=stream.omitted_units,
            ),
            now_ms,
        )

    def add_chunk(self, run: CellRun, index: int, payload: bytes | None, now_ms: int) -> None:
        """A piece of the whole text of output `index`; None when no more of it is kept."""
        blob = None if payload is None else make_blob(payload)
        if blob is not None and payload is not None:
            self._payloads[blob.sha256] = payload
        chunk = StreamChunk(
            seq=0,
            at=now_ms,
            cell_id=run.cell_id,
            run_id=run.run_id,
            index=index,
            blob=blob,
            limit_reached=blob is None,
        )
        self.add(chunk, now_ms + self._coalesce_ms)

    def drop_outputs(self, cell_id: CellId) -> None:
        """Outputs of the cell that nobody has seen yet and that are cleared now."""
        self._operations = [
            operation
            for operation in self._operations
            if not (
                isinstance(operation, Stream | StreamChunk | Display | Error | Notice | Clear)
                and operation.cell_id == cell_id
            )
        ]

    def take(self) -> Folded:
        operations = [
            msgspec.structs.replace(operation, seq=self._next_seq()) for operation in self._operations
        ]
        blobs: dict[str, bytes] = {}
        for operation in operations:
            if isinstance(operation, Display | UpdateDisplay):
                for blob in operation.blobs.values():
                    blobs[blob.sha256] = self._payloads[blob.sha256]
            elif isinstance(operation, StreamChunk) and operation.blob is not None:
                blobs[operation.blob.sha256] = self._payloads[operation.blob.sha256]
        self._operations = []
        self._payloads = {}
        self.due_ms = None
        return Folded(operations, list(blobs.items()))


class PendingUpdate(NamedTuple):
    """Content of an `update_display_data`, as the kernel sent it."""

    data: Any
    metadata: Any


class DisplayRegistry:
    """Which outputs show a display id, and updates to them that wait: the last one wins."""

    def __init__(self) -> None:
        self._targets: dict[str, list[DisplayTarget]] = {}
        self._ids_of_cell: dict[CellId, set[str]] = {}
        self._updates: dict[str, PendingUpdate] = {}

    def register(self, display_id: str, target: DisplayTarget) -> None:
        targets = self._targets.setdefault(display_id, [])
        targets.append(target)
        del targets[:-_MAX_TARGETS]
        self._ids_of_cell.setdefault(target.cell_id, set()).add(display_id)
        if len(self._targets) > _MAX_DISPLAY_IDS:
            del self._targets[next(iter(self._targets))]

    def update(self, display_id: str, update: PendingUpdate) -> bool:
        """False when nothing shows this id."""
        if display_id not in self._targets:
            return False
        self._updates[display_id] = update
        return True

    def has_update(self, display_id: str) -> bool:
        return display_id in self._updates

    def take_updates(self) -> list[tuple[str, list[DisplayTarget], PendingUpdate]]:
        """The updates whose outputs still exist."""
        updates, self._updates = self._updates, {}
        return [
            (display_id, list(targets), update)
            for display_id, update in updates.items()
            if (targets := self._targets.get(display_id))
        ]

    def forget_cell(self, cell_id: CellId) -> None:
        for display_id in self._ids_of_cell.pop(cell_id, set()):
            left = [target for target in self._targets.get(display_id, []) if target.cell_id != cell_id]
            if left:
                self._targets[display_id] = left
            else:
                self._targets.pop(display_id, None)

    def forget_all(self) -> None:
        self._targets.clear()
        self._ids_of_cell.clear()
        self._updates.clear()
