"""The hints socket of a project, and what it sees of other programs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from notebooks_app.consumers import folder_watch, websocket_urlpatterns
from notebooks_app.models import Project, ProjectMembership
from notebooks_app.services.file_hints import send_files_hint, send_kernels_hint
from tests.cast import Cast, headers_of, socket_headers_of
from zasper_hub.accounts.models import User
from zasper_hub.accounts.sockets import SocketRoutes

pytestmark = pytest.mark.django_db(transaction=True)
DEADLINE_S = 10

Connect = Callable[..., Awaitable["Page"]]


class Page:
    """What one browser page gets."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.communicator = communicator

    async def expect(self, *hints: dict[str, str]) -> None:
        """Waits until each of the hints has come (others may come too)."""
        missing = [json.dumps(hint, sort_keys=True) for hint in hints]
        while missing:
            frame = await self.communicator.receive_json_from(timeout=DEADLINE_S)
            text = json.dumps(frame, sort_keys=True)
            if text in missing:
                missing.remove(text)

    async def watch(self, *folders: str) -> None:
        await self.communicator.send_json_to({"type": "watch", "folders": list(folders)})


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    opened: list[WebsocketCommunicator] = []

    async def connect_page(project_id: object, user: User) -> Page:
        headers = await sync_to_async(socket_headers_of)(user)
        communicator = WebsocketCommunicator(
            SocketRoutes(websocket_urlpatterns), f"/ws/projects/{project_id}", headers=headers
        )
        is_open, _ = await communicator.connect(timeout=DEADLINE_S)
        opened.append(communicator)
        assert is_open
        return Page(communicator)

    yield connect_page
    for communicator in opened:
        await communicator.disconnect()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "LOOK_S", 0.01)


def files_hint(path: str) -> dict[str, str]:
    return {"type": "files", "path": path}


def folder_of(project: Project) -> Path:
    folder = Path(settings.DATA_DIR) / "projects" / str(project.pk)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def test_a_change_by_another_person_is_hinted_after_the_commit(cast: Cast, connect: Connect) -> None:
    page = await connect(cast.project.pk, cast.carol)
    await page.expect(files_hint(""))

    def put() -> None:
        client = Client(headers=headers_of(cast.bob))
        url = f"/api/hub/v1/projects/{cast.project.pk}/files/far/away/a.txt"
        assert client.put(url, b"x", content_type="text/plain").status_code == 201

    await sync_to_async(put)()
    await page.expect(files_hint("far/away"))  # nobody watches that folder: it came over the channel layer


async def test_a_file_that_a_kernel_makes_is_hinted(cast: Cast, connect: Connect) -> None:
    page = await connect(cast.project.pk, cast.carol)
    await page.expect(files_hint(""))
    (folder_of(cast.project) / "plot.png").write_bytes(b"x")
    await page.expect(files_hint(""))
    (folder_of(cast.project) / "plot.png").write_bytes(b"xy")
    await page.expect(files_hint(""))
    (folder_of(cast.project) / "plot.png").unlink()
    await page.expect(files_hint(""))


async def test_the_folders_a_page_shows_are_watched(cast: Cast, connect: Connect) -> None:
    inside = folder_of(cast.project) / "data" / "raw"
    inside.mkdir(parents=True)
    page = await connect(cast.project.pk, cast.carol)
    await page.watch("", "data/raw")
    await page.expect(files_hint(""), files_hint("data/raw"))
    (inside / "new.csv").write_text("x")
    await page.expect(files_hint("data/raw"))


async def test_hints_of_one_project_do_not_reach_another(cast: Cast, connect: Connect) -> None:
    def make_other() -> Project:
        other = Project.objects.create(team=cast.mallory.personal_team, slug="own", name="Own")
        ProjectMembership.objects.create(project=other, user=cast.mallory, role="owner")
        return other

    other = await sync_to_async(make_other)()
    theirs = await connect(other.pk, cast.mallory)
    ours = await connect(cast.project.pk, cast.carol)
    await theirs.expect(files_hint(""))
    await sync_to_async(send_files_hint)(cast.project.pk, "secret")
    await ours.expect(files_hint("secret"))
    assert await theirs.communicator.receive_nothing(timeout=0.05)


