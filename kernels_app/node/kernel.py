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
from kernels_app.node.connection import Connection
from kernels_app.node.endings import exit_reason, launch_reason, memory_reason, short, without_folders
from kernels_app.node.environment import RefusedVariable
from kernels_app.node.interrupting import Interrupts
from kernels_app.node.kernelspecs import UnknownKernelspec
from kernels_app.node.launching import Launcher, LaunchRefused
from kernels_app.node.lifecycle import ENDED, READY, State
from kernels_app.node.metrics import LAUNCH_SECONDS
from kernels_app.node.outbox import Outbox
from kernels_app.node.output_log import OutputLog
from kernels_app.node.provisioners.base import NodeProvisioner
from kernels_app.node.provisioners.process import last_lines
from kernels_app.node.records import KernelRecord
from kernels_app.node.relay_kernel import KernelRelay
from kernels_app.node.resources import Resources
from kernels_app.node.runs import KernelRuns
from kernels_app.node.zeromq.channel_base import ChannelName, KernelChannels
from kernels_app.node.zeromq.channels import KernelContext
from kernels_app.node.zeromq.frames import KernelMessage

logger = logging.getLogger(__name__)

# Time to end by itself after a shutdown request, and after SIGTERM.
POLITE_S = 2.0
TERMINATE_S = 1.0
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
        self.runs = KernelRuns(
            command.kernel_id,
            log=log,
            outbox=outbox,
            send=self._send,
            clock_ms=clock_ms,
            on_change=self._keep_record,
            is_paused=lambda: bool(self._pauses),
        )
        self._interrupts = Interrupts(
            send_signal=self._send_interrupt_signal,
            awaited_id=lambda: self.runs.running_id,
            clock_s=time.monotonic,
            call_later=lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
        )
        self.relay = KernelRelay(
            command.kernel_id,
            send=self._send_frames,
            on_news=on_relay_news,
            on_pressure=lambda is_high: self._pause("relay", is_high),
        )
        self._launcher = launcher
        self._context = context
        self._clock_ms = clock_ms
        self._start_timeout_s = start_timeout_s
        self._tasks: asyncio.TaskGroup | None = None
        self._closed = asyncio.Event()
        self._provisioner: NodeProvisioner | None = None
        self._channels: KernelChannels | None = None
        self._connection: Connection | None = None
        self._display_name = command.kernelspec_name
        self._is_interrupted_by_message = False
        self._announcements = Announcements(
            command, state=lambda: self.state, node_id=node_id, log=log, outbox=outbox, clock_ms=clock_ms
        )
        self._start_timer: asyncio.TimerHandle | None = None
        self._pauses: set[str] = set()
        self._resources = Resources()
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
        if self.state.name not in READY or self._provisioner is None or self._provisioner.container is None:
            return False
        self._is_left = True
        if self._channels is not None:
            self._channels.close()
        return True

    def left(self) -> None:
        """All it said before `leave` is written."""
        self.runs.written()
        self._keep_record(is_last=True)

    def restart(self) -> None:
        self._step(lifecycle.RestartRequested())

    def interrupt(self) -> None:
        self.runs.interrupt()
        if self.state.name not in READY or self._provisioner is None:
            return
        if self._is_interrupted_by_message:
            self._send("control", "interrupt_request", b"{}", msg_id=secrets.token_hex(16))
        else:
            self._interrupts.interrupt()

    def _send_interrupt_signal(self) -> None:
        if self._provisioner is not None and self.state.name in READY:
            self._spawn(self._provisioner.send_signal(signal.SIGINT))

    def check_limits(self) -> None:
        """Ends the kernel when it uses more than it may."""
        provisioner = self._provisioner
        if provisioner is None or self.state.name in ENDED:
            return
        limits = provisioner.limits
        usage = provisioner.usage()
        exact = usage.memory_bytes
        if limits.memory_bytes is not None and exact > limits.memory_bytes:
            exact = provisioner.exact_memory_bytes()
        reason = self._resources.overrun(usage, exact, limits)
        if reason is not None:
            self._step(lifecycle.LimitExceeded(reason))

    def update_limits(self, limits: Limits) -> None:
        """From now on, and after a restart."""
        self.command = msgspec.structs.replace(self.command, limits=limits)
        self._keep_record()
        if self._provisioner is not None and self.state.name not in ENDED:
            self._spawn(self._apply_limits(self._provisioner, limits))

    async def _apply_limits(self, provisioner: NodeProvisioner, limits: Limits) -> None:
        try:
            await provisioner.update_limits(limits)
        except OSError as error:
            logger.warning("Kernel %s keeps its limits: %s", self.kernel_id, error)

    def figures(self, now_s: float) -> KernelFigures | None:
        """What it uses, when that changed since it was last asked for."""
        if self._provisioner is None or self.state.name in ENDED:
            return None
        return self._resources.news(self._provisioner.usage(), now_s)

    def on_pressure(self, is_high: bool) -> None:
        """Called by the output log: too much of this kernel waits for the wire."""
        self._pause("wire", is_high)

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
        self._pause("backlog", is_behind)

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
                if self._provisioner is not None:
                    self._provisioner.forget_output()  # its greeting is not its last words
                # Not before: it would be busy with a client's cell, and we could not tell that it is there.
                self.relay.open()
                self.runs.open()
            case lifecycle.EndRuns(running_status, queued_status, reason):
                self.runs.end_all(running_status, queued_status, reason)
            case lifecycle.EndProcess(is_polite):
                self.relay.close()
                self._spawn(self._end_process(is_polite))
            case lifecycle.CloseDown():
                self.relay.end(self.state.reason)
                self._closed.set()
            case _:
                assert_never(action)

    async def _launch(self) -> None:
        try:
            launch = self._launcher.prepare(self.command)
        except (UnknownKernelspec, RefusedVariable, LaunchRefused) as error:
            self._step(lifecycle.LaunchFailed(str(error)))
            return
        self._connection = launch.connection
        self._display_name = launch.display_name
        self._is_interrupted_by_message = launch.is_interrupted_by_message
        self._provisioner = provisioner = launch.provisioner
        try:
            arguments = await provisioner.pre_launch(plan=launch.plan)
            program = arguments["cmd"][0]
            try:
                await provisioner.launch_kernel(**arguments)
            except (OSError, ValueError) as error:
                reason = (
                    launch_reason(error, program=program, display_name=self._display_name)
                    if isinstance(error, OSError)
                    else f"The kernel “{self._display_name}” cannot be started: {without_folders(str(error))}"
                )
                await self._release()
                self._step(lifecycle.LaunchFailed(reason))
                return
            await provisioner.post_launch()
        except asyncio.CancelledError:
            await asyncio.shield(self._release())
            raise
        self._channels = self._launcher.open_channels(self._context, launch, self)
        self._spawn(self._watch(provisioner))
        self._step(lifecycle.Launched())
        self._nudge()
        self._start_timer = asyncio.get_running_loop().call_later(
            self._start_timeout_s, self._on_start_timeout
        )

    async def _take_over(self, record: KernelRecord) -> None:
        try:
            launch = await self._launcher.take_over(record)
        except LaunchRefused as error:
            self.runs.restore(record.runs)
            self._step(lifecycle.Exited(str(error)))
            return
        self._connection = launch.connection
        self._display_name = launch.display_name
        self._is_interrupted_by_message = launch.is_interrupted_by_message
        self._provisioner = launch.provisioner
        self._channels = self._launcher.open_channels(self._context, launch, self)
        self._spawn(self._watch(launch.provisioner))
        self._announcements.tell()
        self.relay.open()
        self.runs.restore(record.runs)
        self.runs.open()

    def _keep_record(self, *, is_last: bool = False) -> None:
        """What a next life of the node needs; where kernels outlive their node."""
        records, provisioner = self._launcher.records, self._provisioner
        if (
            records is None
            or provisioner is None
            or provisioner.container is None
            or self._connection is None
        ):
            return
        if self.state.name in READY and (is_last or not self._is_left):
            records.save(
                KernelRecord(
                    command=self.command,
                    container=provisioner.container,
                    key=self._connection.key,
                    display_name=self._display_name,
                    is_interrupted_by_message=self._is_interrupted_by_message,
                    runs=self.runs.kept(),
                )
            )

    async def _watch(self, provisioner: NodeProvisioner) -> None:
        """Tells the end of the process, at once."""
        code = await provisioner.wait()
        reason = exit_reason(
            code,
            last_lines(provisioner.last_output()),
            is_ready=self.state.name in READY,
            display_name=self._display_name,
        )
        await asyncio.sleep(LAST_MESSAGES_S)
        if provisioner.is_out_of_memory:
            limit = provisioner.limits.memory_bytes or 0
            self._step(lifecycle.LimitExceeded(memory_reason(limit, limit)))
        await self._release()
        self._step(lifecycle.Exited(reason))

    def _on_start_timeout(self) -> None:
        if self._provisioner is not None:
            words = without_folders(last_lines(self._provisioner.last_output()))
            reason = f"The kernel “{self._display_name}” did not answer within {self._start_timeout_s:.0f} s."
            self._step(lifecycle.StartTimedOut(short(f"{reason} {words}".strip())))

    def _nudge(self) -> None:
        """Its reply and the status messages it causes tell that the kernel is there."""
        self._send("shell", "kernel_info_request", b"{}", msg_id=secrets.token_hex(16))

    async def _nudge_later(self) -> None:
        await asyncio.sleep(NUDGE_S)
        if self.state.name in ("starting", "restarting") and not self.state.is_replacing:
            self._nudge()

    async def _end_process(self, is_polite: bool) -> None:
        """Ends the process group: asks, then SIGTERM, then SIGKILL. `_watch` sees the end."""
        provisioner = self._provisioner
        if provisioner is None:
            return
        self._pauses.clear()
        await provisioner.unpause()
        if is_polite:
            content = msgspec.json.encode({"restart": self.state.name == "restarting"})
            self._send("control", "shutdown_request", content, msg_id=secrets.token_hex(16))
            if await _ended_within(provisioner, POLITE_S):
                return
            await provisioner.terminate()
            if await _ended_within(provisioner, TERMINATE_S):
                return
        await provisioner.kill()

    async def _release(self) -> None:
        """Closes what the last launch opened."""
        channels, self._channels = self._channels, None
        provisioner, self._provisioner = self._provisioner, None
        connection, self._connection = self._connection, None
        self._pauses.clear()
        self._interrupts.forget()
        if self._start_timer is not None:
            self._start_timer.cancel()
        if channels is not None:
            channels.close()
        if provisioner is not None and self._is_left:
            await provisioner.detach()
            return
        if provisioner is not None:
            await provisioner.cleanup()
        if connection is not None:
            self._launcher.forget(self.kernel_id, connection)

    def _send(
        self,
        channel: ChannelName,
        msg_type: str,
        content: bytes,
        *,
        msg_id: str,
        parent_header: bytes = b"{}",
        metadata: bytes = b"{}",
        buffers: list[bytes] | None = None,
    ) -> None:
        if self._channels is not None:
            self._channels.send(
                channel,
                msg_type,
                content,
                msg_id=msg_id,
                parent_header=parent_header,
                metadata=metadata,
                buffers=buffers,
            )

    def _send_frames(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        return self._channels is not None and self._channels.send_frames(channel, signed, buffers)

    def _pause(self, cause: str, is_needed: bool) -> None:
        """Stops the kernel's processes where they are while any cause lasts: memory stays bounded
        and no output is lost."""
        was_paused = bool(self._pauses)
        if is_needed:
            self._pauses.add(cause)
        else:
            self._pauses.discard(cause)
        provisioner = self._provisioner
        if provisioner is None or bool(self._pauses) == was_paused:
            return
        logger.warning("Kernel %s %s (%s).", self.kernel_id, "pauses" if self._pauses else "goes on", cause)
        self._spawn(provisioner.pause() if self._pauses else provisioner.unpause())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work)


async def _ended_within(provisioner: NodeProvisioner, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await provisioner.wait()
        return True
    except TimeoutError:
        return False
