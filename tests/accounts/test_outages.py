"""A full disk or a database that is away is said as what it is, on every way in."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.db import DatabaseError, OperationalError, ProgrammingError
from django.test import Client

from notebooks_app.consumers import websocket_urlpatterns
from tests.cast import Cast, headers_of, make_cast, socket_headers_of
from zasper_hub.accounts.outages import outage_of
from zasper_hub.accounts.sockets import SocketRoutes


def full_database(tmp_path: Path) -> sqlite3.OperationalError:
    """What SQLite really says when it gets no more room."""
    connection = sqlite3.connect(tmp_path / "small.sqlite3")
    connection.execute("PRAGMA max_page_count = 4")
    connection.execute("CREATE TABLE t (x)")
    try:
        connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    except sqlite3.OperationalError as error:
        return error
    finally:
        connection.close()
    raise AssertionError("SQLite found room")


def django_error(cause: BaseException) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


def test_a_full_database_is_a_full_disk(tmp_path: Path) -> None:
    outage = outage_of(django_error(full_database(tmp_path)))
    assert outage is not None
    assert (outage.code, outage.status, outage.close_code) == ("disk_full", 503, 4503)


class _PostgresSays(Exception):
    sqlstate = "53100"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (django_error(_PostgresSays("could not extend file")), "disk_full"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/secret"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OperationalError("connection refused"), "unavailable"),
        (OSError(errno.EPERM, "Operation not permitted"), None),
        (ProgrammingError("no such column"), None),
        (DatabaseError("odd"), None),
        (ValueError("a mistake"), None),
    ],
)
def test_only_what_passes_is_an_outage(error: Exception, code: str | None) -> None:
    outage = outage_of(error)
    assert (outage and outage.code) == code
    assert outage is None or "/srv" not in outage.message


def break_writes(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("django.db.models.Model.save_base", fail)


@pytest.mark.django_db
def test_the_api_answers_disk_full(tmp_path: Path, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = headers_of(cast.alice)
    break_writes(monkeypatch, django_error(full_database(tmp_path)))
    answer = Client(headers=headers).post(
        "/api/hub/v1/projects", {"name": "One more"}, content_type="application/json"
    )
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "disk_full"
    assert answer.headers["Retry-After"]


@pytest.mark.django_db
def test_signing_in_says_that_the_disk_is_full(
    tmp_path: Path, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(raise_request_exception=False)
    cast.alice.set_password("correct horse battery staple")
    cast.alice.save()
    break_writes(monkeypatch, django_error(full_database(tmp_path)))
    answer = client.post(
        "/accounts/login/", {"login": cast.alice.username, "password": "correct horse battery staple"}
    )
    assert answer.status_code == 503
    assert "disk is full" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
async def test_a_socket_is_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from channels.db import database_sync_to_async

    cast = await database_sync_to_async(make_cast)()
    headers = await database_sync_to_async(socket_headers_of)(cast.alice)

    def fail(self: Any) -> Any:
        raise OperationalError("database is locked")

    monkeypatch.setattr("zasper_hub.accounts.sockets.HubConsumer._admit", fail)
    socket = WebsocketCommunicator(
        SocketRoutes(websocket_urlpatterns), f"/ws/projects/{cast.project.pk}", headers=headers
    )
    is_accepted, code = await socket.connect()
    assert (is_accepted, code) == (False, 4503)
