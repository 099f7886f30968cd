"""Administrators who act as a person: seen by both, audited with both, and over after an hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from django.utils import timezone

from tests.asking import signed_in
from tests.cast import PASSWORD, Cast, headers_of, make_cast
from zasper_hub.accounts.models import ActingPeriod, AuditEvent, LoginSession, User
from zasper_hub.accounts.services import create_person
from zasper_hub.asgi import application

API = "/api/hub/v1"
JSON = "application/json"


@pytest.fixture
def root(cast: Cast) -> Client:
    return signed_in(cast.admin)


def act_as(client: Client, username: str, **body: str) -> int:
    answer = client.post(f"{API}/admin/people/{username}/act-as", body, content_type=JSON)
    return answer.status_code


def code_of(client: Client, method: str, path: str) -> str:
    answer = client.generic(method, f"{API}/{path}", "{}", content_type=JSON)
    return str(answer.json()["error"]["code"])


def test_while_acting_everything_is_the_person_s_and_both_are_noted(cast: Cast, root: Client) -> None:
    assert act_as(root, "alice", reason="Her notebook does not open") == 201
    me = root.get(f"{API}/me").json()
    assert (me["username"], me["administers"], me["is_staff"]) == ("alice", None, False)
    assert (me["acting_as"]["administrator"], me["acting_as"]["username"]) == ("root", "alice")
    made = root.post(f"{API}/projects", {"name": "Looked into"}, content_type=JSON)
    assert made.status_code == 201
    event = AuditEvent.objects.get(action="project_created", target=f"project:{made.json()['id']}")
    assert (event.actor, event.acted_by) == (cast.alice, cast.admin)
    assert (event.actor_name, event.acted_by_name) == ("alice", "root")
    assert root.delete(f"{API}/acting").status_code == 204
    me = root.get(f"{API}/me").json()
    assert (me["username"], me["acting_as"]) == ("root", None)
    assert code_of(root, "DELETE", "acting") == "not_found"
    noted = AuditEvent.objects.filter(target=f"user:{cast.alice.pk}", action__startswith="acting")
    assert sorted(noted.values_list("action", flat=True)) == ["acting_ended", "acting_started"]


def test_the_person_sees_it_now_and_later(cast: Cast, root: Client) -> None:
    alice = headers_of(cast.alice)
    act_as(root, "alice", reason="A look")
    [now] = Client().get(f"{API}/me", headers=alice).json()["acted_on_by"]
    assert now["administrator"] == "root"
    root.delete(f"{API}/acting")
    assert Client().get(f"{API}/me", headers=alice).json()["acted_on_by"] == []
    [period] = Client().get(f"{API}/me/acted-as", headers=alice).json()
    assert (period["administrator"], period["reason"]) == ("root", "A look")
    assert period["ended_at"] is not None
    assert Client().get(f"{API}/me/acted-as", headers=headers_of(cast.bob)).json() == []


def test_nobody_is_robbed_of_their_account(cast: Cast, root: Client) -> None:
    act_as(root, "alice")
    assert code_of(root, "POST", "me/password") == "acting"
    assert code_of(root, "POST", "me/tokens") == "acting"
    assert code_of(root, "PATCH", "me") == "acting"
    assert code_of(root, "GET", "admin/overview") == "acting"
    assert root.get("/admin/records/").status_code in (302, 403, 404)
    cast.alice.refresh_from_db()
    assert cast.alice.check_password(PASSWORD)


def test_only_an_administrator_of_the_hub_acts_and_never_as_another(cast: Cast, root: Client) -> None:
    second = create_person(username="second", password=PASSWORD, is_administrator=True)
    assert act_as(root, "second") == 403
    assert act_as(root, "root") == 409
    assert act_as(root, "nobody") == 404
    User.objects.filter(pk=cast.bob.pk).update(is_active=False)
    assert act_as(root, "bob") == 403
    assert act_as(signed_in(cast.alice), "carol") == 403
    token = Client().post(f"{API}/admin/people/alice/act-as", headers=headers_of(second))
    assert token.json()["error"]["code"] == "wrong_scope"
    assert not ActingPeriod.objects.exists()


def test_after_an_hour_programs_are_told_and_a_page_is_the_administrator_s_again(
    cast: Cast, root: Client
) -> None:
    act_as(root, "alice")
    ActingPeriod.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    for method, path in (("GET", "me"), ("POST", "projects"), ("DELETE", "acting")):
        assert code_of(root, method, path) == "acting_ended"
    assert root.get("/jupyter/alice/analysis/api/contents").status_code == 403
    # A token in the header speaks for itself.
    assert root.get(f"{API}/me", headers=headers_of(cast.bob)).json()["username"] == "bob"
    assert root.get("/account").status_code in (200, 503)
    assert root.get(f"{API}/me").json()["username"] == "root"


@pytest.mark.parametrize("loss", ["demoted", "disabled person", "promoted person"])
def test_it_ends_with_the_right_to_it(cast: Cast, root: Client, loss: str) -> None:
    act_as(root, "alice")
    match loss:
        case "demoted":
            User.objects.filter(pk=cast.admin.pk).update(is_staff=False)
        case "disabled person":
            User.objects.filter(pk=cast.alice.pk).update(is_active=False)
        case _:
            User.objects.filter(pk=cast.alice.pk).update(is_staff=True)
    assert code_of(root, "GET", "me") == "acting_ended"


def test_signing_out_ends_it_and_so_does_acting_as_the_next(cast: Cast, root: Client) -> None:
    act_as(root, "alice")
    root.post("/accounts/logout/")
    assert ActingPeriod.objects.get().ended_at is not None
    event = AuditEvent.objects.get(action="sign_out")
    assert (event.actor, event.acted_by) == (cast.alice, cast.admin)
    assert not LoginSession.objects.filter(user=cast.admin).exists()
    again, other = signed_in(cast.admin), signed_in(cast.admin)
    act_as(again, "bob")
    act_as(other, "carol")
    assert code_of(again, "GET", "me") == "acting_ended"


@pytest.mark.django_db(transaction=True)
async def test_sockets_know_whom_the_cookie_stands_for() -> None:
    in_thread = database_sync_to_async
    cast = await in_thread(make_cast)()
    client = await in_thread(signed_in)(cast.admin)
    headers = [
        (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()),
        (b"origin", b"http://testserver"),
        (b"host", b"testserver"),
    ]
    path = f"/ws/projects/{cast.project.pk}"

    async def opened() -> WebsocketCommunicator | None:
        socket = WebsocketCommunicator(application, path, headers=headers)
        is_open, _code = await socket.connect(timeout=10)
        return socket if is_open else None

    assert await opened() is None  # the administrator is no member of the project
    assert await in_thread(act_as)(client, "bob") == 201
    socket = await opened()
    assert socket is not None
    # Acting as somebody else: what was opened as bob closes, whatever carol may see.
    assert (await in_thread(client.delete)(f"{API}/acting")).status_code == 204
    assert await in_thread(act_as)(client, "carol") == 201
    ended = await socket.receive_output(timeout=10)
    while ended["type"] == "websocket.send":  # hints about the project
        ended = await socket.receive_output(timeout=10)
    assert (ended["type"], ended["code"]) == ("websocket.close", 4401)
    socket = await opened()
    assert socket is not None
    await in_thread(ActingPeriod.objects.update)(ends_at=timezone.now() - timedelta(seconds=1))
    await in_thread(client.delete)(f"{API}/acting")
    assert await opened() is None
    await socket.disconnect()
