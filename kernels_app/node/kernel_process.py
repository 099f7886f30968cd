"""The process of one kernel and the channels to it, from a launch to its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from kernels_app.bus.envelopes import Limits, StartKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.node.endings import launch_reason, without_folders
from kernels_app.node.environment import RefusedVariable
from kernels_app.node.kernelspecs import UnknownKernelspec
from kernels_app.node.launching import Launcher, LaunchRefused, PreparedLaunch
from kernels_app.node.provisioners.base import NodeProvisioner
from kernels_app.node.records import KernelRecord
from kernels_app.node.zeromq.channel_base import ChannelListener, ChannelName, KernelChannels
from kernels_app.node.zeromq.channels import KernelContext

logger = logging.getLogger(__name__)

# Time to end by itself after a shutdown request, and after SIGTERM.
POLITE_S = 2.0
TERMINATE_S = 1.0


class CannotStart(Exception):
    """The kernel does not run; the text is for a person."""


class KernelProcess:
    """At most one at a time; a restart launches anew. Who owns it decides when."""

    def __init__(
        self,
        kernel_id: KernelId,
        *,
        launcher: Launcher,
        context: KernelContext,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`spawn` runs what must not be waited for, and outlives no kernel."""
        self._kernel_id = kernel_id
        self._launcher = launcher
        self._context = context
        self._spawn = spawn
        self._launch: PreparedLaunch | None = None
        self._channels: KernelChannels | None = None
        self._pauses: set[str] = set()

    @property
    def launch(self) -> PreparedLaunch | None:
        """The one under way or open; None before and after."""
        return self._launch

    @property
    def provisioner(self) -> NodeProvisioner | None:
        return None if self._launch is None else self._launch.provisioner

    @property
    def is_paused(self) -> bool:
        return bool(self._pauses)

    async def start(self, command: StartKernel) -> PreparedLaunch:
        """The launch, whose process runs. Raises CannotStart; then, and when cancelled, nothing is left of it."""
        try:
            launch = self._launcher.prepare(command)
        except (UnknownKernelspec, RefusedVariable, LaunchRefused) as error:
            raise CannotStart(str(error)) from error
        self._launch = launch
        provisioner = launch.provisioner
        try:
            arguments = await provisioner.pre_launch(plan=launch.plan)
            try:
                await provisioner.launch_kernel(**arguments)
            except (OSError, ValueError) as error:
                await self.release()
                raise CannotStart(_reason(error, arguments["cmd"][0], launch.display_name)) from error
            await provisioner.post_launch()
        except asyncio.CancelledError:
            await asyncio.shield(self.release())
            raise
        return launch

    async def take_over(self, record: KernelRecord) -> PreparedLaunch:
        """The launch of an earlier life of the node. Raises LaunchRefused."""
        self._launch = await self._launcher.take_over(record)
        return self._launch

    def open_channels(self, launch: PreparedLaunch, listener: ChannelListener) -> None:
        self._channels = self._launcher.open_channels(self._context, launch, listener)

    def close_channels(self) -> None:
        """Nothing it says is heard any more."""
        if self._channels is not None:
            self._channels.close()

    def send(
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
        """Does nothing while there are no channels."""
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

    def send_frames(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        return self._channels is not None and self._channels.send_frames(channel, signed, buffers)

    def pause(self, cause: str, is_needed: bool) -> None:
        """Stops the kernel's processes where they are while any cause lasts: memory stays bounded
        and no output is lost."""
        was_paused = self.is_paused
        if is_needed:
            self._pauses.add(cause)
        else:
            self._pauses.discard(cause)
        provisioner = self.provisioner
        if provisioner is None or self.is_paused == was_paused:
            return
        logger.warning("Kernel %s %s (%s).", self._kernel_id, "pauses" if self._pauses else "goes on", cause)
        self._spawn(provisioner.pause() if self._pauses else provisioner.unpause())

    def update_limits(self, limits: Limits) -> None:
        if (provisioner := self.provisioner) is not None:
            self._spawn(self._apply_limits(provisioner, limits))

    async def _apply_limits(self, provisioner: NodeProvisioner, limits: Limits) -> None:
        try:
            await provisioner.update_limits(limits)
        except OSError as error:
            logger.warning("Kernel %s keeps its limits: %s", self._kernel_id, error)

    async def end(self, *, is_polite: bool, is_restart: Callable[[], bool]) -> None:
        """Ends the process group: asks, then SIGTERM, then SIGKILL. Who waits for the provisioner sees the end."""
        provisioner = self.provisioner
        if provisioner is None:
            return
        self._pauses.clear()
        await provisioner.unpause()
        if is_polite:
            content = msgspec.json.encode({"restart": is_restart()})
            self.send("control", "shutdown_request", content, msg_id=secrets.token_hex(16))
            if await _ended_within(provisioner, POLITE_S):
                return
            await provisioner.terminate()
            if await _ended_within(provisioner, TERMINATE_S):
                return
        await provisioner.kill()

    async def release(self, *, is_left: bool = False) -> None:
        """Closes what the last launch opened; with `is_left` the process itself goes on."""
        channels, self._channels = self._channels, None
        launch, self._launch = self._launch, None
        self._pauses.clear()
        if channels is not None:
            channels.close()
        if launch is None:
            return
        if is_left:
            await launch.provisioner.detach()
            return
        await launch.provisioner.cleanup()
        self._launcher.forget(self._kernel_id, launch.connection)


def _reason(error: OSError | ValueError, program: str, display_name: str) -> str:
    if isinstance(error, OSError):
        return launch_reason(error, program=program, display_name=display_name)
    return f"The kernel “{display_name}” cannot be started: {without_folders(str(error))}"


async def _ended_within(provisioner: NodeProvisioner, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await provisioner.wait()
        return True
    except TimeoutError:
        return False
