"""What the operating system knows of the processes of kernels, read from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
# Positions after the program's name in /proc/<pid>/stat (proc(5)).
_PARENT, _SESSION = 1, 3
_CPU_TICKS = slice(11, 15)  # user and system, its own and of the children it has waited for
_THREADS, _RSS_PAGES = 17, 21

# Of the machine's memory, for everything else than kernels.
RESERVE_LEAST_BYTES = 512 << 20
RESERVE_MOST_BYTES = 4 << 30


class Usage(msgspec.Struct, frozen=True):
    """What a kernel's processes use together. `cpu_s` since their start; threads count as processes, as they do for
    the kernel of the operating system."""

    memory_bytes: int = 0
    cpu_s: float = 0.0
    process_count: int = 0


class _Process(NamedTuple):
    pid: int
    parent: int
    session: int
    rss_bytes: int
    cpu_ticks: int
    thread_count: int


class ProcessScan:
    """All processes of the machine, read at most each `fresh_s`: one pass for all kernels."""

    def __init__(self, fresh_s: float = 0.1) -> None:
        self._fresh_s = fresh_s
        self._read_at = float("-inf")
        self._by_session: dict[int, list[_Process]] = {}
        self._by_parent: dict[int, list[_Process]] = {}
        self._by_pid: dict[int, _Process] = {}

    def usage(self, leader: int) -> Usage:
        """Of the session that `leader` leads and of everything that comes from it, whatever session that is in."""
        found = self._members(leader)
        return Usage(
            memory_bytes=sum(process.rss_bytes for process in found),
            cpu_s=sum(process.cpu_ticks for process in found) / _TICKS_A_SECOND,
            process_count=sum(process.thread_count for process in found),
        )

    async def exact_memory_bytes(self, leader: int) -> int:
        """The same memory, what several processes share counted once. Slower: a page table walk for each process, some
        milliseconds of a large one, so on another thread."""
        found = self._members(leader)
        if len(found) == 1:
            return found[0].rss_bytes
        return await asyncio.to_thread(lambda: sum(map(_proportional_bytes, found)))

    def children(self, pid: int) -> list[int]:
        self._refresh()
        return [process.pid for process in self._by_parent.get(pid, ())]

    def _members(self, leader: int) -> list[_Process]:
        self._refresh()
        found = {process.pid: process for process in self._by_session.get(leader, ())}
        if leader in self._by_pid:
            found[leader] = self._by_pid[leader]
        waiting = list(found)
        while waiting:
            for child in self._by_parent.get(waiting.pop(), ()):
                if child.pid not in found:
                    found[child.pid] = child
                    waiting.append(child.pid)
        return list(found.values())

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at <= self._fresh_s:
            return
        self._by_session, self._by_parent, self._by_pid = {}, {}, {}
        for process in _processes():
            self._by_pid[process.pid] = process
            self._by_session.setdefault(process.session, []).append(process)
            self._by_parent.setdefault(process.parent, []).append(process)
        self._read_at = now


def _processes() -> Iterable[_Process]:
    if not _PROC.is_dir():
        return
    for entry in os.listdir(_PROC):  # noqa: PTH208  names only, many times
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = _stat(entry).rpartition(b")")[2].split()
                yield _Process(
                    pid=int(entry),
                    parent=int(fields[_PARENT]),
                    session=int(fields[_SESSION]),
                    rss_bytes=int(fields[_RSS_PAGES]) * _PAGE_BYTES,
                    cpu_ticks=sum(map(int, fields[_CPU_TICKS])),
                    thread_count=int(fields[_THREADS]),
                )


def _stat(pid: str) -> bytes:
    """`/proc/<pid>/stat`. Three system calls: a file object makes seven."""
    descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _proportional_bytes(process: _Process) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return process.rss_bytes


def descendants(pid: int) -> list[int]:
    """Ids of a process and of all that come from it."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        children.setdefault(process.parent, []).append(process.pid)
    found = [pid]
    for parent in found:  # grows meanwhile
        found += children.get(parent, ())
    return found


def session_processes(session: int) -> list[int]:
    """Ids of the processes of a session, whatever their process groups."""
    return [process.pid for process in _processes() if process.session == session]


def marked_processes(marker: bytes) -> list[int]:
    """Ids of processes whose environment has the entry `marker` (`NAME=value`)."""
    found: list[int] = []
    if not _PROC.is_dir():
        return found
    for entry in os.listdir(_PROC):  # noqa: PTH208  names only, many times
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), Path(f"/proc/{entry}/environ").open("rb") as file:
                if marker in file.read().split(b"\0"):
                    found.append(int(entry))
    return found


def physical_memory_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES


def machine_memory_bytes() -> int:
    """Memory of the machine, or of the container when that is less."""
    total = physical_memory_bytes()
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total


def default_kernel_memory_bytes(given_bytes: int | None, machine_bytes: int) -> int:
    """What a kernel without a limit may use: all that is meant for kernels (`given_bytes`), or the machine's memory but
    what the hub and the system need. So one kernel that takes ever more is ended, and not the machine."""
    if given_bytes is not None:
        return min(given_bytes, machine_bytes)
    return machine_bytes - min(
        max(machine_bytes // 10, RESERVE_LEAST_BYTES), RESERVE_MOST_BYTES, machine_bytes // 2
    )


def usable_cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
