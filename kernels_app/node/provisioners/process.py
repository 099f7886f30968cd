"""Kernels as plain processes of the node's user: for a single trusted team."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

from jupyter_client.connect import KernelConnectionInfo

from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.provisioners.processes import MemoryScan, marked_processes

# In each process of a kernel: finds those that left its process group.
MARKER_NAME = "ZASPER_KERNEL_ID"
# Kept of what the process writes outside the protocol: enough for the end of a traceback.
LAST_OUTPUT_BYTES = 4096
# Kernels yield to the hub: a page stays quick while cells compute.
NICENESS = 5
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class ProcessProvisioner(NodeProvisioner):
    """A process group and session of its own, ended as a whole; niced; no core dumps."""

    def __init__(self, *, guardian: Guardian, memory_scan: MemoryScan, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._guardian = guardian
        self._memory_scan = memory_scan
        self._process: subprocess.Popen[bytes] | None = None
        self._exited: asyncio.Future[int] | None = None
        self._watched_descriptors: list[int] = []
        self._output = bytearray()

    @property
    def has_process(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Also the id of its process group and session."""
        return None if self._process is None else self._process.pid

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Starts the process. Raises OSError when its program or folder cannot be used."""
        plan: LaunchPlan = kwargs["plan"]
        env: dict[str, str] = kwargs["env"]
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        self._exited = loop.create_future()
        try:
            self._process = await asyncio.to_thread(
                subprocess.Popen,
                cmd,
                cwd=plan.cwd,
                env={**env, MARKER_NAME: self.kernel_id},
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        pid = self._process.pid
        self._guardian.watch(pid)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, pid, NICENESS)
        if hasattr(resource, "prlimit"):
            with contextlib.suppress(OSError):
                resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        os.set_blocking(read_end, False)
        self._watch_descriptor(read_end, self._read_output)
        self._watch_exit(pid)
        return {}

    async def poll(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.returncode

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
            for pid in await asyncio.to_thread(marked_processes, f"{MARKER_NAME}={self.kernel_id}".encode()):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._guardian.forget(self._process.pid)
        self._read_output()
        loop = asyncio.get_running_loop()
        for descriptor in self._watched_descriptors:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._watched_descriptors.clear()

    def last_output(self) -> str:
        self._read_output()
        return self._output.decode("utf-8", "replace").strip()

    def forget_output(self) -> None:
        self._read_output()
        self._output.clear()

    def memory_bytes(self) -> int:
        if self._process is None or not self.has_process:
            return 0
        return self._memory_scan.group_bytes(self._process.pid)

    def _watch_descriptor(self, descriptor: int, callback: Any) -> None:
        self._watched_descriptors.append(descriptor)
        asyncio.get_running_loop().add_reader(descriptor, callback)

    def _watch_exit(self, pid: int) -> None:
        """`_on_exit` is called at once when the process ends."""
        try:
            self._watch_descriptor(os.pidfd_open(pid), self._on_exit)
        except (AttributeError, OSError):  # not Linux, or too old: a thread waits
            loop = asyncio.get_running_loop()

            def wait() -> None:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._on_exit)

            loop.run_in_executor(None, wait)

    def _on_exit(self) -> None:
        assert self._process is not None
        assert self._exited is not None
        if self._exited.done():
            return
        # Before the process is reaped its id cannot be given to another group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        for descriptor in self._watched_descriptors:
            asyncio.get_running_loop().remove_reader(descriptor)
        self._exited.set_result(code)

    def _read_output(self) -> None:
        if not self._watched_descriptors:
            return
        descriptor = self._watched_descriptors[0]
        # Bounded: a process that writes without end gets its turn again at the next wake-up.
        for _ in range(16):
            try:
                data = os.read(descriptor, 65_536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(descriptor)
                return
            self._output += data
            del self._output[:-LAST_OUTPUT_BYTES]


def last_lines(text: str, count: int = 3, max_chars: int = 300) -> str:
    """The last non-empty lines without colours, shortened from their start."""
    plain = _ANSI.sub("", text)
    lines: Sequence[str] = [line.rstrip() for line in plain.splitlines() if line.strip()][-count:]
    return "\n".join(lines)[-max_chars:]
