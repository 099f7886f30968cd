"""Terminals as plain processes of the node's user, as the `process` provisioner runs kernels."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterable

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.control_groups import ControlGroup, ControlGroups
from kernels_app.node.provisioners.exits import watch_exit
from kernels_app.node.provisioners.file_limit import MAX_FILE_BYTES
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.provisioners.priority import NICENESS
from kernels_app.node.provisioners.process import Spawning, with_memory
from kernels_app.node.provisioners.processes import ProcessScan, marked_processes, session_processes
from kernels_app.node.provisioners.terminal_base import FIRST_SIZE, TerminalPlan, TerminalProcess

# In each process of a terminal: finds those that left its session.
MARKER_NAME = "ZASPER_TERMINAL_ID"
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/bin/zsh", "/bin/sh")
# Becomes the leader of a session, takes the terminal it has as input for its own, and becomes the shell.
# A short program instead of a hook between fork and exec, which is not safe where other threads run.
_LAUNCHER = """
import fcntl, os, resource, signal, sys, termios
if os.getsid(0) != os.getpid():
    os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
# Where the node itself is niced, nothing is to be done, nor allowed in a sandbox.
os.setpriority(os.PRIO_PROCESS, 0, max(int(sys.argv[1]), os.getpriority(os.PRIO_PROCESS, 0)))
try:
    with open("/proc/self/autogroup", "w") as priority_of_the_session:
        priority_of_the_session.write(sys.argv[1])
except OSError:
    pass
# What is ignored here (by Python, or as of a hub that was started in the background) would be in all it starts.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
except (OSError, ValueError):
    pass
try:
    os.execv(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f"The shell cannot be started: {error.strerror}.")
"""


class ProcessTerminal(TerminalProcess):
    """A shell in a session of its own; the session is ended as a whole."""

    def __init__(
        self,
        *,
        guardian: Guardian,
        process_scan: ProcessScan,
        control_groups: ControlGroups | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        default_memory_bytes: int | None = None,
        shell: str | None = None,
    ) -> None:
        self._max_file_bytes = max_file_bytes
        self._default_memory_bytes = default_memory_bytes
        self._guardian = guardian
        self._process_scan = process_scan
        self._control_groups = control_groups
        self._group: ControlGroup | None = None
        self._shell = shell or _find_shell()
        self._process: subprocess.Popen[bytes] | None = None
        self._descriptor = -1
        self._marker = b""
        self._exited: asyncio.Future[int] | None = None

    @property
    def pid(self) -> int | None:
        """Also the id of its session."""
        return None if self._process is None else self._process.pid

    async def start(self, plan: TerminalPlan) -> int:
        loop = asyncio.get_running_loop()
        self._descriptor, inner = os.openpty()
        self._marker = f"{MARKER_NAME}={plan.terminal_id}".encode()
        try:
            os.set_blocking(self._descriptor, False)
            self.resize(*FIRST_SIZE)
            limits = Limits(
                memory_bytes=plan.limits.memory_bytes,
                cpu_cores=plan.limits.cpu_cores,
                process_count=plan.limits.process_count,
            )
            limits = self._effective(limits)
            self.memory_limit_bytes = limits.memory_bytes
            self._group = await asyncio.to_thread(self._make_group, plan, limits)
            spawning = self._spawning(
                plan,
                limits,
                {
                    **plan.environment,
                    MARKER_NAME: plan.terminal_id,
                    "TERM": "xterm-256color",
                    "COLORTERM": "truecolor",
                    "SHELL": self._shell,
                    # One history for all people of a hub would show each what the others typed.
                    "HISTFILE": "",
                },
            )
            try:
                words = spawning.words if self._group is None else [*self._group.enter_words, *spawning.words]
                self._process = await asyncio.to_thread(
                    subprocess.Popen,
                    words,
                    cwd=spawning.cwd,
                    env=spawning.environment,
                    stdin=inner,
                    stdout=inner,
                    stderr=inner,
                    start_new_session=True,
                    pass_fds=spawning.descriptors,
                )
            finally:
                for descriptor in spawning.descriptors:
                    os.close(descriptor)
        finally:
            os.close(inner)
        self._guardian.watch(self._process.pid)
        self._exited = loop.create_future()
        watch_exit(self._process.pid, self._on_exit)
        await self._started()
        return self._descriptor

    # For terminals that are started another way

    def _effective(self, limits: Limits) -> Limits:
        return with_memory(limits, self._default_memory_bytes)

    def _spawning(self, plan: TerminalPlan, limits: Limits, environment: dict[str, str]) -> Spawning:
        """Raises OSError."""
        return Spawning(
            launcher_words(sys.executable, self._shell, self._max_file_bytes), plan.cwd, environment
        )

    async def _started(self) -> None:
        """Called once the process is there."""

    def _shell_pid(self) -> int:
        """As this machine sees it; 0 when it is not known."""
        return 0 if self._process is None else self._process.pid

    def _make_group(self, plan: TerminalPlan, limits: Limits) -> ControlGroup | None:
        return None if self._control_groups is None else self._control_groups.make(plan.terminal_id, limits)

    async def wait(self) -> int:
        assert self._exited is not None, "start comes first"
        code = await asyncio.shield(self._exited)
        # What left the session carries the terminal's mark.
        _kill_all(await asyncio.to_thread(marked_processes, self._marker))
        return code

    def resize(self, rows: int, columns: int) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        pid = self._shell_pid()
        if pid and self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)
                os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            _kill_all(session_processes(self._process.pid))

    async def cleanup(self) -> None:
        self.kill()
        if self._process is not None and self._exited is not None:
            await self.wait()
            self._guardian.forget(self._process.pid)
        group, self._group = self._group, None
        if group is not None:
            await asyncio.to_thread(group.remove)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def is_at_prompt(self) -> bool:
        if self._process is None or self._descriptor < 0:
            return True
        try:
            return os.tcgetpgrp(self._descriptor) == self._shell_pid()
        except OSError:
            return True

    def memory_bytes(self) -> int:
        if self._process is None or self._process.returncode is not None:
            return 0
        return self._process_scan.usage(self._process.pid).memory_bytes

    def process_count(self) -> int:
        if self._process is None or self._process.returncode is not None:
            return 0
        return self._process_scan.usage(self._process.pid).process_count

    def _on_exit(self) -> None:
        assert self._process is not None
        assert self._exited is not None
        if self._exited.done():
            return
        # Before the shell is reaped its id cannot be given to another session. Twice: one may have forked meanwhile.
        for _ in range(2):
            _kill_all(pid for pid in session_processes(self._process.pid) if pid != self._process.pid)
        self._process.wait()
        self._exited.set_result(self._exit_code())

    def _exit_code(self) -> int:
        assert self._process is not None
        assert self._process.returncode is not None
        return self._process.returncode


def launcher_words(python: str, shell: str, max_file_bytes: int) -> list[str]:
    """Starts the shell with the terminal it has as input for its own."""
    return [python, "-I", "-S", "-c", _LAUNCHER, str(NICENESS), str(max_file_bytes), shell]


def _find_shell() -> str:
    return (
        next((path for path in _SHELLS if os.access(path, os.X_OK)), None) or shutil.which("sh") or "/bin/sh"
    )


def _kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
