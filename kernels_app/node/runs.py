"""The runs of one kernel: commands of the hub to kernel messages, kernel messages to the output log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from kernels_app.bus.envelopes import (
    AnswerInput,
    AskKernel,
    ClearOutputs,
    Execute,
    SendComm,
)
from kernels_app.bus.identifiers import CellId, KernelId, RunId, run_topic
from kernels_app.bus.operations import (
    AnyOperation,
    Clear,
    Finished,
    InputClosed,
    InputRequest,
    Queued,
    RunStatus,
)
from kernels_app.node.admission import Admission, EndedRun, QueuedRun
from kernels_app.node.asking import Asks
from kernels_app.node.outbox import Outbox
from kernels_app.node.output_log import OutputLog
from kernels_app.node.records import KeptRun
from kernels_app.node.zeromq.channel_base import Sender
from kernels_app.node.zeromq.frames import InvalidMessage, KernelMessage

# A kernel answers a run before it tells that it is idle again; on another socket, so a moment may lie between.
REPLY_S = 5.0
# One that was interrupted between its own steps gives no answer at all.
INTERRUPTED_REPLY_S = 1.0
# An ended run may have operations that are not written yet for this long, if the wire is there.
RECENT_MS = 2_000
COMM_TYPES = frozenset({"comm_open", "comm_msg", "comm_close"})
_FOLDED_TYPES = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "error", "clear_output",
     "execute_input"}
)  # fmt: skip


class _OpenInput(msgspec.Struct, frozen=True):
    input_id: str
    run: QueuedRun
    is_password: bool
    header: bytes


class KernelRuns:
    """Decides with `Admission`, folds with the output log's folding, speaks through `send`.

    `log` is None for a kernel without a document: its runs are carried out, their outputs go nowhere.
    """

    def __init__(
        self,
        kernel_id: KernelId,
        *,
        log: OutputLog | None,
        outbox: Outbox,
        send: Sender,
        clock_ms: Callable[[], int],
        on_change: Callable[[], None] = lambda: None,
        is_paused: Callable[[], bool] = lambda: False,
    ) -> None:
        """`on_change` is called before a run is sent to the kernel, and when what is to be kept has changed.
        `is_paused` tells whether the kernel's processes are stopped where they are."""
        self._is_paused = is_paused
        self._on_change = on_change
        self._recent: deque[tuple[int, KeptRun]] = deque()
        self._kernel_id = kernel_id
        self._log = log
        self._outbox = outbox
        self._send = send
        self._clock_ms = clock_ms
        self._admission = Admission()
        self._is_open = False
        self._asks = Asks(outbox=outbox, send=send)
        self._input: _OpenInput | None = None

    @property
    def is_running(self) -> bool:
        return self._admission.running is not None

    @property
    def running_id(self) -> str:
        """Of the run that the kernel was sent and has not ended; "" when there is none."""
        running = self._admission.running
        return "" if running is None else running.run.run_id

    @property
    def has_any(self) -> bool:
        """Whether a run is under way or waits."""
        return self.is_running or self._admission.queued_count > 0

    def kept(self) -> list[KeptRun]:
        """What another life of the node would have to know of these runs, in order."""
        oldest_ms = self._clock_ms() - RECENT_MS
        while self._recent and self._recent[0][0] < oldest_ms:
            self._recent.popleft()
        kept = [run for _, run in self._recent]
        if (running := self._admission.running) is not None:
            kept.append(KeptRun(running.run, running.started_at))
        return kept + [KeptRun(run) for run in self._admission.waiting]

    def restore(self, kept: list[KeptRun]) -> None:
        """Before `open`: what an earlier life of the node kept."""
        self._admission.restore([(item.run, item.started_at) for item in kept])

    def written(self) -> None:
        """All outputs are in the log: ended runs need not be known any more."""
        self._recent.clear()

    def lose(self, run_id: RunId) -> None:
        """The kernel ended this run while no node listened, and does not know what it said."""
        self._end(self._admission.lose(run_id, "Its outputs were lost when the node was restarted."))
        self._pump()

    # Commands of the hub

    def execute(self, command: Execute) -> None:
        now_ms = self._clock_ms()
        for run in self._admission.admit(
            command.cells,
            request_id=command.request_id,
            stop_on_error=command.stop_on_error,
            allow_stdin=command.allow_stdin,
        ):
            self._emit(
                Queued(
                    seq=0,
                    at=now_ms,
                    cell_id=run.cell_id,
                    run_id=run.run_id,
                    source_sha256=hashlib.sha256(run.source.encode("utf-8", "replace")).hexdigest(),
                )
            )
        self._on_change()
        self._pump()

    def interrupt(self) -> None:
        """Cancels what waits; the kernel itself is interrupted by who owns it."""
        self._end(self._admission.interrupt())

    def answer_input(self, command: AnswerInput) -> None:
        waiting = self._input
        if waiting is None or waiting.input_id != command.input_id:
            return  # answered by someone else, or no longer wanted
        self._send(
            "stdin",
            "input_reply",
            msgspec.json.encode({"value": command.value, "status": "ok"}),
            msg_id=secrets.token_hex(16),
            parent_header=waiting.header,
        )
        self._close_input("" if waiting.is_password else command.value)

    def clear_outputs(self, command: ClearOutputs) -> None:
        now_ms = self._clock_ms()
        for cell_id in command.cell_ids:
            self._emit(Clear(seq=0, at=now_ms, cell_id=cell_id, run_id=self._run_of(cell_id)))

    def ask(self, command: AskKernel) -> None:
        if self._asks.add(command):
            self._pump()

    def comm(self, command: SendComm) -> None:
        if self._is_open and command.message_type in COMM_TYPES:
            self._send(
                "shell",
                command.message_type,
                command.content,
                msg_id=secrets.token_hex(16),
                metadata=command.metadata,
                buffers=command.buffers,
            )

    # The kernel's life

    def open(self) -> None:
        """The kernel is ready: what waits may go."""
        self._is_open = True
        if self._log is not None:
            self._log.folding.forget_displays()
        self._pump()

    def end_all(self, running_status: RunStatus, queued_status: RunStatus, reason: str) -> None:
        """The kernel's process is ending: nothing of these runs comes back."""
        self._is_open = False
        self._close_input(None)
        self._end(self._admission.end_all(running_status, queued_status, reason))
        self._asks.end_all(reason)

    # Messages of the kernel

    def on_iopub(self, message: KernelMessage) -> None:
        """Raises InvalidMessage."""
        if message.msg_type in _FOLDED_TYPES:
            if self._log is not None:
                self._log.folding.message(
                    RunId(message.parent_id),
                    message.msg_type,
                    message.content(),
                    message.metadata(),
                    self._clock_ms(),
                )
                self._log.changed(message.size_bytes)
        elif message.msg_type == "status":
            if message.execution_state() == "idle":
                run_id = RunId(message.parent_id)
                self._end(self._admission.idle(run_id))
                if self.running_id == run_id:
                    self._expect_reply(run_id)
                self._pump()
        elif message.msg_type in COMM_TYPES and self._log is not None:
            self._outbox.publish(run_topic(self._log.document_id), _comm_frame(self._kernel_id, message))

    def on_shell(self, message: KernelMessage) -> None:
        """Raises InvalidMessage."""
        if message.msg_type == "execute_reply":
            content = message.content()
            status = content.get("status")
            count = content.get("execution_count")
            self._end(
                self._admission.reply(
                    RunId(message.parent_id),
                    "ok" if status == "ok" else "error",
                    count if isinstance(count, int) else None,
                )
            )
            self._pump()
        else:
            self._asks.on_reply(message)

    def on_stdin(self, message: KernelMessage) -> None:
        """Raises InvalidMessage."""
        running = self._admission.running
        if message.msg_type != "input_request" or running is None:
            return
        if running.run.run_id != message.parent_id:
            return
        content = message.content()
        self._close_input(None)
        self._input = _OpenInput(
            secrets.token_hex(8), running.run, content.get("password") is True, message.header
        )
        prompt = content.get("prompt")
        self._emit(
            InputRequest(
                seq=0,
                at=self._clock_ms(),
                cell_id=running.run.cell_id,
                run_id=running.run.run_id,
                input_id=self._input.input_id,
                prompt=prompt if isinstance(prompt, str) else "",
                password=self._input.is_password,
            )
        )

    # Inside

    def _pump(self) -> None:
        """Sends what may be sent now: questions between runs, then the next run."""
        if not self._is_open or self._admission.running is not None:
            return
        self._asks.send_waiting()
        run = self._admission.start_next(self._clock_ms())
        if run is None:
            return
        self._on_change()
        if self._log is not None:
            self._log.folding.start_run(run.cell_id, run.run_id, self._clock_ms())
            self._log.changed()
        content: dict[str, Any] = {
            "code": run.source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": run.allow_stdin,
            "stop_on_error": run.stop_on_error,
        }
        metadata = msgspec.json.encode({"cellId": run.cell_id})
        self._send(
            "shell", "execute_request", msgspec.json.encode(content), msg_id=run.run_id, metadata=metadata
        )

    def _end(self, ended: list[EndedRun]) -> None:
        if not ended:
            return
        now_ms = self._clock_ms()
        for item in ended:
            run = item.run
            if self._input is not None and self._input.run.run_id == run.run_id:
                self._close_input(None)
            if item.started_at is not None:
                self._recent.append((now_ms, KeptRun(run, item.started_at)))
                if self._log is not None:
                    self._log.folding.finish_run(
                        run.run_id,
                        item.status,
                        now_ms,
                        execution_count=item.execution_count,
                        started_at=item.started_at,
                        reason=item.reason,
                    )
                    self._log.changed()
                continue
            self._emit(
                Finished(
                    seq=0,
                    at=now_ms,
                    cell_id=run.cell_id,
                    run_id=run.run_id,
                    status=item.status,
                    finished_at=now_ms,
                    reason=item.reason,
                )
            )
        self._on_change()

    def _expect_reply(self, run_id: RunId) -> None:
        running = self._admission.running
        was_interrupted = running is not None and running.was_interrupted
        seconds = INTERRUPTED_REPLY_S if was_interrupted else REPLY_S
        asyncio.get_running_loop().call_later(seconds, self._end_unanswered, run_id)

    def _end_unanswered(self, run_id: RunId) -> None:
        if self._is_paused():
            self._expect_reply(run_id)
            return
        self._end(self._admission.end_unanswered(run_id))
        self._pump()

    def _close_input(self, value: str | None) -> None:
        waiting, self._input = self._input, None
        if waiting is not None:
            self._emit(
                InputClosed(
                    seq=0,
                    at=self._clock_ms(),
                    cell_id=waiting.run.cell_id,
                    run_id=waiting.run.run_id,
                    input_id=waiting.input_id,
                    value=value,
                )
            )

    def _emit(self, operation: AnyOperation) -> None:
        if self._log is not None:
            self._log.folding.emit(operation, self._clock_ms())
            self._log.changed()

    def _run_of(self, cell_id: CellId) -> RunId:
        running = self._admission.running
        return running.run.run_id if running is not None and running.run.cell_id == cell_id else RunId("")


def _comm_frame(kernel_id: KernelId, message: KernelMessage) -> bytes:
    """The JSON frame browsers get. Raises InvalidMessage."""
    frame = {
        "type": "comm",
        "kernel_id": kernel_id,
        "message_type": message.msg_type,
        "content": message.content(),
        "metadata": message.metadata(),
        "buffers": [base64.b64encode(buffer).decode() for buffer in message.buffers],
    }
    try:
        return msgspec.json.encode(frame)  # NaN becomes null: browsers know no NaN in JSON
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise InvalidMessage("A comm message is not JSON.") from error
