"""When the texts of streams become operations: a few times a second, not message by message. Pure."""

from __future__ import annotations

from kernels_app.bus.identifiers import RunId
from kernels_app.node.folding_outbox import Outbox
from kernels_app.node.folding_runs import CellRun, FoldingLimits
from kernels_app.node.folding_stream import StreamFold


class StreamSender:
    """Runs whose streams have something to send, and until when that may wait."""

    def __init__(self, outbox: Outbox, limits: FoldingLimits) -> None:
        self._outbox = outbox
        self._limits = limits
        self._waiting: dict[RunId, CellRun] = {}  # with stream text to send, in order of arrival
        self._chunking: dict[RunId, CellRun] = {}  # with a piece of whole text that is not full yet

    @property
    def due_ms(self) -> int | None:
        """When something is to be sent; None when nothing waits. Asked after each message: no list is made."""
        first: int | None = None
        for run in self._waiting.values():
            if run.due_ms is not None and (first is None or run.due_ms < first):
                first = run.due_ms
        for run in self._chunking.values():
            for stream in run.streams():
                due_ms = stream.chunk_due_ms
                if due_ms is not None and (first is None or due_ms < first):
                    first = due_ms
        return first

    def expect(self, run: CellRun, now_ms: int) -> None:
        """It has text to send, now or a little later."""
        run.due_ms = now_ms + max(self._limits.coalesce_ms, run.pause_ms)
        self._waiting[run.run_id] = run

    def forget(self, run: CellRun) -> None:
        self._waiting.pop(run.run_id, None)
        self._chunking.pop(run.run_id, None)

    def send_due(self, now_ms: int) -> None:
        for run in [run for run in self._waiting.values() if run.due_ms is None or run.due_ms <= now_ms]:
            self.flush(run, now_ms)
        for run in list(self._chunking.values()):
            for stream in run.streams():
                if stream.chunk_due_ms is not None and stream.chunk_due_ms <= now_ms:
                    self.send_chunks(run, stream, now_ms)

    def flush_all(self, now_ms: int) -> None:
        """All text that waits; pieces of whole text may go on to fill."""
        for run in list(self._waiting.values()):
            self.flush(run, now_ms)

    def seal_all(self, now_ms: int) -> None:
        """Pieces of whole text, full or not."""
        for run in list(self._chunking.values()):
            self.seal(run, now_ms)

    def flush(self, run: CellRun, now_ms: int) -> None:
        if self._waiting.pop(run.run_id, None) is not None:
            run.due_ms = None
            for stream in run.streams():
                stream.absorb(now_ms)
                self.send(run, stream, now_ms)

    def seal(self, run: CellRun, now_ms: int) -> None:
        """All there is of its streams: what comes next is another output."""
        for stream in run.streams():
            stream.seal(now_ms)
            self.send(run, stream, now_ms)

    def send(self, run: CellRun, stream: StreamFold, now_ms: int) -> None:
        head, tail = stream.head.take(), stream.tail.take()
        if head is not None:
            self._outbox.add_stream(run, stream, "head", head, now_ms)
        if tail is not None:
            self._outbox.add_stream(run, stream, "tail", tail, now_ms)
            # A tail that is replaced all the time is sent less often.
            pause_ms = len(tail.text) * 1_000 // self._limits.tail_units_per_s
            run.pause_ms = max(self._limits.tail_coalesce_ms, pause_ms)
        self.send_chunks(run, stream, now_ms)

    def send_chunks(self, run: CellRun, stream: StreamFold, now_ms: int) -> None:
        if not stream.is_long or stream.index is None:
            return
        for payload in stream.take_chunks(now_ms):
            self._outbox.add_chunk(run, stream.index, payload, now_ms)
        if stream.take_limit_reached():
            self._outbox.add_chunk(run, stream.index, None, now_ms)
        if any(other.chunk_due_ms is not None for other in run.streams()):
            self._chunking[run.run_id] = run
        else:
            self._chunking.pop(run.run_id, None)
