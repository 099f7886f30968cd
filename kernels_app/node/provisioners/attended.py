"""Starting an attendant beside a kernel: what it is told, and its first word."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from kernels_app.node.zeromq.attendant.protocol import LAUNCH_NAME
from kernels_app.node.zeromq.line import AttendantLine, Started

# An image or a sandbox that is there starts within a second, a loaded machine takes longer.
START_S = 30.0
# Of the memory limit, for what the attendant keeps of the running cell.
KEPT_SHARE = 8
KEPT_MOST_BYTES = 64 * 1024 * 1024


class AttendantLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """What an attendant reads: the kernel's program and folder as they are inside, the key of its messages (empty for a
    plain program), files to write before the start (path to text)."""

    command: list[str]
    environment: dict[str, str]
    cwd: str
    key: str = ""
    transport: str = "ipc"
    kernel_name: str = ""
    files: dict[str, str] = {}
    kept_bytes: int = KEPT_MOST_BYTES
    orphan_s: float = 900.0


def kept_bytes(memory_limit_bytes: int | None) -> int:
    """How much an attendant may keep of the running cell's outputs."""
    return (
        KEPT_MOST_BYTES
        if memory_limit_bytes is None
        else min(KEPT_MOST_BYTES, memory_limit_bytes // KEPT_SHARE)
    )


def write_launch(folder: Path, launch: AttendantLaunch) -> None:
    """A folder, made anew, that the attendant may only read. Raises OSError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)  # whatever the umask says; the run directory around it is the node's only
    path = folder / LAUNCH_NAME
    path.write_bytes(msgspec.json.encode(launch))
    path.chmod(0o644)


async def hear_start(line: AttendantLine, exited: asyncio.Future[int]) -> None:
    """Until the attendant has told whether the program runs, or has ended. Raises OSError."""
    awaited: set[asyncio.Future[Any]] = {line.started, exited}
    await asyncio.wait(awaited, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
    if not line.started.done():
        if exited.done():
            return  # it has said what it had to, the end tells the rest
        raise TimeoutError(errno.ETIMEDOUT, "the kernel's attendant does not answer")
    word: Started = line.started.result()
    if word.errno is not None:
        raise OSError(word.errno, os.strerror(word.errno), word.filename)
