"""The base consumer: who gets in, with which close code, and who is put out again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from django.urls import path
from django.utils import timezone
from pytest_django import Settings

from notebooks_app.models import Role
from notebooks_app.services.projects import delete_project, remove_project_member, set_project_member
from tests.cast import PASSWORD, Cast, make_cast, socket_headers_of, token_of
from zasper_hub.accounts import socket_watch
from zasper_hub.accounts.authentication import Caller
from zasper_hub.accounts.errors import TooSlow, Unavailable
from zasper_hub.accounts.models import AccessChange, ApiToken, User
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.selectors.access_changes import NewChanges
from zasper_hub.accounts.services.people import change_password
from zasper_hub.accounts.signals import account_created
from zasper_hub.accounts.socket_watch import may_have_missed, watch_of_this_loop
from zasper_hub.accounts.sockets import HubConsumer, SocketRoutes
from zasper_hub.accounts.tokens import Scope

PROMISED_S = 5.0
ORIGIN = "http://hub.example"


class Echo(HubConsumer):
    """Sends back what it gets; says when its access was looked at again."""

    need = Need.EDITOR
    token_scope = Scope.WRITE
    max_frame_bytes = 100
    told: list[str] = []

    async def prepare(self) -> None:
        self.told.append("prepare")
        if "busy" in self.scope["query_string"].decode():
            raise Unavailable
        if "broken" in self.scope["query_string"].decode():
            raise RuntimeError("a defect")

    async def opened(self) -> None:
        await self.send(text_data=f"hello {self.user.username}")

    async def received(self, frame: str | bytes) -> None:
        if frame == "slow":
            raise TooSlow
        if frame == "broken":
            raise RuntimeError("a defect")
        if isinstance(frame, str):
            await self.send(text_data=frame)
        else:
            await self.send(bytes_data=frame)

    async def closed(self, close_code: int) -> None:
        self.told.append(f"closed {close_code}")

    async def access_rechecked(self) -> None:
        await self.send(text_data="rechecked")


APPLICATION = SocketRoutes([path("ws/projects/<uuid:project_id>", Echo.as_asgi())])


@pytest.fixture
def cast(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setattr(account_created, "receivers", [])  # no example projects: nobody looks at them here
    Echo.told.clear()
    made = make_cast()
    AccessChange.objects.all().delete()
    return made


def address_of(cast: Cast, query: str = "") -> str:
    return f"/ws/projects/{cast.project.pk}{query}"


async def knock(address: str, headers: list[tuple[bytes, bytes]]) -> int | None:
    """The close code of a refusal; None when let in."""
    socket = WebsocketCommunicator(APPLICATION, address, headers=headers)
    is_open, code = await socket.connect(timeout=PROMISED_S)
    await socket.disconnect()
    return None if is_open else int(code)


@asynccontextmanager
async def opened(address: str, headers: list[tuple[bytes, bytes]]) -> AsyncIterator[WebsocketCommunicator]:
    socket = WebsocketCommunicator(APPLICATION, address, headers=headers)
    is_open, _ = await socket.connect(timeout=PROMISED_S)
    assert is_open
    assert (await socket.receive_from()).startswith("hello ")
    try:
        yield socket
    finally:
        await socket.disconnect()


async def close_code_within(socket: WebsocketCommunicator, seconds: float = PROMISED_S) -> int:
    async with asyncio.timeout(seconds):
        while True:
            message = await socket.receive_output(seconds)
            if message["type"] == "websocket.close":
                return int(message["code"])


in_thread = database_sync_to_async


async def headers_for(user: User, *scopes: str) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = await in_thread(socket_headers_of)(user, *scopes)
    return headers


def sign_in(username: str) -> str:
    client = Client()
    assert client.post("/accounts/login/", {"login": username, "password": PASSWORD}).status_code == 302
    return client.cookies["sessionid"].value


async def cookie_headers(
    username: str, origin: str | None = ORIGIN, host: str = "hub.example"
) -> list[tuple[bytes, bytes]]:
    cookie = await in_thread(sign_in)(username)
    headers = [(b"cookie", f"a=b; sessionid={cookie}".encode()), (b"host", host.encode())]
    return headers if origin is None else [*headers, (b"origin", origin.encode())]


async def test_an_editor_gets_in_and_is_heard(cast: Cast) -> None:
    async with opened(address_of(cast), await headers_for(cast.bob)) as socket:
        await socket.send_to(text_data="x")
        assert await socket.receive_from() == "x"
        await socket.send_to(bytes_data=b"\x00y")
        assert await socket.receive_from() == b"\x00y"
    assert Echo.told == ["prepare", "closed 1000"]


async def test_strangers_viewers_and_wrong_scopes_are_refused_before_accept(cast: Cast) -> None:
    address = address_of(cast)
    assert await knock(address, []) == 4401
    assert await knock(address, [(b"authorization", b"Bearer zh_nonsense")]) == 4401
    assert await knock(address, await headers_for(cast.mallory)) == 4403
    assert await knock(address, await headers_for(cast.admin)) == 4403
    assert await knock(address, await headers_for(cast.carol)) == 4403
    assert await knock(address, await headers_for(cast.bob, "read")) == 4403
    assert await knock(address, await headers_for(cast.bob, "write")) is None
    assert Echo.told == ["prepare", "closed 1000"]


async def test_unknown_ids_and_addresses_are_refused_alike(cast: Cast) -> None:
    headers = await headers_for(cast.bob)
    assert await knock("/ws/projects/00000000-0000-4000-8000-000000000000", headers) == 4403
    assert await knock("/ws/projects/nonsense", headers) == 4403
    assert await knock("/ws/nothing", headers) == 4403
    assert await knock("/", []) == 4403


async def test_a_query_token_opens_a_socket_whatever_the_origin(cast: Cast) -> None:
    text = await in_thread(token_of)(cast.bob)
    assert (
        await knock(address_of(cast, f"?token={text}"), [(b"origin", b"https://elsewhere.example")]) is None
    )
    assert await knock(address_of(cast, "?token=zh_00000000_x"), []) == 4401


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://hub.example",
        "http://hub.example:8000",
        "http://hub.example.evil.example",
        "http://evil.example",
        "http://sub.hub.example",
        "hub.example",
        "http://hub.example/",
    ],
)
async def test_a_cookie_opens_a_socket_only_from_our_own_origin(cast: Cast, origin: str | None) -> None:
    assert await knock(address_of(cast), await cookie_headers("bob", origin)) == 4403


async def test_a_cookie_from_our_own_origin_opens_a_socket(cast: Cast) -> None:
    assert await knock(address_of(cast), await cookie_headers("bob")) is None


async def test_with_a_public_address_only_its_origin_counts(cast: Cast, settings: Settings) -> None:
    settings.HUB_ORIGINS = ["https://hub.example"]
    assert await knock(address_of(cast), await cookie_headers("bob", "https://hub.example")) is None
    assert await knock(address_of(cast), await cookie_headers("bob", "http://hub.example")) == 4403


async def test_a_cookie_of_nobody_is_refused(cast: Cast) -> None:
    headers = [(b"cookie", b"sessionid=nonsense"), (b"host", b"hub.example"), (b"origin", ORIGIN.encode())]
    assert await knock(address_of(cast), headers) == 4401


async def test_a_refusal_by_the_consumer_itself_comes_before_accept_too(cast: Cast) -> None:
    headers = await headers_for(cast.bob)
    assert await knock(address_of(cast, "?busy"), headers) == 4503
    assert await knock(address_of(cast, "?broken"), headers) == 1011
    assert watch_of_this_loop().open_count() == 0


async def test_a_server_that_can_send_a_response_sends_the_error(cast: Cast) -> None:
    scope = {
        "type": "websocket",
        "path": address_of(cast),
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    server: Any = ApplicationCommunicator(APPLICATION, scope)  # type: ignore[no-untyped-call]
    await server.send_input({"type": "websocket.connect"})
    start = await server.receive_output(PROMISED_S)
    body = await server.receive_output(PROMISED_S)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert json.loads(body["body"])["error"]["code"] == "not_signed_in"
    await server.send_input({"type": "websocket.disconnect", "code": 1006})
    await server.wait(PROMISED_S)


async def test_a_frame_that_is_too_large_ends_the_socket(cast: Cast) -> None:
    async with opened(address_of(cast), await headers_for(cast.bob)) as socket:
        await socket.send_to(text_data="x" * 100)
        assert await socket.receive_from() == "x" * 100
        await socket.send_to(text_data="x" * 101)
        assert await close_code_within(socket) == 4413


async def test_an_error_while_serving_ends_the_socket_with_its_code(cast: Cast) -> None:
    for frame, code in (("slow", 4408), ("broken", 1011)):
        async with opened(address_of(cast), await headers_for(cast.bob)) as socket:
            await socket.send_to(text_data=frame)
            assert await close_code_within(socket) == code
    assert [event for event in Echo.told if event.startswith("closed")] == ["closed 1000", "closed 1000"]


async def test_one_person_has_a_bounded_number_of_sockets(cast: Cast, settings: Settings) -> None:
    settings.HUB_MAX_SOCKETS = 2
    bob, alice = await headers_for(cast.bob), await headers_for(cast.alice)
    async with opened(address_of(cast), bob), opened(address_of(cast), bob):
        assert await knock(address_of(cast), bob) == 4429
        assert await knock(address_of(cast), alice) is None
        assert watch_of_this_loop().open_count(cast.bob.pk) == 2
    assert watch_of_this_loop().open_count() == 0
    assert await knock(address_of(cast), bob) is None


async def test_losing_membership_closes_the_socket_in_time(cast: Cast) -> None:
    bob, alice = await headers_for(cast.bob), await headers_for(cast.alice)
    async with opened(address_of(cast), bob) as socket, opened(address_of(cast), alice) as other:
        await in_thread(remove_project_member)(cast.project, cast.bob, actor=cast.alice)
        assert await close_code_within(socket) == 4403
        await other.send_to(text_data="still here")
        assert await other.receive_from() == "still here"


async def test_a_role_that_no_longer_suffices_closes_and_one_that_does_is_told(cast: Cast) -> None:
    async with opened(address_of(cast), await headers_for(cast.bob)) as socket:
        await in_thread(set_project_member)(cast.project, cast.bob, Role.OWNER, actor=cast.alice)
        assert await socket.receive_from(PROMISED_S) == "rechecked"
        await in_thread(set_project_member)(cast.project, cast.bob, Role.VIEWER, actor=cast.alice)
        assert await close_code_within(socket) == 4403


async def test_deleting_the_project_closes_everybodys_socket(cast: Cast) -> None:
    bob, alice = await headers_for(cast.bob), await headers_for(cast.alice)
    async with opened(address_of(cast), bob) as one, opened(address_of(cast), alice) as two:
        await in_thread(delete_project)(cast.project, actor=cast.alice)
        assert await close_code_within(one) == 4403
        assert await close_code_within(two) == 4403


async def test_a_changed_password_closes_sockets_of_cookies(cast: Cast) -> None:
    async with opened(address_of(cast), await cookie_headers("bob")) as socket:
        await in_thread(change_password)(
            cast.bob, current_password=PASSWORD, new_password="another good one 7"
        )
        assert await close_code_within(socket) == 4401


async def test_a_disabled_account_closes_sockets_of_cookies_and_tokens(cast: Cast) -> None:
    cookie, token = await cookie_headers("bob"), await headers_for(cast.bob)
    async with opened(address_of(cast), cookie) as one, opened(address_of(cast), token) as two:
        cast.bob.is_active = False
        await in_thread(cast.bob.save)()
        assert await close_code_within(one) == 4401
        assert await close_code_within(two) == 4401


async def test_a_revoked_and_an_expired_token_close_their_sockets(cast: Cast) -> None:
    text = await in_thread(token_of)(cast.bob)
    headers = [(b"authorization", f"token {text}".encode())]

    def revoke() -> None:
        token = ApiToken.objects.get(prefix=text[:11])
        token.revoked_at = timezone.now()
        token.save()

    async with opened(address_of(cast), headers) as socket:
        await in_thread(revoke)()
        assert await close_code_within(socket) == 4401

    def expire_soon() -> list[tuple[bytes, bytes]]:
        soon = socket_headers_of(cast.bob)
        ApiToken.objects.filter(user=cast.bob).update(expires_at=timezone.now() + timedelta(seconds=0.5))
        return soon

    async with opened(address_of(cast), await in_thread(expire_soon)()) as socket:
        assert await close_code_within(socket) == 4401


async def test_a_lost_hint_delays_the_closing_only_to_the_next_look(
    cast: Cast, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zasper_hub.accounts.services.hints.get_channel_layer", lambda: None)
    async with opened(address_of(cast), await headers_for(cast.bob)) as socket:
        await in_thread(lambda: cast.project.memberships.get(user=cast.bob).delete())()
        assert await close_code_within(socket) == 4403


async def test_a_hint_is_followed_at_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_watch, "POLL_S", 3600.0)
    async with opened(address_of(cast), await headers_for(cast.bob)) as socket:
        watch = watch_of_this_loop()
        async with asyncio.timeout(PROMISED_S):
            await watch.is_listening.wait()
        await in_thread(remove_project_member)(cast.project, cast.bob, actor=cast.alice)
        assert await close_code_within(socket) == 4403


async def test_a_change_between_admission_and_entry_is_not_missed(cast: Cast) -> None:
    headers = await headers_for(cast.bob)

    class Late(Echo):
        def _admit(self) -> Any:
            caller = super()._admit()
            cast.project.memberships.get(user=cast.bob).delete()
            return caller

    application = SocketRoutes([path("ws/projects/<uuid:project_id>", Late.as_asgi())])
    socket = WebsocketCommunicator(application, address_of(cast), headers=headers)
    is_open, _ = await socket.connect()
    assert is_open
    assert await close_code_within(socket) == 4403
    await socket.disconnect()


async def test_the_watch_ends_with_the_last_socket(cast: Cast) -> None:
    async with opened(address_of(cast), await headers_for(cast.bob)):
        assert any(task.get_name() == "socket-watch" for task in asyncio.all_tasks())
    async with asyncio.timeout(PROMISED_S):
        while any(task.get_name() == "socket-watch" for task in asyncio.all_tasks()):
            await asyncio.sleep(0)


def test_what_does_not_touch_access_leaves_no_row(cast: Cast) -> None:
    AccessChange.objects.all().delete()
    cast.bob.theme = "dark"
    cast.bob.save(update_fields=["theme"])
    Client().post("/accounts/login/", {"login": "bob", "password": PASSWORD})
    assert not AccessChange.objects.exists()


class _Admitted:
    def __init__(self, caller: Caller, admitted_at: datetime) -> None:
        self.caller = caller
        self.admitted_at = admitted_at

    async def recheck(self) -> None:
        raise AssertionError("not asked here")


@pytest.mark.parametrize(("changed_before_s", "is_checked"), [(-1, True), (5, True), (30, False)])
def test_a_new_socket_is_checked_again_only_for_changes_its_admission_may_have_missed(
    changed_before_s: float, is_checked: bool
) -> None:
    alice = User(pk=1)
    admitted_at = timezone.now()
    changed = NewChanges(frozenset(), {alice.pk: admitted_at - timedelta(seconds=changed_before_s)})
    socket = _Admitted(Caller(user=alice), admitted_at)
    assert may_have_missed(socket, changed) is is_checked
    assert not may_have_missed(socket, NewChanges(frozenset(), {}))