async def test_the_top_folder_has_one_name(cast: Cast, connect: Connect) -> None:
    page = await connect(cast.project.pk, cast.carol)
    await page.expect(files_hint(""))
    await sync_to_async(send_files_hint)(cast.project.pk, ".")
    await page.expect(files_hint(""))
    await sync_to_async(send_kernels_hint)(cast.project.pk)
    await page.expect({"type": "kernels"})


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "[]",
        '{"type": "watch"}',
        '{"type": "files", "folders": []}',
        '{"type":"watch","folders":[1]}',
    ],
)
async def test_a_frame_that_means_nothing_ends_the_socket(cast: Cast, connect: Connect, frame: str) -> None:
    page = await connect(cast.project.pk, cast.carol)
    await page.communicator.send_to(text_data=frame or " ")
    while True:
        event = await page.communicator.receive_output(timeout=DEADLINE_S)
        if event["type"] == "websocket.close":
            assert event["code"] == 4400
            return


async def test_hostile_folders_are_watched_by_nobody(cast: Cast, connect: Connect) -> None:
    page = await connect(cast.project.pk, cast.carol)
    await page.watch("../..", "/etc", "a\0b", "x" * 5000, *(f"d{number}" for number in range(5000)), "late")
    await page.watch("ok")
    await page.expect(files_hint("ok"))
    watched = {folder for _, folder in folder_watch.watch_of_this_loop()._seen}
    assert watched == {"ok"}


@pytest.mark.parametrize("who", ["mallory", "unknown project", "malformed"])
async def test_a_stranger_is_refused(cast: Cast, who: str) -> None:
    project_id: Any = {"mallory": cast.project.pk, "unknown project": uuid4(), "malformed": "x"}[who]
    headers = await sync_to_async(socket_headers_of)(cast.mallory)
    communicator = WebsocketCommunicator(
        SocketRoutes(websocket_urlpatterns), f"/ws/projects/{project_id}", headers=headers
    )
    is_open, code = await communicator.connect(timeout=DEADLINE_S)
    assert (is_open, code) == (False, 4403)


async def test_a_project_that_takes_long_to_look_at_does_not_keep_the_others_waiting(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Project(team=cast.mallory.personal_team, slug="own", name="Own")
    looked_at: list[object] = []
    looks = {cast.project.pk: 0.0, other.pk: 3600.0}
    clock_s = 1000.0

    class Quiet:
        async def folder_changed(self, folder: str) -> None: ...

    class Store:
        def __init__(self, project: Project) -> None:
            self.project = project

        def fingerprint(self, folder: str) -> int:
            nonlocal clock_s
            clock_s += looks[self.project.pk]
            looked_at.append(self.project.pk)
            return 1

    monkeypatch.setattr(folder_watch, "content_store", Store)
    monkeypatch.setattr(folder_watch, "time", SimpleNamespace(monotonic=lambda: clock_s))
    watch = folder_watch.FolderWatch()
    for project in (cast.project, other):
        listener = Quiet()
        watch._projects[project.pk] = project
        watch._folders[listener] = frozenset({(project.pk, "")})
    for _ in range(3):
        await watch.look()
    assert looked_at.count(cast.project.pk) == 3
    assert looked_at.count(other.pk) == 1


async def test_when_nobody_looks_nothing_runs(cast: Cast, connect: Connect) -> None:
    page = await connect(cast.project.pk, cast.carol)
    await page.expect(files_hint(""))
    watch = folder_watch.watch_of_this_loop()
    task = watch._task
    assert task is not None
    await page.communicator.disconnect()
    await asyncio.wait([task], timeout=DEADLINE_S)
    assert task.cancelled()
    assert watch._task is None
    assert not watch._seen
    assert not [thread for thread in threading.enumerate() if "folder" in thread.name]


async def test_a_page_that_does_not_read_does_not_keep_the_others_from_hearing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "TELL_S", 0.05)
    heard: list[str] = []
    changed = asyncio.Event()

    class Stuck:
        async def folder_changed(self, folder: str) -> None:
            await asyncio.Event().wait()

    class Listening:
        async def folder_changed(self, folder: str) -> None:
            heard.append(folder)
            changed.set()

    watch = folder_watch.FolderWatch()
    listeners: list[folder_watch.FolderListener] = [Stuck(), Listening()]
    for listener in listeners:
        watch.watch(listener, cast.project, [""])
    async with asyncio.timeout(DEADLINE_S):
        await changed.wait()
    for listener in listeners:
        watch.leave(listener)
    assert heard[0] == ""


async def test_a_project_whose_page_is_open_was_opened(cast: Cast, connect: Connect) -> None:
    await connect(cast.project.pk, cast.carol)
    async with asyncio.timeout(DEADLINE_S):
        while not await Project.objects.filter(pk=cast.project.pk, last_opened_at__isnull=False).aexists():
            await asyncio.sleep(0.01)
