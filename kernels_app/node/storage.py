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


class Disk(msgspec.Struct, frozen=True):
    """The one on which projects are. `free_bytes`: for ordinary users."""

    total_bytes: int
    free_bytes: int


class Growth(msgspec.Struct, frozen=True):
    """Of a project: its files now, and how much more that is than the least since kernels run in it."""

    files_bytes: int
    grown_bytes: int


class _Project(msgspec.Struct):
    files_bytes: int
    least_bytes: int
    used_bytes: int  # of the disk, when it was measured
    measured_at_s: float
    told_bytes: int | None = None
    # At the last look when enough was free, or the least since then.
    before_bytes: int = 0


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
        used = disk.total_bytes - disk.free_bytes
        known = [
            name
            for name, project in self._projects.items()
            if used - project.used_bytes >= WRITTEN_BYTES
            or now_s - project.measured_at_s >= SELDOM_S
            or self.is_short(disk)
        ]
        return new + known

    def measured(self, sizes: Mapping[str, int], disk: Disk, *, now_s: float, took_s: float) -> None:
        """What was found of those that were due."""
        self._measured_at_s, self._took_s = now_s, took_s
        used = disk.total_bytes - disk.free_bytes
        for name, files_bytes in sizes.items():
            project = self._projects.get(name)
            if project is None:
                self._projects[name] = _Project(
                    files_bytes, files_bytes, used, now_s, before_bytes=files_bytes
                )
                continue
            project.files_bytes, project.used_bytes, project.measured_at_s = files_bytes, used, now_s
            project.least_bytes = min(project.least_bytes, files_bytes)
            is_more = self.is_short(disk) and files_bytes > project.before_bytes
            project.before_bytes = project.before_bytes if is_more else files_bytes

    def news(self) -> dict[str, Growth]:
        """Of those that changed since the hub was told; it counts as told now."""
        found: dict[str, Growth] = {}
        for name, project in self._projects.items():
            told = project.told_bytes
            if told is not None and abs(project.files_bytes - told) < TOLD_BYTES:
                continue
            project.told_bytes = project.files_bytes
            found[name] = Growth(project.files_bytes, project.files_bytes - project.least_bytes)
        return found

    def reserve_of(self, disk: Disk) -> int:
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return min(LARGEST_RESERVE_BYTES, int(disk.total_bytes * RESERVE_SHARE))

    def is_short(self, disk: Disk) -> bool:
        """Whether so little is free that whoever writes has to stop, before the hub itself cannot."""
        return disk.free_bytes < self.reserve_of(disk)

    def filling(self) -> str | None:
        """The project that grew most since enough was free, if any grew as if it would fill the disk. It is not named
        again before it has grown as much once more."""
        grown = {name: one.files_bytes - one.before_bytes for name, one in self._projects.items()}
        most = max(grown, key=lambda name: grown[name], default=None)
        if most is None or grown[most] < FILLING_BYTES:
            return None
        self._projects[most].before_bytes = self._projects[most].files_bytes
        return most


def disk_reason(free_bytes: int) -> str:
    return (
        f"Killed while it wrote: only {size(free_bytes)} are free on the disk of all projects. "
        "Delete files that you do not need, and tell your administrator."
    )


def disk_warning(disk: Disk) -> str:
    """For administrators."""
    return (
        f"Only {size(disk.free_bytes)} of {size(disk.total_bytes)} are free on the disk of its projects: kernels that "
        "write much are ended. Delete files, or give it a larger one."
    )
