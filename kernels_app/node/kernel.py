"""One kernel on this node: carries out what `lifecycle` decides and tells it what happened."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

import msgspec

from kernels_app.bus.envelopes import KernelEvent, KernelFigures, Limits, StartKernel
from kernels_app.bus.identifiers import NodeId, RunId
from kernels_app.bus.operations import KernelStateName
from kernels_app.node import lifecycle
from kernels_app.node.announcing import Announcements
from kernels_app.node.endings import exit_reason, memory_reason, short, without_folders
from kernels_app.node.interrupting import Interrupts
from kernels_app.node.kernel_process import CannotStart, KernelProcess
from kernels_app.node.launching import Launcher, LaunchRefused, PreparedLaunch
from kernels_app.node.lifecycle import ENDED, READY, State
from kernels_app.node.metrics import LAUNCH_SECONDS
from kernels_app.node.outbox import Outbox
from kernels_app.node.output_log import OutputLog
from kernels_app.node.provisioners.base import NodeProvisioner
from kernels_app.node.provisioners.process import last_lines
from kernels_app.node.provisioners.processes import Usage
from kernels_app.node.records import KernelRecord
from kernels_app.node.relay_kernel import KernelRelay
from kernels_app.node.resources import Resources
from kernels_app.node.runs import KernelRuns
from kernels_app.node.zeromq.channel_base import ChannelName
from kernels_app.node.zeromq.channels import KernelContext
from kernels_app.node.zeromq.frames import KernelMessage

logger = logging.getLogger(__name__)

# What a process sent before it ended is still on its way for a moment.
LAST_MESSAGES_S = 0.05
# The next question to a kernel that answered while its publisher was not connected yet.
NUDGE_S = 0.05


class Kernel:
    """`run` owns everything of the kernel and returns when it has ended. All other methods are
    called on the event loop and return at once."""

    def __init__(
        self,
        command: StartKernel,
        *,
        node_id: NodeId,
        launcher: Launcher,
        context: KernelContext,
        log: OutputLog | None,
        outbox: Outbox,
        clock_ms: Callable[[], int],
        start_timeout_s: float,
        on_relay_news: Callable[[KernelRelay], None] = lambda relay: None,
    ) -> None:
        self.command = command
        self.kernel_id = command.kernel_id
        self.state = State()
        self._process = KernelProcess(
            command.kernel_id, launcher=launcher, context=context, spawn=self._spawn
        )
        self.runs = KernelRuns(
            command.kernel_id,
            log=log,
            outbox=outbox,
            send=self._process.send,
            clock_ms=clock_ms,
            on_change=self._keep_record,
            is_paused=lambda: self._process.is_paused,
        )
        self._interrupts = Interrupts(
            send_signal=self._send_interrupt_signal,
            awaited_id=lambda: self.runs.running_id,
            clock_s=time.monotonic,
            call_later=lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
        )
        self.relay = KernelRelay(
            command.kernel_id,
            send=self._process.send_frames,
            on_news=on_relay_news,
            on_pressure=lambda is_high: self._process.pause("relay", is_high),
        )
        self._launcher = launcher
        self._clock_ms = clock_ms
        self._start_timeout_s = start_timeout_s
        self._tasks: asyncio.TaskGroup | None = None
        self._closed = asyncio.Event()
        self._announcements = Announcements(
            command, state=lambda: self.state, node_id=node_id, log=log, outbox=outbox, clock_ms=clock_ms
        )
        self._start_timer: asyncio.TimerHandle | None = None
        self._resources = Resources()
        self._is_weighed = False  # just now
        self._is_left = False
        self._launch_began_s = 0.0
        self._used_at_ms = clock_ms()

    async def run(self, record: KernelRecord | None = None) -> None:
        """From start to end, or from where an earlier life of the node left it. Never raises, but for cancellation."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                if record is None:
                    self._step(lifecycle.StartRequested())
                else:
                    self.state = lifecycle.taken_over(is_busy=any(run.started_at for run in record.runs))
                    self._spawn(self._take_over(record))
                await self._closed.wait()
        except asyncio.CancelledError:
            # One that is to end is past this already: the node itself failed, and the kernel may go on without it.
            self.leave()
            raise
        except Exception:
            logger.exception("Kernel %s failed.", self.kernel_id)
            self._step_safely(lifecycle.StopRequested("failed", "The node made a mistake with this kernel."))
            self._step_safely(lifecycle.Exited(""))
        finally:
            await self._release()

    # What the supervisor tells

    def stop(self, end_name: KernelStateName, reason: str) -> None:
        self._step(lifecycle.StopRequested(end_name, reason))

    def was_quiet_for(self, seconds: float) -> bool:
        """Whether it is idle, has nothing to run, and was not used for so long."""
        is_idle = self.state.name == "idle" and not self.runs.has_any
        return is_idle and self._clock_ms() - self._used_at_ms >= seconds * 1000

    def leave(self) -> bool:
        """The node stops and the kernel goes on: nothing it says is heard any more, until a next life of the node
        takes it over. False when it cannot be left; then it has to be stopped."""
        provisioner = self._process.provisioner
        if self.state.name not in READY or provisioner is None or provisioner.container is None:
            return False
        self._is_left = True
        self._process.close_channels()
        return True

    def left(self) -> None:
        """All it said before `leave` is written."""
        self.runs.written()
        self._keep_record(is_last=True)

    def restart(self) -> None:
        self._step(lifecycle.RestartRequested())

    def interrupt(self) -> None:
        self.runs.interrupt()
        launch = self._process.launch
        if self.state.name not in READY or launch is None:
            return
        if launch.is_interrupted_by_message:
            self._process.send("control", "interrupt_request", b"{}", msg_id=secrets.token_hex(16))
        else:
            self._interrupts.interrupt()

    def _send_interrupt_signal(self) -> None:
        provisioner = self._process.provisioner
        if provisioner is not None and self.state.name in READY:
            self._spawn(provisioner.send_signal(signal.SIGINT))

    def check_limits(self) -> None:
        """Ends the kernel when it uses more than it may."""
        provisioner = self._process.provisioner
        if provisioner is None or self.state.name in ENDED:
            return
        limits, usage = provisioner.limits, provisioner.usage()
        if (
            limits.memory_bytes is not None
            and usage.memory_bytes > limits.memory_bytes
            and not self._is_weighed
        ):
            self._is_weighed = True
            self._spawn(self._weigh(provisioner, usage))
        self._end_if_over(usage, 0, limits)

    async def _weigh(self, provisioner: NodeProvisioner, usage: Usage) -> None:
        """Whether it uses more memory than it may when what its processes share is counted once."""
        try:
            exact = await provisioner.exact_memory_bytes()
        finally:
            self._is_weighed = False
        if provisioner is self._process.provisioner and self.state.name not in ENDED:
            self._end_if_over(usage, exact, provisioner.limits)

    def _end_if_over(self, usage: Usage, exact_memory_bytes: int, limits: Limits) -> None:
        reason = self._resources.overrun(usage, exact_memory_bytes, limits)
        if reason is not None:
            self._step(lifecycle.LimitExceeded(reason))

    def update_limits(self, limits: Limits) -> None:
        """From now on, and after a restart."""
        self.command = msgspec.structs.replace(self.command, limits=limits)
        self._keep_record()
        if self.state.name not in ENDED:
            self._process.update_limits(limits)

    def figures(self, now_s: float) -> KernelFigures | None:
        """What it uses, when that changed since it was last asked for."""
        provisioner = self._process.provisioner
        if provisioner is None or self.state.name in ENDED:
            return None
        return self._resources.news(provisioner.usage(), now_s)

    def on_pressure(self, is_high: bool) -> None:
        """Called by the output log: too much of this kernel waits for the wire."""
        self._process.pause("wire", is_high)

    def event(self) -> KernelEvent:
        return self._announcements.event()

    # What the channels tell

    def on_kernel_message(self, channel: ChannelName, message: KernelMessage) -> None:
        self.relay.hear(channel, message)
        if channel == "iopub":
            if message.msg_type == "status":
                self._on_status(message)
            elif message.msg_type == "error":
                self._interrupts.on_end(message.parent_id)
            if not (self.state.has_iopub or self.state.is_replacing):
                self._step(lifecycle.IopubHeard())
            self.runs.on_iopub(message)
        elif channel == "shell":
            self._interrupts.on_end(message.parent_id)
            if message.msg_type == "kernel_info_reply" and self.state.name not in READY:
                self._step(lifecycle.ReplyHeard())
                if self.state.name not in READY:
                    self._spawn(self._nudge_later())
                return
            self.runs.on_shell(message)
        elif channel == "stdin":
            self.runs.on_stdin(message)

    def on_unknown_run(self, run_id: str) -> None:
        """The kernel ended the run while no node listened, and what it said is not kept."""
        self.runs.lose(RunId(run_id))

    def on_backlog(self, is_behind: bool) -> None:
        self._process.pause("backlog", is_behind)

    def on_overrun(self, reason: str) -> None:
        self._step(lifecycle.LimitExceeded(reason))

    def _on_status(self, message: KernelMessage) -> None:
        self._used_at_ms = self._clock_ms()
        execution_state = message.execution_state()
        if execution_state == "busy":
            self._interrupts.on_busy(message.parent_id)
            self._step(lifecycle.BusyHeard())
        elif execution_state == "idle":
            self._interrupts.on_idle(message.parent_id)
            self._step(lifecycle.IdleHeard())

    # Deciding and carrying out

    def _step(self, event: lifecycle.Event) -> None:
        self.state, actions = lifecycle.step(self.state, event)
        for action in actions:
            self._carry_out(action)

    def _step_safely(self, event: lifecycle.Event) -> None:
        with contextlib.suppress(Exception):
            self._step(event)

    def _carry_out(self, action: lifecycle.Action) -> None:
        match action:
            case lifecycle.Launch():
                self._launch_began_s = time.monotonic()
                self._spawn(self._launch())
            case lifecycle.Announce():
                self._announcements.tell_when_settled()
            case lifecycle.OpenQueue():
                self._keep_record()
                LAUNCH_SECONDS.observe(time.monotonic() - self._launch_began_s)
                if (provisioner := self._process.provisioner) is not None:
                    provisioner.forget_output()  # its greeting is not its last words
                # Not before: it would be busy with a client's cell, and we could not tell that it is there.
                self.relay.open()
                self.runs.open()
            case lifecycle.EndRuns(running_status, queued_status, reason):
                self.runs.end_all(running_status, queued_status, reason)
            case lifecycle.EndProcess(is_polite):
                self.relay.close()
                self._spawn(
                    self._process.end(is_polite=is_polite, is_restart=lambda: self.state.name == "restarting")
                )
            case lifecycle.CloseDown():
                self.relay.end(self.state.reason)
                self._closed.set()
            case _:
                assert_never(action)

    async def _launch(self) -> None:
        try:
            launch = await self._process.start(self.command)
        except CannotStart as error:
            self._step(lifecycle.LaunchFailed(str(error)))
            return
        self._process.open_channels(launch, self)
        self._spawn(self._watch(launch))
        self._step(lifecycle.Launched())
        self._nudge()
        self._start_timer = asyncio.get_running_loop().call_later(
            self._start_timeout_s, self._on_start_timeout
        )

    async def _take_over(self, record: KernelRecord) -> None:
        try:
            launch = await self._process.take_over(record)
        except LaunchRefused as error:
            self.runs.restore(record.runs)
            self._step(lifecycle.Exited(str(error)))
            return
        self._process.open_channels(launch, self)
        self._spawn(self._watch(launch))
        self._announcements.tell()
        self.relay.open()
        self.runs.restore(record.runs)
        self.runs.open()

    def _keep_record(self, *, is_last: bool = False) -> None:
        """What a next life of the node needs; where kernels outlive their node."""
        records, launch = self._launcher.records, self._process.launch
        if records is None or launch is None or launch.provisioner.container is None:
            return
        if self.state.name in READY and (is_last or not self._is_left):
            records.save(
                KernelRecord(
                    command=self.command,
                    container=launch.provisioner.container,
                    key=launch.connection.key,
                    display_name=launch.display_name,
                    is_interrupted_by_message=launch.is_interrupted_by_message,
                    runs=self.runs.kept(),
                )
            )

    async def _watch(self, launch: PreparedLaunch) -> None:
        """Tells the end of the process, at once."""
        provisioner = launch.provisioner
        code = await provisioner.wait()
        reason = exit_reason(
            code,
            last_lines(await provisioner.last_output()),
            is_ready=self.state.name in READY,
            display_name=launch.display_name,
        )
        await asyncio.sleep(LAST_MESSAGES_S)
        if provisioner.is_out_of_memory:
            limit = provisioner.limits.memory_bytes or 0
            self._step(lifecycle.LimitExceeded(memory_reason(limit, limit)))
        await self._release()
        self._step(lifecycle.Exited(reason))

    def _on_start_timeout(self) -> None:
        if (launch := self._process.launch) is not None:
            self._spawn(self._time_out(launch))

    async def _time_out(self, launch: PreparedLaunch) -> None:
        words = without_folders(last_lines(await launch.provisioner.last_output()))
        if launch is self._process.launch:
            reason = (
                f"The kernel “{launch.display_name}” did not answer within {self._start_timeout_s:.0f} s."
            )
            self._step(lifecycle.StartTimedOut(short(f"{reason} {words}".strip())))

    def _nudge(self) -> None:
        """Its reply and the status messages it causes tell that the kernel is there."""
        self._process.send("shell", "kernel_info_request", b"{}", msg_id=secrets.token_hex(16))

    async def _nudge_later(self) -> None:
        await asyncio.sleep(NUDGE_S)
        if self.state.name in ("starting", "restarting") and not self.state.is_replacing:
            self._nudge()

    async def _release(self) -> None:
        """Closes what the last launch opened."""
        self._interrupts.forget()
        if self._start_timer is not None:
            self._start_timer.cancel()
        await self._process.release(is_left=self._is_left)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work)
