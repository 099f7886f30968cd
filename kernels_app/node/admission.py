"""The run queue of one kernel: what runs, what waits, what ends how. Pure.

One run at a time. A run is over when both its reply and the kernel's `idle` for it are there.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from kernels_app.bus.envelopes import CellSource
from kernels_app.bus.identifiers import CellId, RunId
from kernels_app.bus.operations import RunStatus

ReplyStatus = Literal["ok", "error", "aborted"]

# Run ids remembered to ignore repeats; a repeat comes within seconds, this is hours of runs.
SEEN_COUNT = 10_000


class QueuedRun(msgspec.Struct, frozen=True):
    run_id: RunId
    cell_id: CellId
    request_id: str
    source: str
    stop_on_error: bool
    allow_stdin: bool


class RunningRun(msgspec.Struct):
    run: QueuedRun
    started_at: int
    reply: ReplyStatus | None = None
    execution_count: int | None = None
    is_idle: bool = False
    was_interrupted: bool = False


class EndedRun(msgspec.Struct, frozen=True):
    """One run that is over. `started_at` None: it never started."""

    run: QueuedRun
    status: RunStatus
    reason: str = ""
    started_at: int | None = None
    execution_count: int | None = None


class Admission:
    """Every method decides and returns; nothing is sent from here."""

    def __init__(self) -> None:
        self.running: RunningRun | None = None
        self._queue: deque[QueuedRun] = deque()
        self._seen: dict[RunId, None] = {}
        self._restored_at: dict[RunId, int] = {}

    @property
    def waiting(self) -> tuple[QueuedRun, ...]:
        return tuple(self._queue)

    def restore(self, runs: list[tuple[QueuedRun, int | None]]) -> None:
        """What an earlier life of the node had not ended, with when it started. It runs again from its start:
        a kernel that knows the run says again what it said."""
        for run, started_at in runs:
            self._seen[run.run_id] = None
            self._queue.append(run)
            if started_at is not None:
                self._restored_at[run.run_id] = started_at

    def lose(self, run_id: RunId, reason: str) -> list[EndedRun]:
        """Nobody knows how the run ended."""
        running = self.running
        if running is None or running.run.run_id != run_id:
            return []
        self.running = None
        return [EndedRun(running.run, "died", reason, running.started_at, running.execution_count)]

    @property
    def queued_count(self) -> int:
        return len(self._queue)

    def admit(
        self, cells: list[CellSource], *, request_id: str, stop_on_error: bool, allow_stdin: bool
    ) -> list[QueuedRun]:
        """The runs that are new, now queued. Repeats of a `run_id` are ignored."""
        admitted = []
        for cell in cells:
            if cell.run_id in self._seen:
                continue
            self._seen[cell.run_id] = None
            run = QueuedRun(cell.run_id, cell.cell_id, request_id, cell.source, stop_on_error, allow_stdin)
            self._queue.append(run)
            admitted.append(run)
        while len(self._seen) > SEEN_COUNT:
            del self._seen[next(iter(self._seen))]
        return admitted

    def start_next(self, now_ms: int) -> QueuedRun | None:
        """The run to send now; None while one runs or nothing waits."""
        if self.running is not None or not self._queue:
            return None
        run = self._queue.popleft()
        self.running = RunningRun(run, self._restored_at.pop(run.run_id, now_ms))
        return run

    def reply(self, run_id: RunId, status: ReplyStatus, execution_count: int | None) -> list[EndedRun]:
        """The kernel answered the run. What is over now, in order."""
        if self.running is None or self.running.run.run_id != run_id:
            return []
        self.running.reply = status
        self.running.execution_count = execution_count
        return self._end_if_over()

    def idle(self, run_id: RunId) -> list[EndedRun]:
        """The kernel told `idle` for the run. What is over now, in order."""
        if self.running is None or self.running.run.run_id != run_id:
            return []
        self.running.is_idle = True
        return self._end_if_over()

    def end_unanswered(self, run_id: RunId) -> list[EndedRun]:
        """The kernel is idle again and never answered the run: an interrupt hit it between its own steps."""
        running = self.running
        if running is None or running.run.run_id != run_id or not running.is_idle:
            return []
        running.reply = "error"
        return self._end_if_over()

    def interrupt(self) -> list[EndedRun]:
        """What waits is cancelled; what runs ends as interrupted if it ends with an error."""
        if self.running is not None:
            self.running.was_interrupted = True
        return self._drop_queue("cancelled", "The run was interrupted before it started.")

    def end_all(self, running_status: RunStatus, queued_status: RunStatus, reason: str) -> list[EndedRun]:
        """The kernel is gone or starts anew: nothing of this comes back."""
        ended = []
        if self.running is not None:
            running, self.running = self.running, None
            ended.append(
                EndedRun(running.run, running_status, reason, running.started_at, running.execution_count)
            )
        return ended + self._drop_queue(queued_status, reason)

    def _end_if_over(self) -> list[EndedRun]:
        running = self.running
        if running is None or running.reply is None or not running.is_idle:
            return []
        self.running = None
        status: RunStatus = running.reply
        if status != "ok" and running.was_interrupted:
            status = "interrupted"
        ended = [
            EndedRun(
                running.run,
                status,
                started_at=running.started_at,
                execution_count=running.execution_count,
            )
        ]
        if status != "ok" and running.run.stop_on_error:
            ended += self._abort_request(running.run.request_id)
        return ended

    def _abort_request(self, request_id: str) -> list[EndedRun]:
        """An earlier cell of the same request failed."""
        aborted = [run for run in self._queue if run.request_id == request_id]
        self._queue = deque(run for run in self._queue if run.request_id != request_id)
        reason = "An earlier cell failed."
        return [EndedRun(run, "aborted", reason) for run in aborted]

    def _drop_queue(self, status: RunStatus, reason: str) -> list[EndedRun]:
        dropped, self._queue = self._queue, deque()
        return [EndedRun(run, status, reason) for run in dropped]
