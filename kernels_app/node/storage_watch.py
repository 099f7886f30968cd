"""Looks after the disk: measures projects while kernels run in them, tells the hub, and ends what fills the disk."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kernels_app.bus.envelopes import ProjectFigures, ProjectsMeasured
from kernels_app.node.hosting import KernelHost
from kernels_app.node.life import NodeLife
from kernels_app.node.storage import Disk, Size, Storage, disk_reason, disk_warning
from kernels_app.node.terminal_host import TerminalHost

logger = logging.getLogger(__name__)

CHECK_S = 0.5
IDLE_CHECK_S = 5.0
# Of one project, however many files it has: what was counted until then is the least there is.
MEASURING_S = 5.0


class StorageWatch:
    """`run` is its one task."""

    def __init__(
        self,
        life: NodeLife,
        host: KernelHost,
        terminals: TerminalHost,
        *,
        projects_root: Path,
        reserve_bytes: int | None,
        disk_of: Callable[[Path], Disk] | None = None,
    ) -> None:
        self._life = life
        self._host = host
        self._terminals = terminals
        self._projects_root = projects_root
        self._storage = Storage(reserve_bytes)
        self._disk_of = disk_of or disk_of_folder
        self._woken = asyncio.Event()
        # For administrators, while there is something to say.
        self.warning = ""

    def wake(self) -> None:
        """Something starts in a project: what is there before it writes has to be known."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            is_busy = self._host.is_busy or self._terminals.is_in_use
            try:
                async with asyncio.timeout(CHECK_S if is_busy else IDLE_CHECK_S):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                await self.check()
            except OSError as error:
                logger.warning("The disk of the projects cannot be looked at: %s", error)

    async def check(self) -> None:
        """One look. Raises OSError."""
        live = self._host.project_paths | self._terminals.project_paths
        if not live:
            return
        disk = await asyncio.to_thread(self._disk_of, self._projects_root)
        loop = asyncio.get_running_loop()
        due = self._storage.due(live, disk, loop.time())
        if due:
            began_s = loop.time()
            sizes = await asyncio.to_thread(self._measure, due)
            now_s = loop.time()
            self._storage.measured(sizes, disk, now_s=now_s, took_s=now_s - began_s)
            self._tell()
        is_short = self._storage.is_short(disk)
        if is_short and not self.warning:
            logger.warning("%s", disk_warning(disk))
        self.warning = disk_warning(disk) if is_short else ""
        project = self._storage.filling(disk) if is_short else None
        if project is not None:
            logger.warning("What writes in project %s ends: it fills the disk.", project)
            self._end_writers(project, disk_reason(disk))

    def _measure(self, projects: Iterable[str]) -> dict[str, Size]:
        return {
            project: folder_size(self._projects_root / project, until_s=time.monotonic() + MEASURING_S)
            for project in projects
        }

    def _tell(self) -> None:
        news = self._storage.news()
        if news:
            self._life.outbox.event(
                ProjectsMeasured(
                    node_id=self._life.node_id,
                    fence=self._life.fence,
                    at=self._life.clock_ms(),
                    projects={
                        project: ProjectFigures(growth.files_bytes, growth.grown_bytes)
                        for project, growth in news.items()
                    },
                )
            )

    def _end_writers(self, project_path: str, reason: str) -> None:
        """Kernels at work first; where that was not it, the next look ends all there is."""
        if not self._host.end_in_project(project_path, reason, only_busy=True):
            self._host.end_in_project(project_path, reason, only_busy=False)
            self._terminals.end_in_project(project_path, reason)


def disk_of_folder(folder: Path) -> Disk:
    """Blocking. Raises OSError."""
    found = os.statvfs(folder)
    return Disk(
        total_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bavail * found.f_frsize,
        total_files=found.f_files,
        free_files=found.f_favail,
    )


def folder_size(folder: Path, *, until_s: float) -> Size:
    """All that is below, its bytes as the hub counts them: no link is followed. What cannot be looked into counts
    nothing; after `until_s` (of time.monotonic) it is what was counted so far. Blocking."""
    total_bytes = count = 0
    waiting = [str(folder)]
    while waiting and time.monotonic() < until_s:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            total_bytes += entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        continue  # gone meanwhile
        except OSError:
            continue
    return Size(total_bytes, count)
