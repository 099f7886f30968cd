"""Kernels in sandboxes of bubblewrap: for people who do not trust each other, on a machine without an engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
from pathlib import Path
from typing import Any

import msgspec
from jupyter_client.connect import KernelConnectionInfo

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.attended import AttendantLaunch, hear_start, kept_bytes, write_launch
from kernels_app.node.provisioners.base import LaunchPlan
from kernels_app.node.provisioners.bubblewrap import (
    GROUP,
    HOSTS,
    MEMORY_FOLDERS,
    NSSWITCH,
    PASSWD,
    Machine,
    OpenFile,
    SandboxSettings,
    inside_project,
    is_visible,
    sandbox_words,
    start_words,
)
from kernels_app.node.provisioners.exits import exit_code
from kernels_app.node.provisioners.priority import NICENESS
from kernels_app.node.provisioners.process import (
    ProcessProvisioner,
    Spawning,
    allocation_limit,
    check_program,
)
from kernels_app.node.provisioners.processes import Usage, descendants
from kernels_app.node.provisioners.syscall_filter import syscall_filter
from kernels_app.node.zeromq.attendant.protocol import SOCKET_NAME
from kernels_app.node.zeromq.line import AttendantLine

# bwrap tells its child's id as soon as it has made it.
STATUS_S = 5.0
# The data of a file travels through a pipe, written before the program is there to read.
MAX_FILE_BYTES = 60_000


class _Status(msgspec.Struct, frozen=True, rename="kebab"):
    """Of bwrap's --info-fd; what else it says is not read."""

    child_pid: int = 0


class Attended(msgspec.Struct, frozen=True, kw_only=True):
    """An attendant: its own command, and the folder of its line to the node, which it may only read."""

    command: list[str]
    line_folder: Path
    key: str
    kernel_name: str


class SandboxLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch in a sandbox needs beyond its plan. `project`: the folder that becomes /project, the only writable
    one; `files`: written inside before the start, path to text; `folders`: further folders and files it may read, and
    where; `attended`: of a kernel that knows only the network, which is not there: what stands beside it."""

    project: Path
    files: dict[str, str] = {}
    folders: tuple[tuple[Path, str], ...] = ()
    attended: Attended | None = None


class Sandbox:
    """One use of bubblewrap: its command line, and the process it made."""

    def __init__(self, machine: Machine, settings: SandboxSettings) -> None:
        self.machine = machine
        self.settings = settings
        # Its first process, as this machine sees it: leads the group of the kernel. 0 until it is there.
        self.init_pid = 0
        self._status_read = -1

    def effective(self, limits: Limits) -> Limits:
        """With the node's own where the hub says nothing."""
        return msgspec.structs.replace(
            limits,
            memory_bytes=limits.memory_bytes or self.settings.default_memory_bytes,
            process_count=limits.process_count or self.settings.default_process_count,
        )

    def words(
        self, launch: SandboxLaunch, *, cwd: Path, limits: Limits, has_process_group: bool
    ) -> tuple[list[str], tuple[int, ...]]:
        """What comes before the program's words, and the descriptors that it reads. `has_process_group`: a control
        group bounds the number of processes already."""
        settings = self.settings
        tmp_bytes = min(settings.tmp_bytes, limits.memory_bytes or settings.tmp_bytes)
        texts = {"/etc/passwd": PASSWD, "/etc/group": GROUP}
        if settings.network != "host":
            texts |= {"/etc/hosts": HOSTS, "/etc/nsswitch.conf": NSSWITCH}
        files: list[OpenFile] = []
        descriptors: list[int] = []
        try:
            for path, text in texts.items():
                descriptors.append(_readable(text.encode()))
                files.append(OpenFile(descriptors[-1], path))
            for path, text in launch.files.items():
                descriptors.append(_readable(text.encode()))
                files.append(OpenFile(descriptors[-1], path, is_writable=True))
            program = syscall_filter(os.uname().machine)
            if program is not None:
                descriptors.append(_readable(program))
            self._status_read, status_write = os.pipe()
            descriptors.append(status_write)
        except OSError:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        words = sandbox_words(
            self.machine,
            settings,
            project=launch.project,
            cwd=cwd,
            files=files,
            folders=launch.folders,
            tmp_bytes=tmp_bytes,
            status_descriptor=status_write,
            syscall_filter=None if program is None else descriptors[-2],
        )
        # Without a user namespace of their own the processes of all kernels would be counted together.
        count = None if has_process_group or not self.machine.has_user_namespace else limits.process_count
        start = start_words(
            data_bytes=allocation_limit(limits),
            process_count=count,
            file_bytes=settings.max_file_bytes,
            niceness=NICENESS,
        )
        return [*words, *start], tuple(descriptors)

    def read_status(self) -> None:
        """Waits for the first process's id; it stays 0 where bwrap failed before it made one. Blocking."""
        try:
            data = _read_all(self._status_read)
        finally:
            self.close()
        with contextlib.suppress(ValueError, msgspec.MsgspecError):
            self.init_pid = msgspec.json.decode(data, type=_Status).child_pid

    def signal(self, signum: int) -> bool:
        """To the kernel's process group. False when there is no process yet."""
        if not self.init_pid:
            return False
        with contextlib.suppress(OSError):
            if signum == signal.SIGKILL:
                # The first process takes all the others of its namespace with it.
                os.kill(self.init_pid, signum)
            else:
                os.killpg(self.init_pid, signum)
        return True

    def folder(self, inside: str) -> Path:
        """A folder of the sandbox as this process can open it."""
        return Path(f"/proc/{self.init_pid}/root{inside}")

    def memory_files_bytes(self) -> int:
        """What lies in the folders in memory."""
        used = 0
        for name in MEMORY_FOLDERS:
            with contextlib.suppress(OSError):
                found = os.statvfs(self.folder(name))
                used += (found.f_blocks - found.f_bfree) * found.f_frsize
        return used

    def close(self) -> None:
        if self._status_read >= 0:
            os.close(self._status_read)
            self._status_read = -1


