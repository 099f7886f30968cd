"""Learning at once that a child process has ended, and how."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable


def watch_exit(pid: int, on_exit: Callable[[], None]) -> None:
    """Calls `on_exit` on the running event loop, once, when the process has ended and before it is reaped."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or too old: a thread waits

        def wait() -> None:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(on_exit)

        loop.run_in_executor(None, wait)
        return

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        on_exit()

    loop.add_reader(descriptor, ended)


def exit_code(code: int) -> int:
    """As a parent process would see it, of a process whose end another one tells on: 128 + the signal's number."""
    return 128 - code if 128 < code <= 128 + 64 else code
