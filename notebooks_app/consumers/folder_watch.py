"""Sees what kernels and other programs do in the folders that somebody looks at.

It looks again and again, at those folders alone: kernels may run on another host or file system, where the operating
system's own notices do not come from. Nobody looks: nothing runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from notebooks_app.errors import HubError
from notebooks_app.models import Project
from notebooks_app.storage.project_files import content_store

log = structlog.get_logger(__name__)

LOOK_S = 1.0
# Projects whose folders are large are looked at less often: looking takes at most this share of a core for each of
# them, and for all together, as long as nobody waits longer than MAX_LOOK_S for those of others.
MAX_SHARE = 0.03
MAX_LOOK_S = 10.0
TELL_S = 5.0
MAX_FOLDERS = 200  # that one page watches

FolderKey = tuple[UUID, str]


class FolderListener(Protocol):
    async def folder_changed(self, folder: str) -> None: ...


class FolderWatch:
    """The folders that the pages of one event loop look at."""

    def __init__(self) -> None:
        self._projects: dict[UUID, Project] = {}
        self._folders: dict[FolderListener, frozenset[FolderKey]] = {}
        self._seen: dict[FolderKey, int | None] = {}
        self._next_look_s: dict[UUID, float] = {}  # by the clock of `time.monotonic`
        self._wanted_anew = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, listener: FolderListener, project: Project, folders: Iterable[str]) -> None:
        """Tells the listener of changes in these folders (and no longer of others) until `leave`.

        It is told of each new one once at the start: what happened before the first look is not missed.
        """
        self._projects[project.pk] = project
        self._folders[listener] = frozenset((project.pk, folder) for folder in folders)
        self._wanted_anew.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_again_and_again(), name="folder-watch")

    def leave(self, listener: FolderListener) -> None:
        self._folders.pop(listener, None)
        if not self._folders:
            self._projects.clear()
            self._next_look_s.clear()
            self._seen.clear()
            if self._task is not None:
                self._task.cancel()
                self._task = None

    async def _look_again_and_again(self) -> None:
        while self._folders:
            self._wanted_anew.clear()
            took_s = await self.look()
            with suppress(TimeoutError):
                pause_s = max(LOOK_S, min(took_s / MAX_SHARE, MAX_LOOK_S))
                await asyncio.wait_for(self._wanted_anew.wait(), pause_s)

    async def look(self) -> float:
        """Looks once, where it is time to, and tells what changed; the seconds that looking took."""
        keys = frozenset().union(*self._folders.values())
        watched = {project_id for project_id, _ in keys}
        self._projects = {pk: project for pk, project in self._projects.items() if pk in watched}
        self._seen = {key: value for key, value in self._seen.items() if key in keys}
        now_s = time.monotonic()
        self._next_look_s = {
            pk: at_s for pk, at_s in self._next_look_s.items() if pk in watched and at_s > now_s
        }
        due = {key for key in keys if key[0] not in self._next_look_s or key not in self._seen}
        found, took_by_project = await asyncio.to_thread(_fingerprints, dict(self._projects), due)
        for project_id, took_s in took_by_project.items():
            if took_s > LOOK_S * MAX_SHARE:
                self._next_look_s[project_id] = time.monotonic() + took_s / MAX_SHARE
        changed = {key for key, value in found.items() if key not in self._seen or self._seen[key] != value}
        self._seen.update(found)
        for listener, folders in list(self._folders.items()):
            for _, folder in sorted(folders & changed):
                await self._tell(listener, folder)
        return sum(took_by_project.values())

    async def _tell(self, listener: FolderListener, folder: str) -> None:
        try:
            await asyncio.wait_for(listener.folder_changed(folder), TELL_S)
        except Exception as error:  # a socket that is just going away must not end the watch of the others
            log.info("folder_change_not_told", kind=type(error).__name__)


def _fingerprints(
    projects: dict[UUID, Project], keys: Iterable[FolderKey]
) -> tuple[dict[FolderKey, int | None], dict[UUID, float]]:
    """Of the folders, and the seconds that took for each project."""
    found: dict[FolderKey, int | None] = {}
    took_s: dict[UUID, float] = {}
    for project_id, folder in keys:
        started_at = time.monotonic()
        try:
            found[(project_id, folder)] = content_store(projects[project_id]).fingerprint(folder)
        except (HubError, OSError):
            found[(project_id, folder)] = None
        took_s[project_id] = took_s.get(project_id, 0.0) + time.monotonic() - started_at
    return found, took_s


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, FolderWatch] = WeakKeyDictionary()


def watch_of_this_loop() -> FolderWatch:
    return _of_loop.setdefault(asyncio.get_running_loop(), FolderWatch())
