"""Children are started again when they end, and all end in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from zasper_hub.embedded.programs import Program
from zasper_hub.embedded.supervisor import Child, stop_all

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(60)",
)


def child_of(tmp_path: Path, command: tuple[str, ...], *, rank: int = 0, timeout_s: float = 2) -> Child:
    program = Program("sleeper", command, dict(os.environ), stop_rank=rank, stop_timeout_s=timeout_s)
    return Child(program, tmp_path / f"{rank}.log", lambda _: None)


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    child = child_of(tmp_path, SLEEPER)
    await child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.restart_count == 1 and child.pid != first)
    await child.stop()
    assert child.pid is not None
    assert not is_running(child.pid)


async def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    child = child_of(tmp_path, STUBBORN, timeout_s=0.2)
    await child.start()
    await until(lambda: b"deaf" in (tmp_path / "0.log").read_bytes())
    await child.stop()
    assert child.pid is not None
    assert not is_running(child.pid)


async def test_lower_ranks_end_first(tmp_path: Path) -> None:
    marks = tmp_path / "order"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)\n"
    )
    children = [
        child_of(tmp_path, (sys.executable, "-c", script, str(marks), str(rank)), rank=rank)
        for rank in (2, 0, 1)
    ]
    for child in children:
        await child.start()
    await until(lambda: all((tmp_path / f"{rank}.log").read_bytes().startswith(b"up") for rank in range(3)))
    await stop_all(children)
    assert marks.read_text(encoding="utf-8") == "012"
