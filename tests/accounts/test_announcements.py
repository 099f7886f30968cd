"""Announcements: made by administrators, seen by everybody while they hold."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.utils import timezone

from tests.asking import Asking
from tests.cast import Cast, make_cast, socket_headers_of
from zasper_hub.accounts.services.announcements import end_announcement, make_announcement
from zasper_hub.asgi import application

ADMIN = "/api/hub/v1/admin/announcements"
SEEN = "/api/hub/v1/announcements"


@pytest.fixture
def root(cast: Cast) -> Asking:
    return Asking(cast.admin)


def test_an_announcement_is_seen_by_everybody_until_it_is_ended(cast: Cast, root: Asking) -> None:
    made = root.post(ADMIN, {"text": "  Back at <b>six</b>\n on Monday ", "level": "warning"})
    assert made.status_code == 201, made.content
    assert made.json()["created_by"] == "root"
    mallory = Asking(cast.mallory)
    [seen] = mallory.get(SEEN).json()
    assert seen == {"id": made.json()["id"], "text": "Back at <b>six</b>\non Monday", "level": "warning"}
    assert root.post(f"{ADMIN}/{seen['id']}/end").json()["is_current"] is False
    assert mallory.get(SEEN).json() == []
    assert mallory.get(ADMIN).status_code == 403
    assert root.get(ADMIN, state="past").json()["total"] == 1
    assert root.delete(f"{ADMIN}/{seen['id']}").status_code == 204
    assert root.delete(f"{ADMIN}/{seen['id']}").status_code == 404


def test_it_holds_between_its_two_moments(cast: Cast, root: Asking) -> None:
    now = timezone.now()
    hour = timedelta(hours=1)
    for begins, ends in ((now + hour, None), (now - 2 * hour, now - hour), (now - hour, now + hour)):
        body = {"text": f"{begins:%H}", "starts_at": begins.isoformat(), "ends_at": ends and ends.isoformat()}
        assert root.post(ADMIN, body).status_code == 201
    assert [row["text"] for row in root.get(SEEN).json()] == [f"{now - hour:%H}"]
    assert {
        state: root.get(ADMIN, state=state).json()["total"] for state in ("current", "future", "past")
    } == {
        "current": 1,
        "future": 1,
        "past": 1,
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "   "},
        {"text": "x" * 501},
        {"text": "a\x00b"},
        {"text": "x", "level": "panic"},
        {"text": "x", "starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"},
        {"text": "x", "ends_at": "2020-01-01T00:00:00"},
    ],
)
def test_a_bad_announcement_is_refused(cast: Cast, root: Asking, body: dict[str, str]) -> None:
    assert root.post(ADMIN, body).status_code == 422


def test_of_two_who_edit_at_once_the_second_is_told(cast: Cast, root: Asking) -> None:
    made = root.post(ADMIN, {"text": "One", "ends_at": "2090-01-01T00:00:00Z"}).json()
    path = f"{ADMIN}/{made['id']}"
    changed = root.patch(path, {"text": "Two", "version": made["version"]}).json()
    assert (changed["text"], changed["ends_at"]) == ("Two", made["ends_at"])
    assert root.patch(path, {"text": "Three", "version": made["version"]}).status_code == 409
    assert root.patch(path, {"ends_at": None}).json()["ends_at"] is None


async def told_of_announcements(socket: WebsocketCommunicator) -> None:
    while json.loads(await socket.receive_from(timeout=10)) != {"type": "announcements"}:
        pass  # a hint about the project's files


@pytest.mark.django_db(transaction=True)
async def test_open_pages_are_told_when_one_comes_or_goes() -> None:
    in_thread = database_sync_to_async
    cast = await in_thread(make_cast)()
    headers = await in_thread(socket_headers_of)(cast.bob)
    socket = WebsocketCommunicator(application, f"/ws/projects/{cast.project.pk}", headers=headers)
    assert (await socket.connect(timeout=10))[0]
    made = await in_thread(make_announcement)(actor=cast.admin, text="Hello", level="info")
    await told_of_announcements(socket)
    await in_thread(end_announcement)(made.pk, actor=cast.admin)
    await told_of_announcements(socket)
    await socket.disconnect()
