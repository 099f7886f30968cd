"""What projects keep while kernels write into them: which to measure now, which to tell of, which fills the disk. Pure.

Nothing asks before a kernel writes. So the size of its project's folder is measured: soon where something was written,
seldom where nothing was, and never so often that measuring costs more than a few hundredths of a core.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from kernels_app.node.endings import size

# Told to the hub when it changed by this much since it was told last.
TOLD_BYTES = 1 << 20
# Less was written on the whole disk since a project was measured: it is not looked at for this.
WRITTEN_BYTES = 4 << 20
# A project in which nothing seems to be written: what others deleted meanwhile may hide it.
SELDOM_S = 30.0
# The pause after a round of measuring, as a multiple of the time it took; and when the disk is nearly full.
PAUSE_FACTOR = 20.0
SHORT_PAUSE_FACTOR = 2.0
# A project that grew by less since the disk is nearly full is not what fills it.
FILLING_BYTES = 16 << 20
LARGEST_RESERVE_BYTES = 1 << 30
RESERVE_SHARE = 0.05
# The same of files, which have a number of their own on most disks: empty ones fill it too.
WRITTEN_FILES = 4_000
FILLING_FILES = 16_000
LARGEST_RESERVE_FILES = 200_000


class Disk(msgspec.Struct, frozen=True):
    """The one on which projects are. `free_bytes` and `free_files` (inodes): for ordinary users; `total_files` 0: as
    many as there is room for."""

    total_bytes: int
    free_bytes: int
    total_files: int = 0
    free_files: int = 0

    @property
    def used_bytes(self) -> int:
        return self.total_bytes - self.free_bytes

    @property
    def used_files(self) -> int:
        return self.total_files - self.free_files


class Size(msgspec.Struct, frozen=True):
    """Of a folder with all that is below it. `files_count`: folders and links too."""

    files_bytes: int
    files_count: int = 0


class Growth(msgspec.Struct, frozen=True):
    """Of a project: its files now, and how much more that is than the least since kernels run in it."""

    files_bytes: int
    grown_bytes: int


class _Project(msgspec.Struct):
    now: Size
    least_bytes: int
    disk: Disk  # when it was measured
    measured_at_s: float
    # At the last look when enough was free, or the least since then.
    before: Size
    told_bytes: int | None = None


class Storage:
    """The projects in which kernels or terminals run. `now_s` is a clock that never goes back."""

    def __init__(self, reserve_bytes: int | None = None) -> None:
        """`reserve_bytes`: what has to stay free for the hub; a share of the disk without it."""
        self._reserve_bytes = reserve_bytes
        self._projects: dict[str, _Project] = {}
        self._measured_at_s = float("-inf")
        self._took_s = 0.0

    def due(self, live: Collection[str], disk: Disk, now_s: float) -> list[str]:
        """Which of the projects with something live in them to measure now. The others are forgotten."""
        for gone in self._projects.keys() - set(live):
            del self._projects[gone]
        new = [name for name in live if name not in self._projects]
        factor = SHORT_PAUSE_FACTOR if self.is_short(disk) else PAUSE_FACTOR
        if now_s - self._measured_at_s < self._took_s * factor:
            return new
        known = [
            name
            for name, project in self._projects.items()
            if disk.used_bytes - project.disk.used_bytes >= WRITTEN_BYTES
            or disk.used_files - project.disk.used_files >= WRITTEN_FILES
            or now_s - project.measured_at_s >= SELDOM_S
            or self.is_short(disk)
        ]
        return new + known

    def measured(self, sizes: Mapping[str, Size], disk: Disk, *, now_s: float, took_s: float) -> None:
        """What was found of those that were due."""
        self._measured_at_s, self._took_s = now_s, took_s
        for name, size_now in sizes.items():
            project = self._projects.get(name)
            if project is None:
                self._projects[name] = _Project(size_now, size_now.files_bytes, disk, now_s, size_now)
                continue
            project.now, project.disk, project.measured_at_s = size_now, disk, now_s
            project.least_bytes = min(project.least_bytes, size_now.files_bytes)
            if not self.is_short(disk):
                project.before = size_now
                continue
            project.before = Size(
                min(project.before.files_bytes, size_now.files_bytes),
                min(project.before.files_count, size_now.files_count),
            )

    def news(self) -> dict[str, Growth]:
        """Of those that changed since the hub was told; it counts as told now."""
        found: dict[str, Growth] = {}
        for name, project in self._projects.items():
            told = project.told_bytes
            files_bytes = project.now.files_bytes
            if told is not None and abs(files_bytes - told) < TOLD_BYTES:
                continue
            project.told_bytes = files_bytes
            found[name] = Growth(files_bytes, files_bytes - project.least_bytes)
        return found

    def reserve_of(self, disk: Disk) -> int:
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return min(LARGEST_RESERVE_BYTES, int(disk.total_bytes * RESERVE_SHARE))

    def is_short(self, disk: Disk) -> bool:
        """Whether so little is free that whoever writes has to stop, before the hub itself cannot."""
        return self._is_short_of_bytes(disk) or is_short_of_files(disk)

    def _is_short_of_bytes(self, disk: Disk) -> bool:
        return disk.free_bytes < self.reserve_of(disk)

    def filling(self, disk: Disk) -> str | None:
        """The project that grew most, of what the disk is short of, since enough was free; if any grew as if it would
        fill it. It is not named again before it has grown as much once more."""
        grown = {name: self._growth(project, disk) for name, project in self._projects.items()}
        most = max(grown, key=lambda name: grown[name], default=None)
        if most is None or grown[most] < 1:
            return None
        self._projects[most].before = self._projects[most].now
        return most

    def _growth(self, project: _Project, disk: Disk) -> float:
        """As a multiple of what fills a disk."""
        growth = 0.0
        if self._is_short_of_bytes(disk):
            growth = (project.now.files_bytes - project.before.files_bytes) / FILLING_BYTES
        if is_short_of_files(disk):
            growth = max(growth, (project.now.files_count - project.before.files_count) / FILLING_FILES)
        return growth


def is_short_of_files(disk: Disk) -> bool:
    """Whether so few more files can be made, however small, that whoever makes them has to stop."""
    return disk.total_files > 0 and disk.free_files < min(
        LARGEST_RESERVE_FILES, int(disk.total_files * RESERVE_SHARE)
    )


def disk_reason(disk: Disk) -> str:
    left = (
        f"{disk.free_files:,} more files fit"
        if is_short_of_files(disk)
        else f"{size(disk.free_bytes)} are free"
    )
    return (
        f"Killed while it wrote: only {left} on the disk of all projects. "
        "Delete files that you do not need, and tell your administrator."
    )


def disk_warning(disk: Disk) -> str:
    """For administrators."""
    if is_short_of_files(disk):
        return (
            f"Only {disk.free_files:,} of {disk.total_files:,} files more fit on the disk of its projects, however "
            "small: kernels that write many are ended. Delete files, or give it a disk for more of them."
        )
    return (
        f"Only {size(disk.free_bytes)} of {size(disk.total_bytes)} are free on the disk of its projects: kernels that "
        "write much are ended. Delete files, or give it a larger one."
    )
