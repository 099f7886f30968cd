"""The kernels of a node: each command of the hub goes to the one it names."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import assert_never

import msgspec

from kernels_app.bus.envelopes import (
    AnswerInput,
    AnyCommand,
    AskKernel,
    ClearOutputs,
    Execute,
    InterruptKernel,
    KernelAnswer,
    KernelEvent,
    KernelsMeasured,
    RestartKernel,
    SendComm,
    StartKernel,
    StopKernel,
    StopRefused,
    UpdateLimits,
)
from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.operations import KernelStateName
from kernels_app.node.folding_runs import FoldingLimits
from kernels_app.node.kernel import Kernel
from kernels_app.node.life import NodeLife
from kernels_app.node.lifecycle import ENDED
from kernels_app.node.output_log import OutputLog
from kernels_app.node.records import KernelRecord
from kernels_app.node.relay_kernel import KernelRelay
from kernels_app.node.relaying import NodeRelay
from kernels_app.node.zeromq.channels import KernelContext

logger = logging.getLogger(__name__)

# An ended kernel still answers commands that were on their way, so that no run is left without an end.
LINGER_S = 60.0
_GONE = "This kernel does not run any more."


class _Hosted(msgspec.Struct):
    kernel: Kernel
    log: OutputLog | None
    task: asyncio.Task[None] | None = None
    log_task: asyncio.Task[None] | None = None
    forgetting: asyncio.Task[None] | None = None


class KernelHost:
    """`handle` is called on the event loop and returns at once."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        life: NodeLife,
        *,
        context: KernelContext,
        start_timeout_s: float,
        output_limits: FoldingLimits,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        """`catch_up`: see NodeRelay."""
        self._tasks = tasks
        self._life = life
        self._context = context
        self._start_timeout_s = start_timeout_s
        self._output_limits = output_limits
        self._hosted: dict[KernelId, _Hosted] = {}
        # Called when a kernel begins to start.
        self.on_start: Callable[[], None] = lambda: None
        self.relay = NodeRelay(
            node_id=life.node_id,
            fence=life.fence,
            transport=life.transport,
            find=self._find_relay,
            catch_up=catch_up,
            is_gathered=lambda: context.poll.is_gathered,
        )

    @property
    def kernel_count(self) -> int:
        return sum(1 for _ in self._live())

    def count_by_state(self) -> dict[str, int]:
        """Live kernels; may be called from any thread."""
        return dict(
            Counter(
                hosted.kernel.state.name
                for hosted in list(self._hosted.values())
                if hosted.kernel.state.name not in ENDED
            )
        )

    @property
    def kernel_ids(self) -> list[KernelId]:
        return sorted(kernel.kernel_id for kernel in self._live())

    @property
    def project_paths(self) -> set[str]:
        """Of the projects in which kernels live."""
        return {kernel.command.project_path for kernel in self._live()}

    @property
    def is_busy(self) -> bool:
        return any(kernel.state.name not in ("idle", *ENDED) for kernel in self._live())

    def handle(self, command: AnyCommand) -> None:
        """Carries out a command; one of another life of this node is refused."""
        if command.fence != self._life.fence:
            logger.warning("Refused a command with fence %d for kernel %s.", command.fence, command.kernel_id)
            if isinstance(command, StartKernel):
                self._report(command.kernel_id, "lost", "Its node was started anew.")
            return
        if isinstance(command, StartKernel):
            self._start(command)
            return
        hosted = self._hosted.get(command.kernel_id)
        if hosted is None:
            self._report(command.kernel_id, "lost", _GONE)
            if isinstance(command, AskKernel):
                self._life.outbox.mail(
                    command.reply_to, KernelAnswer(request_id=command.request_id, error=_GONE)
                )
            return
        self._pass_on(command, hosted.kernel)

    def _pass_on(self, command: AnyCommand, kernel: Kernel) -> None:
        has_ended = kernel.state.name in ENDED
        match command:
            case StopKernel():
                self._stop(command, kernel)
            case InterruptKernel():
                kernel.interrupt()
            case RestartKernel():
                kernel.restart()
            case Execute():
                kernel.runs.execute(command)
            case AnswerInput():
                kernel.runs.answer_input(command)
            case ClearOutputs():
                kernel.runs.clear_outputs(command)
            case AskKernel():
                kernel.runs.ask(command)
            case SendComm():
                kernel.runs.comm(command)
            case UpdateLimits():
                kernel.update_limits(command.limits)
            case StartKernel():
                raise AssertionError("starts are handled before")
            case _:
                assert_never(command)
        if has_ended:
            # Whoever sent it does not know yet: what it queued ends at once, and the end is told again.
            kernel.runs.end_all("died", "not_run", kernel.state.reason)
            self._life.outbox.event(kernel.event())

    def _stop(self, command: StopKernel, kernel: Kernel) -> None:
        if command.quiet_s is None or kernel.state.name in ENDED or kernel.was_quiet_for(command.quiet_s):
            kernel.stop(command.state, command.reason)
            return
        logger.info("Kernel %s goes on: it is used.", kernel.kernel_id)
        self._life.outbox.event(
            StopRefused(
                node_id=self._life.node_id,
                fence=self._life.fence,
                at=self._life.clock_ms(),
                kernel_id=kernel.kernel_id,
                state=kernel.state.name,
            )
        )

    def _start(self, command: StartKernel) -> None:
        known = self._hosted.get(command.kernel_id)
        if known is not None:  # a repeat
            self._life.outbox.event(known.kernel.event())
            return
        hosted = self._make(command)
        if hosted.log is not None:
            hosted.log_task = self._tasks.create_task(hosted.log.run())
        hosted.task = self._tasks.create_task(self._host(hosted))
        self.on_start()

    async def adopt(self, record: KernelRecord) -> None:
        """Takes over a kernel of an earlier life of the node, under this life's number. Waits for the wire."""
        hosted = self._make(msgspec.structs.replace(record.command, fence=self._life.fence))
        is_last_writer = hosted.log is None or await hosted.log.resume()
        if hosted.log is not None:
            hosted.log_task = self._tasks.create_task(hosted.log.run())
        hosted.task = self._tasks.create_task(self._host(hosted, record))
        if not is_last_writer:
            await asyncio.sleep(0)  # it has begun
            hosted.kernel.stop("lost", "Another kernel took over the notebook.")

    def _make(self, command: StartKernel) -> _Hosted:
        log: OutputLog | None = None
        if command.document_id is not None:
            log = OutputLog(
                self._life.transport,
                command.document_id,
                command.log_generation,
                clock_ms=self._life.clock_ms,
                limits=self._output_limits,
                on_pressure=lambda is_high: hosted.kernel.on_pressure(is_high),  # noqa: PLW0108  made below
                on_superseded=lambda: hosted.kernel.stop("lost", "Another kernel took over the notebook."),
            )
        kernel = Kernel(
            command,
            node_id=self._life.node_id,
            launcher=self._life.launcher,
            context=self._context,
            log=log,
            outbox=self._life.outbox,
            clock_ms=self._life.clock_ms,
            start_timeout_s=self._start_timeout_s,
            on_relay_news=self.relay.on_news,
        )
        hosted = _Hosted(kernel, log)
        self._hosted[command.kernel_id] = hosted
        return hosted

    async def _host(self, hosted: _Hosted, record: KernelRecord | None = None) -> None:
        await hosted.kernel.run(record)
        logger.info(
            "Kernel %s ended: %s (%s)",
            hosted.kernel.kernel_id,
            hosted.kernel.state.name,
            hosted.kernel.state.reason,
        )
        hosted.forgetting = self._tasks.create_task(self._forget(hosted))

    async def _forget(self, hosted: _Hosted) -> None:
        """After a while, and once its last outputs are written, however long the wire is away."""
        await asyncio.sleep(LINGER_S)
        if hosted.log is not None:
            await hosted.log.flush()
        self._hosted.pop(hosted.kernel.kernel_id, None)
        if hosted.log_task is not None:
            hosted.log_task.cancel()

    def _report(self, kernel_id: KernelId, state: KernelStateName, reason: str) -> None:
        self._life.outbox.event(
            KernelEvent(
                node_id=self._life.node_id,
                fence=self._life.fence,
                at=self._life.clock_ms(),
                kernel_id=kernel_id,
                state=state,
                reason=reason,
            )
        )

    def check_limits(self) -> None:
        for kernel in list(self._live()):
            kernel.check_limits()

    def measure(self, now_s: float) -> None:
        """Tells the hub what kernels use, of those for which it changed."""
        figures = {kernel.kernel_id: kernel.figures(now_s) for kernel in self._live()}
        changed = {kernel_id: found for kernel_id, found in figures.items() if found is not None}
        if changed:
            self._life.outbox.event(
                KernelsMeasured(
                    node_id=self._life.node_id,
                    fence=self._life.fence,
                    at=self._life.clock_ms(),
                    kernels=changed,
                )
            )

    def check_logs(self) -> None:
        """The wire was interrupted: what it may have lost is written again."""
        for hosted in self._hosted.values():
            if hosted.log is not None:
                hosted.log.check()

    def end_in_project(self, project_path: str, reason: str, *, only_busy: bool) -> bool:
        """Ends the project's kernels at once, as for a limit; whether there were any."""
        found = [
            kernel
            for kernel in self._live()
            if kernel.command.project_path == project_path
            and not (only_busy and kernel.state.name in ("idle", "stopping"))
        ]
        for kernel in found:
            kernel.stop("killed", reason)
        return bool(found)

    async def end_all(self, end_name: KernelStateName, reason: str) -> None:
        """Returns when every kernel has ended, in about the time one takes."""
        for kernel in list(self._live()):
            kernel.stop(end_name, reason)
        waiting = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
        if waiting:
            await asyncio.wait(waiting)

    async def leave_all(self, reason: str) -> None:
        """Kernels that outlive the node are left as they are, the others end. After `flush_logs`, call `left`."""
        ending = [hosted for hosted in self._hosted.values() if hosted.kernel in list(self._live())]
        ending = [hosted for hosted in ending if not hosted.kernel.leave()]
        for hosted in ending:
            hosted.kernel.stop("stopped", reason)
        waiting = [hosted.task for hosted in ending if hosted.task is not None]
        if waiting:
            await asyncio.wait(waiting)

    def left(self) -> None:
        for kernel in self._live():
            kernel.left()

    async def flush_logs(self) -> None:
        """Returns when all outputs are written. Give it a deadline."""
        async with asyncio.TaskGroup() as flushing:
            for hosted in self._hosted.values():
                if hosted.log is not None:
                    flushing.create_task(hosted.log.flush())

    def cancel(self) -> None:
        """Cancels what still runs; kernels clean up behind themselves."""
        for hosted in self._hosted.values():
            for task in (hosted.task, hosted.log_task, hosted.forgetting):
                if task is not None:
                    task.cancel()

    def _find_relay(self, kernel_id: KernelId) -> KernelRelay | None:
        hosted = self._hosted.get(kernel_id)
        return None if hosted is None else hosted.kernel.relay

    def _live(self) -> Iterator[Kernel]:
        return (hosted.kernel for hosted in self._hosted.values() if hosted.kernel.state.name not in ENDED)
