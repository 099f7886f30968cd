"""Keeps child processes running: starts them, starts them again when they end, ends them all. No Django."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Protocol

from zasper_hub.embedded.programs import Program
from zasper_hub.settings.environment import BASE_DIR

PR_SET_PDEATHSIG = 1  # Linux: <sys/prctl.h>
RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# A program that ran this long had recovered: its next restart is quick again.
STEADY_S = 30.0
MAX_LOG_BYTES = 10 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """In the child: end with the parent, however it ends."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def prctl(option: int, value: int | bytes) -> None:
    """Nothing where Linux is not."""
    if _libc is not None:
        _libc.prctl(option, value, 0, 0, 0)


class Process(Protocol):
    """A running program, as `asyncio.subprocess` has it."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int:
        """The exit code; minus the number of the signal that ended it."""

    def send_signal(self, signal: int, /) -> None: ...


# A program with the files that its standard output and standard error go to.
Starter = Callable[[Program, IO[bytes], IO[bytes]], Awaitable[Process]]


async def start_process(program: Program, output: IO[bytes], errors: IO[bytes]) -> Process:
    """A process that begins with the program's own executable.

    Raises:
        OSError: it cannot be started.
    """
    return await asyncio.create_subprocess_exec(
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=dict(program.environment),
        cwd=BASE_DIR,
        # Its own session: Ctrl-C in the terminal reaches the parent alone, which ends all in order.
        start_new_session=True,
        pass_fds=program.inherited_fds,
        preexec_fn=die_with_parent,
    )


class Child:
    """One program and the process that runs it at the moment."""

    def __init__(
        self, program: Program, log_path: Path, say: Callable[[str], None], start: Starter = start_process
    ) -> None:
        self.program = program
        self._log_path = log_path
        self._say = say
        self._start = start
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.restart_count = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process, and look after it from now on.

        Raises:
            OSError: the program cannot be started at all.
        """
        await self._spawn()
        self._task = asyncio.create_task(self._look_after(), name=f"look after {self.program.name}")

    async def _spawn(self) -> None:
        if self._log_path.exists() and self._log_path.stat().st_size > MAX_LOG_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        with self._log_path.open("ab") as log:
            self._process = await self._start(self.program, log, log)

    async def _look_after(self) -> None:
        failures = 0
        while True:
            assert self._process is not None
            started = time.monotonic()
            code = await self._process.wait()
            if self._is_stopping:
                return
            failures = 0 if time.monotonic() - started > STEADY_S else failures + 1
            delay_s = RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S)) - 1] if failures else 0.0
            self._say(
                f"{self.program.name} ended ({describe_exit(code)}); "
                f"starting it again. Its log: {self._log_path}"
            )
            if failures >= len(RESTART_DELAYS_S):
                self._say(
                    f"{self.program.name} keeps ending. The end of its log:\n{log_tail(self._log_path)}"
                )
            await asyncio.sleep(delay_s)
            self.restart_count += 1
            with contextlib.suppress(OSError):
                await self._spawn()

    async def stop(self) -> None:
        """Ask the process to end, insist after its time, and wait until it is gone."""
        self._is_stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self.program.stop_timeout_s)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


def describe_exit(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def log_tail(path: Path, line_count: int = 15) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-line_count:])


async def stop_all(children: list[Child]) -> None:
    """End all, those of one rank together, lower ranks first."""
    for rank in sorted({child.program.stop_rank for child in children}):
        await asyncio.gather(*(child.stop() for child in children if child.program.stop_rank == rank))
