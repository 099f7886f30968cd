"""Folds a kernel's messages into the operations of its document's output log, as JupyterLab shows them. Pure.

One `Folding` a document and kernel. Stream texts are only collected when their message comes; the work is
done a few times a second, when `take` asks for what is due. Rules: docs/reference/runs.md and "Messaging
in Jupyter" 5.5, Messages on the IOPub (PUB/SUB) channel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from kernels_app.bus.identifiers import CellId, RunId
from kernels_app.bus.operations import (
    AnyOperation,
    CellOperation,
    Clear,
    Counted,
    Display,
    DisplayTarget,
    Error,
    Finished,
    InputClosed,
    InputRequest,
    OutputType,
    RunStatus,
    Started,
    UpdateDisplay,
)
from kernels_app.node.folding_outbox import DisplayRegistry, Folded, Outbox, PendingUpdate
from kernels_app.node.folding_payloads import (
    Bundle,
    clean_text,
    fit_count,
    fold_bundle,
    fold_traceback,
)
from kernels_app.node.folding_runs import CellRun, FoldingLimits, OutputSpace
from kernels_app.node.folding_sending import StreamSender
from kernels_app.node.folding_stream import StreamFold

__all__ = ["Folded", "Folding", "FoldingLimits"]

_ABSORB_CHARS = 65_536  # text that waits is looked at when there is this much of it: bounds memory
_OPEN_FINISHED_RUNS = 16  # finished runs whose last stream a thread can still append to
_MAX_NAME_CHARS = 8_192
_MAX_PROMPTS = 16
_HIDDEN_LINE = "········"


class Folding:
    """Feed it messages; `take` gives operations. Never raises on what a kernel sends."""

    def __init__(self, next_seq: Callable[[], int], limits: FoldingLimits | None = None) -> None:
        self._limits = limits or FoldingLimits()
        self._cells: dict[CellId, CellRun] = {}
        self._runs: dict[RunId, CellRun] = {}
        self._finished: OrderedDict[RunId, None] = OrderedDict()
        self._displays = DisplayRegistry()
        self._outbox = Outbox(next_seq, self._limits.coalesce_ms)
        self._streams = StreamSender(self._outbox, self._limits)

    # What the node tells

    def start_run(self, cell_id: CellId, run_id: RunId, now_ms: int) -> None:
        """The kernel took the run: the cell's outputs are emptied, and an older run of it is forgotten."""
        old = self._cells.get(cell_id)
        self._clear_cell(cell_id, old)
        if old is not None:
            self._runs.pop(old.run_id, None)
            self._finished.pop(old.run_id, None)
        self._cells[cell_id] = self._runs[run_id] = CellRun(cell_id, run_id, self._limits)
        self._outbox.add(Started(seq=0, at=now_ms, cell_id=cell_id, run_id=run_id), now_ms)

    def message(
        self, run_id: RunId, msg_type: str, content: dict[str, Any], metadata: dict[str, Any], now_ms: int
    ) -> None:
        """A message of the kernel whose parent is this run's request. Ignored: unknown types, and whatever
        belongs to a run that is not the last one of its cell."""
        run = self._runs.get(run_id)
        if run is None:
            return
        match msg_type:
            case "stream":
                self._fold_stream(run, content.get("name"), content.get("text"), now_ms)
            case "display_data":
                self._fold_display(run, "display_data", content, now_ms)
            case "execute_result":
                self._fold_display(run, "execute_result", content, now_ms)
            case "update_display_data":
                self._fold_update(content, now_ms)
            case "error":
                self._fold_error(run, content, now_ms)
            case "clear_output":
                if content.get("wait"):
                    run.clears_next = True
                else:
                    self._clear(run, now_ms)
            case "execute_input":
                self._fold_count(run, content, now_ms)

    def emit(self, operation: AnyOperation, now_ms: int) -> None:
        """An operation of the node's own, after everything that was folded so far."""
        if not isinstance(operation, CellOperation):
            self._flush_all(now_ms)
            self._outbox.add(operation, now_ms)
            return
        run = self._cells.get(operation.cell_id)
        if isinstance(operation, InputRequest):
            prompt = clean_text(operation.prompt, _MAX_NAME_CHARS)
            operation = msgspec.structs.replace(operation, prompt=prompt)
        elif isinstance(operation, InputClosed) and operation.value is not None:
            operation = msgspec.structs.replace(operation, value=clean_text(operation.value))
        if isinstance(operation, Clear):
            self._clear_cell(operation.cell_id, run)
        elif run is not None and run.run_id == operation.run_id:
            self._flush_updates(now_ms)
            self._streams.flush(run, now_ms)
            if isinstance(operation, InputRequest) and len(run.prompts) < _MAX_PROMPTS:
                run.prompts[operation.input_id] = (operation.prompt, operation.password)
        self._outbox.add(operation, now_ms)
        if isinstance(operation, InputClosed) and run is not None and run.run_id == operation.run_id:
            self._echo_input(run, operation, now_ms)

    def finish_run(
        self,
        run_id: RunId,
        status: RunStatus,
        now_ms: int,
        *,
        execution_count: int | None = None,
        started_at: int | None = None,
        reason: str = "",
    ) -> None:
        """The run ended: all of it is ready. What a thread of it prints later still goes to its cell."""
        run = self._runs.get(run_id)
        if run is None:
            return
        run.clears_next = False
        self._flush_updates(now_ms)
        self._streams.flush(run, now_ms)
        self._streams.seal(run, now_ms)
        self._outbox.add(
            Finished(
                seq=0,
                at=now_ms,
                cell_id=run.cell_id,
                run_id=run_id,
                status=status,
                execution_count=fit_count(execution_count),
                started_at=started_at,
                finished_at=now_ms,
                reason=reason,
            ),
            now_ms,
        )
        self._finished[run_id] = None
        if len(self._finished) > _OPEN_FINISHED_RUNS:
            oldest, _ = self._finished.popitem(last=False)
            self._streams.flush(self._runs[oldest], now_ms)
            self._streams.seal(self._runs[oldest], now_ms)
            self._runs[oldest].close_streams()

    def forget_displays(self) -> None:
        """The kernel is a new process: display ids of the old one mean nothing to it."""
        self._displays.forget_all()

    # What the node asks

    @property
    def due_ms(self) -> int | None:
        """When `take` will have something; None when nothing waits."""
        others_ms, streams_ms = self._outbox.due_ms, self._streams.due_ms
        if others_ms is None or streams_ms is None:
            return streams_ms if others_ms is None else others_ms
        return min(others_ms, streams_ms)

    def poll(self, now_ms: int) -> None:
        """Fold the streams that are due; `take` does it too."""
        self._streams.send_due(now_ms)

    def take(self, now_ms: int, force: bool = False) -> Folded:
        """What is ready, numbered; with `force` everything there is, due or not."""
        if force:
            self._flush_all(now_ms)
            self._streams.seal_all(now_ms)
            return self._outbox.take()
        due_ms = self.due_ms
        if due_ms is None or due_ms > now_ms:
            return Folded([], [])
        self.poll(now_ms)
        self._flush_updates(now_ms)
        return self._outbox.take()

    # Messages

    def _fold_stream(self, run: CellRun, name: Any, text: Any, now_ms: int) -> None:
        if not isinstance(text, str) or not text:
            return
        stream_name = "stderr" if name == "stderr" else "stdout"
        stream = run.stream
        if stream is None or stream.name != stream_name or run.clears_next:
            stream = self._open_stream(run, stream_name, now_ms)
        stream.feed(text)
        if run.due_ms is None:
            self._streams.expect(run, now_ms)
        if stream.pending_chars >= _ABSORB_CHARS:
            stream.absorb(now_ms)
            if stream.is_long and stream.index is None:
                self._streams.send(run, stream, now_ms)
            else:
                self._streams.send_chunks(run, stream, now_ms)

    def _open_stream(self, run: CellRun, name: str, now_ms: int) -> StreamFold:
        self._begin_output(run, now_ms)
        if self._find_space(run, now_ms) is OutputSpace.FREE:
            run.stream = run.new_stream(name)
        else:
            # Both streams go on, each in one last output, whatever their order.
            run.stream = run.overflow.get(name) or run.new_stream(name)
            run.overflow[name] = run.stream
        return run.stream

    def _fold_display(self, run: CellRun, kind: OutputType, content: dict[str, Any], now_ms: int) -> None:
        self._begin_output(run, now_ms)
        if not self._find_space_or_extra(run, kind == "execute_result", now_ms):
            return
        display_id = _display_id(content)
        if display_id is not None and self._displays.has_update(display_id):
            self._flush_updates(now_ms)
        bundle = self._fold_bundle(content.get("data"), content.get("metadata"))
        index = run.take_index()
        self._outbox.add(
            Display(
                seq=0,
                at=now_ms,
                cell_id=run.cell_id,
                run_id=run.run_id,
                index=index,
                output_type=kind,
                data=bundle.data,
                metadata=bundle.metadata,
                blobs=bundle.blobs,
                display_id=display_id,
                execution_count=fit_count(content.get("execution_count"))
                if kind == "execute_result"
                else None,
            ),
            now_ms + self._limits.coalesce_ms,
        )
        if display_id is not None:
            self._displays.register(display_id, DisplayTarget(run.cell_id, index))
        if bundle.left_out and self._find_space(run, now_ms) is OutputSpace.FREE:
            limit = f"more than {self._limits.max_payload_bytes // 2**20} MB, or damaged"
            text = f"Left out of this output: {', '.join(sorted(bundle.left_out)[:10])} ({limit})."
            self._outbox.add_notice(run, "output_left_out", text, now_ms)

    def _fold_update(self, content: dict[str, Any], now_ms: int) -> None:
        display_id = _display_id(content)
        update = PendingUpdate(content.get("data"), content.get("metadata"))
        if display_id is not None and self._displays.update(display_id, update):
            self._outbox.want(now_ms + self._limits.coalesce_ms)

    def _fold_error(self, run: CellRun, content: dict[str, Any], now_ms: int) -> None:
        self._begin_output(run, now_ms)
        if not self._find_space_or_extra(run, True, now_ms):
            return
        self._outbox.add(
            Error(
                seq=0,
                at=now_ms,
                cell_id=run.cell_id,
                run_id=run.run_id,
                index=run.take_index(),
                ename=clean_text(content.get("ename"), _MAX_NAME_CHARS),
                evalue=clean_text(content.get("evalue"), _MAX_NAME_CHARS),
                traceback=fold_traceback(content.get("traceback"), self._limits.traceback_chars),
            ),
            now_ms + self._limits.coalesce_ms,
        )

    def _fold_count(self, run: CellRun, content: dict[str, Any], now_ms: int) -> None:
        count = fit_count(content.get("execution_count"))
        if count is not None:
            counted = Counted(seq=0, at=now_ms, cell_id=run.cell_id, run_id=run.run_id, execution_count=count)
            self._outbox.add(counted, now_ms + self._limits.coalesce_ms)

    def _echo_input(self, run: CellRun, closed: InputClosed, now_ms: int) -> None:
        """The line the person gave stays visible, as in JupyterLab; a password only as dots."""
        prompt, is_password = run.prompts.pop(closed.input_id, ("", False))
        if closed.value is not None:
            shown = _HIDDEN_LINE if is_password else closed.value
            self._fold_stream(run, "stdout", f"{prompt}{shown}\n", now_ms)

    def _fold_bundle(self, data: Any, metadata: Any) -> Bundle:
        bundle = fold_bundle(
            data,
            metadata,
            inline_payload_bytes=self._limits.inline_payload_bytes,
            max_payload_bytes=self._limits.max_payload_bytes,
        )
        self._outbox.add_payloads(bundle.payloads)
        return bundle

    # Outputs of a cell

    def _begin_output(self, run: CellRun, now_ms: int) -> None:
        """A waiting `clear_output` is applied, or else the stream before the new output is complete."""
        if run.clears_next:
            self._clear(run, now_ms)
        elif not run.is_full:
            self._streams.flush(run, now_ms)
            self._streams.seal(run, now_ms)
            run.close_stream()

    def _find_space(self, run: CellRun, now_ms: int) -> OutputSpace:
        """Whether one more output may be added; the first refusal is shown."""
        if not run.is_full and run.output_count >= self._limits.max_outputs:
            run.is_full = True
            text = (
                f"This run made more than {self._limits.max_outputs:,} outputs. Further pictures and tables are "
                "left out. Further text is below, standard output and standard error apart."
            )
            self._outbox.add_notice(run, "too_many_outputs", text, now_ms)
        return OutputSpace.NONE if run.is_full else OutputSpace.FREE

    def _find_space_or_extra(self, run: CellRun, may_be_extra: bool, now_ms: int) -> bool:
        """Errors and results, of which a run has few, are shown past the limit too."""
        if self._find_space(run, now_ms) is OutputSpace.FREE:
            return True
        if not may_be_extra or not run.take_extra():
            return False
        self._streams.flush(run, now_ms)
        return True

    def _clear(self, run: CellRun, now_ms: int) -> None:
        self._clear_cell(run.cell_id, run)
        self._outbox.add(
            Clear(seq=0, at=now_ms, cell_id=run.cell_id, run_id=run.run_id), now_ms + self._limits.coalesce_ms
        )

    def _clear_cell(self, cell_id: CellId, run: CellRun | None) -> None:
        """The cell's outputs, sent or not, are void; its run begins again with none."""
        self._displays.forget_cell(cell_id)
        self._outbox.drop_outputs(cell_id)
        if run is not None:
            run.reset()
            self._streams.forget(run)

    # What waits

    def _flush_all(self, now_ms: int) -> None:
        self._flush_updates(now_ms)
        self._streams.flush_all(now_ms)

    def _flush_updates(self, now_ms: int) -> None:
        for display_id, targets, update in self._displays.take_updates():
            bundle = self._fold_bundle(update.data, update.metadata)
            self._outbox.add(
                UpdateDisplay(
                    seq=0,
                    at=now_ms,
                    display_id=display_id,
                    targets=targets,
                    data=bundle.data,
                    metadata=bundle.metadata,
                    blobs=bundle.blobs,
                ),
                now_ms,
            )


def _display_id(content: dict[str, Any]) -> str | None:
    transient = content.get("transient")
    value = transient.get("display_id") if isinstance(transient, dict) else None
    return clean_text(value, _MAX_NAME_CHARS) if isinstance(value, str) and value else None
