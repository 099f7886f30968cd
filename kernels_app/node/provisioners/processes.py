"""What the operating system knows of the processes of kernels, read from /proc."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
# Positions after the program's name in /proc/<pid>/stat (proc(5)).
_STAT_GROUP = 2
_STAT_SESSION = 3
_STAT_RSS_PAGES = 21


class MemoryScan:
    """Resident memory of every process group and session, read at most each `fresh_s`: one pass for all kernels."""

    def __init__(self, fresh_s: float = 0.1) -> None:
        self._fresh_s = fresh_s
        self._read_at = float("-inf")
        self._bytes_by_group: dict[int, int] = {}
        self._bytes_by_session: dict[int, int] = {}

    def group_bytes(self, process_group: int) -> int:
        self._refresh()
        return self._bytes_by_group.get(process_group, 0)

    def session_bytes(self, session: int) -> int:
        """Of a terminal: its shell gives each job a process group of its own."""
        self._refresh()
        return self._bytes_by_session.get(session, 0)

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at > self._fresh_s:
            self._bytes_by_group, self._bytes_by_session = _scan()
            self._read_at = now


def _scan() -> tuple[dict[int, int], dict[int, int]]:
    """Bytes by process group, and by session."""
    groups: dict[int, int] = {}
    sessions: dict[int, int] = {}
    if not _PROC.is_dir():
        return groups, sessions
    for entry in os.listdir(_PROC):  # noqa: PTH208  names only, many times
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with Path(f"/proc/{entry}/stat").open("rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                size_bytes = int(fields[_STAT_RSS_PAGES]) * _PAGE_BYTES
                group, session = int(fields[_STAT_GROUP]), int(fields[_STAT_SESSION])
                groups[group] = groups.get(group, 0) + size_bytes
                sessions[session] = sessions.get(session, 0) + size_bytes
    return groups, sessions


def session_processes(session: int) -> list[int]:
    """Ids of the processes of a session, whatever their process groups."""
    found: list[int] = []
    if not _PROC.is_dir():
        return found
    for entry in os.listdir(_PROC):  # noqa: PTH208  names only
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with Path(f"/proc/{entry}/stat").open("rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if int(fields[_STAT_SESSION]) == session:
                    found.append(int(entry))
    return found


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


def machine_memory_bytes() -> int:
    """Memory of the machine, or of the container when that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total


def usable_cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
