"""Kernels as plain processes of the node's user: for a single trusted team."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from jupyter_client.connect import KernelConnectionInfo

from kernels_app.bus.envelopes import Limits
from kernels_app.node.folding_payloads import clean_text
from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.control_groups import ControlGroup, ControlGroups
from kernels_app.node.provisioners.exits import watch_exit
from kernels_app.node.provisioners.file_limit import MAX_FILE_BYTES, limit_files
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.provisioners.priority import go_first, lower_priority
from kernels_app.node.provisioners.processes import ProcessScan, Usage, marked_processes

# In each process of a kernel: finds those that left its process group.
MARKER_NAME = "ZASPER_KERNEL_ID"
# Kept of what the process writes outside the protocol: enough for the end of a traceback.
LAST_OUTPUT_BYTES = 4096
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


# Above the limit of its memory, which the watchdog sees to: one allocation that is larger by this fails at once,
# before it can take the machine's memory between two looks.
ALLOCATION_ROOM_BYTES = 2 << 30


class Spawning(msgspec.Struct, frozen=True):
    """A process to be started. `descriptors` are handed on to it, and closed here then."""

    words: list[str]
    cwd: Path
    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()


class ProcessProvisioner(NodeProvisioner):
    """A process group and session of its own, ended as a whole; niced; no core dumps."""

    isolation = "process"

    def __init__(
        self,
        *,
        guardian: Guardian,
        process_scan: ProcessScan,
        control_groups: ControlGroups | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        default_memory_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._max_file_bytes = max_file_bytes
        self._default_memory_bytes = default_memory_bytes
        self._guardian = guardian
        self._process_scan = process_scan
        self._control_groups = control_groups
        self._group: ControlGroup | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._exited: asyncio.Future[int] | None = None
        self._read_end = -1
        self._output = bytearray()

    @property
    def has_process(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Also the id of its process group and session."""
        return None if self._process is None else self._process.pid

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Starts the process. Raises OSError when its program or folder cannot be used, ValueError with a sentence
        for what this machine cannot do."""
        plan: LaunchPlan = kwargs["plan"]
        env: dict[str, str] = kwargs["env"]
        self.limits = self._effective(plan.limits)
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        self._exited = loop.create_future()
        spawning: Spawning | None = None
        try:
            check_program(cmd[0], plan.cwd, env)
            self._group = await asyncio.to_thread(self._make_group)
            spawning = self._spawning(cmd, plan, env)
            words = spawning.words if self._group is None else [*self._group.enter_words, *spawning.words]
            # In a thread that lives as long as the loop: what dies with its parent dies with this thread.
            self._process = await asyncio.to_thread(
                subprocess.Popen,
                words,
                cwd=spawning.cwd,
                env=spawning.environment,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
                pass_fds=spawning.descriptors,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
            for descriptor in () if spawning is None else spawning.descriptors:
                os.close(descriptor)
        pid = self._process.pid
        self._guardian.watch(pid)
        os.set_blocking(read_end, False)
        self._read_end = read_end
        loop.add_reader(read_end, self._read_output)
        watch_exit(pid, self._on_exit)
        await self._started(pid)
        return {}

    async def poll(self) -> int | None:
        """None while it runs."""
        return None if not self._has_ended else self._exit_code()

    async def wait(self) -> int | None:
        """The exit code; minus the signal's number when a signal ended it."""
        if self._exited is None:
            return None
        return await asyncio.shield(self._exited)

    async def send_signal(self, signum: int) -> None:
        """To the whole process group. Nothing when it is gone."""
        if self._process is not None and self.has_process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signum)

    async def terminate(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGTERM)
        await self.send_signal(signal.SIGCONT)

    async def kill(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGKILL)

    async def pause(self) -> None:
        await self.send_signal(signal.SIGSTOP)

    async def unpause(self) -> None:
        await self.send_signal(signal.SIGCONT)

    async def cleanup(self, restart: bool = False) -> None:
        """Ends what is left, also processes that left the group, and closes what was open."""
        await self.kill()
        if self._exited is not None and self._process is not None:
            await asyncio.shield(self._exited)
            for pid in await asyncio.to_thread(self._leftovers):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._guardian.forget(self._process.pid)
        group, self._group = self._group, None
        if group is not None:
            await asyncio.to_thread(group.remove)
        self._read_output()
        if self._read_end >= 0:
            asyncio.get_running_loop().remove_reader(self._read_end)
            os.close(self._read_end)
            self._read_end = -1

    async def last_output(self) -> str:
        self._read_output()
        return self._output.decode("utf-8", "replace").strip()

    def forget_output(self) -> None:
        self._read_output()
        self._output.clear()

    def usage(self) -> Usage:
        if self._process is None or not self.has_process:
            return Usage()
        return self._process_scan.usage(self._process.pid)

    def memory_bytes(self) -> int:
        return self.usage().memory_bytes

    async def exact_memory_bytes(self) -> int:
        if self._process is None or not self.has_process:
            return 0
        return await self._process_scan.exact_memory_bytes(self._process.pid)

    async def update_limits(self, limits: Limits) -> None:
        self.limits = self._effective(limits)
        if self._group is not None:
            await asyncio.to_thread(self._group.limit, self.limits)

    # For provisioners that start processes another way

    def _effective(self, limits: Limits) -> Limits:
        """With the node's own where the hub says nothing."""
        return with_memory(limits, self._default_memory_bytes)

    def _spawning(self, cmd: list[str], plan: LaunchPlan, environment: dict[str, str]) -> Spawning:
        """Raises OSError, ValueError."""
        return Spawning(cmd, plan.cwd, {**environment, MARKER_NAME: self.kernel_id})

    def _leftovers(self) -> list[int]:
        """What of it may still run when its first process has ended."""
        return marked_processes(f"{MARKER_NAME}={self.kernel_id}".encode())

    async def _started(self, pid: int) -> None:
        """Called once the process is there."""
        with contextlib.suppress(OSError, ValueError):
            limit_files(pid, self._max_file_bytes)
        go_first(pid)
        await lower_priority(pid)
        if hasattr(resource, "prlimit"):
            with contextlib.suppress(OSError):
                resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
            data_bytes = allocation_limit(self.limits)
            if data_bytes is not None:
                with contextlib.suppress(OSError, ValueError):
                    resource.prlimit(pid, resource.RLIMIT_DATA, (data_bytes, data_bytes))

    def _exit_code(self) -> int:
        assert self._process is not None
        assert self._process.returncode is not None
        return self._process.returncode

    @property
    def _has_ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    def _make_group(self) -> ControlGroup | None:
        if self._control_groups is None:
            return None
        try:
            return self._control_groups.make(self.kernel_id, self.limits)
        except OSError as error:
            raise ValueError(f"its limits cannot be set ({error.strerror}).") from error

    def _on_exit(self) -> None:
        assert self._process is not None
        assert self._exited is not None
        if self._exited.done():
            return
        # Before the process is reaped its id cannot be given to another group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.is_out_of_memory = self._group is not None and self._group.is_out_of_memory
        if self._read_end >= 0:
            self._read_output()
            asyncio.get_running_loop().remove_reader(self._read_end)
        self._exited.set_result(self._exit_code())

    def _read_output(self) -> None:
        if self._read_end < 0:
            return
        # Bounded: a process that writes without end gets its turn again at the next wake-up.
        for _ in range(16):
            try:
                data = os.read(self._read_end, 65_536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(self._read_end)
                return
            self._output += data
            del self._output[:-LAST_OUTPUT_BYTES]


def with_memory(limits: Limits, default_bytes: int | None) -> Limits:
    """These limits, and that of memory where they have none."""
    return msgspec.structs.replace(limits, memory_bytes=limits.memory_bytes or default_bytes)


def check_program(program: str, cwd: Path, environment: Mapping[str, str]) -> None:
    """Raises OSError, as the start of a process would, when program or folder cannot be used."""
    if not cwd.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(cwd))
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        is_there = "/" in program and Path(program).exists()
        code = errno.EACCES if is_there else errno.ENOENT
        raise OSError(code, os.strerror(code), program)


def allocation_limit(limits: Limits) -> int | None:
    """Bytes of data one process may have at all; None without a limit of memory."""
    return None if limits.memory_bytes is None else limits.memory_bytes + ALLOCATION_ROOM_BYTES


def last_lines(text: str, count: int = 3, max_chars: int = 300) -> str:
    """The last non-empty lines without colours, clean, shortened from their start."""
    plain = clean_text(_ANSI.sub("", text))
    lines: Sequence[str] = [line.rstrip() for line in plain.splitlines() if line.strip()][-count:]
    return "\n".join(lines)[-max_chars:]