class SandboxProvisioner(ProcessProvisioner):
    """Namespaces of its own, and no network; all of it ends with its first process."""

    isolation = "sandbox"

    def __init__(
        self, *, machine: Machine, settings: SandboxSettings, launch: SandboxLaunch, **kwargs: Any
    ) -> None:
        super().__init__(max_file_bytes=settings.max_file_bytes, **kwargs)
        self.sandbox = Sandbox(machine, settings)
        self.line: AttendantLine | None = None
        self._launch = launch

    def _effective(self, limits: Limits) -> Limits:
        return self.sandbox.effective(limits)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """As a process is, and it raises the same."""
        attended = self._launch.attended
        if attended is None:
            return await super().launch_kernel(cmd, **kwargs)
        plan: LaunchPlan = kwargs["plan"]
        env: dict[str, str] = kwargs["env"]
        check_program(cmd[0], plan.cwd, env)
        check_visible(self.sandbox, cmd[0], env)
        launch = AttendantLaunch(
            command=cmd,
            environment=env,
            cwd=inside_project(self._launch.project, plan.cwd),
            key=attended.key,
            transport="tcp",
            kernel_name=attended.kernel_name,
            kept_bytes=kept_bytes(self.sandbox.effective(plan.limits).memory_bytes),
        )
        await asyncio.to_thread(write_launch, attended.line_folder, launch)
        self.line = AttendantLine()
        await self.line.open(attended.line_folder / SOCKET_NAME)
        info = await super().launch_kernel(attended.command, **kwargs)
        assert self._exited is not None
        await hear_start(self.line, self._exited)
        return info

    def _spawning(self, cmd: list[str], plan: LaunchPlan, environment: dict[str, str]) -> Spawning:
        check_visible(self.sandbox, cmd[0], environment)
        words, descriptors = self.sandbox.words(
            self._launch, cwd=plan.cwd, limits=self.limits, has_process_group=self._group is not None
        )
        return Spawning([*words, *cmd], self._launch.project, environment, descriptors)

    async def _started(self, pid: int) -> None:
        await asyncio.to_thread(self.sandbox.read_status)

    async def send_signal(self, signum: int) -> None:
        if self.has_process and not self.sandbox.signal(signum):
            await super().send_signal(signum)

    def _leftovers(self) -> list[int]:
        return []  # all of its processes end with the first

    async def pause(self) -> None:
        """All processes, whatever groups they made."""
        await self._signal_all(signal.SIGSTOP)

    async def unpause(self) -> None:
        await self._signal_all(signal.SIGCONT)

    async def _signal_all(self, signum: int) -> None:
        if self.has_process and self.sandbox.init_pid:
            for pid in await asyncio.to_thread(descendants, self.sandbox.init_pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signum)

    async def terminate(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGTERM)
        await self.unpause()

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        self.sandbox.close()
        if self.line is not None:
            self.line.close()
        if self._launch.attended is not None:
            await asyncio.to_thread(shutil.rmtree, self._launch.attended.line_folder, ignore_errors=True)

    def usage(self) -> Usage:
        found = super().usage()
        if not found.process_count or not self.sandbox.init_pid:
            return found
        return msgspec.structs.replace(
            found, memory_bytes=found.memory_bytes + self.sandbox.memory_files_bytes()
        )

    async def exact_memory_bytes(self) -> int:
        found = await super().exact_memory_bytes()
        return found + (self.sandbox.memory_files_bytes() if self.has_process else 0)

    def _exit_code(self) -> int:
        return exit_code(super()._exit_code())


def check_visible(sandbox: Sandbox, program: str, environment: dict[str, str]) -> None:
    """Raises ValueError, for a person, when a program of the machine is not there in the sandbox."""
    found = shutil.which(program, path=environment.get("PATH"))
    if found is not None and not is_visible(sandbox.machine, sandbox.settings, Path(found)):
        raise ValueError(
            "its program lies in a folder that kernels may not see; an administrator can add the folder to "
            "NODE_SANDBOX_READABLE."
        )


def _readable(data: bytes) -> int:
    """A descriptor that gives these bytes and then ends."""
    if len(data) > MAX_FILE_BYTES:
        raise ValueError("a file for the sandbox is too large.")
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    return read_end


def _read_all(descriptor: int) -> bytes:
    data = b""
    while select.select([descriptor], [], [], STATUS_S)[0]:
        chunk = os.read(descriptor, 4096)
        if not chunk:
            break
        data += chunk
    return data
