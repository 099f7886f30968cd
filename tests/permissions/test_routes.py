"""Walks every HTTP and WebSocket route as every kind of caller."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils import timezone
from ninja.operation import Operation

from kernels_app.models import Kernel
from notebooks_app.models import Document
from tests.cast import Cast, headers_of, make_cast, token_of
from tests.permissions.table import HUB_API, PUBLIC_OF_OTHERS, SOCKETS, VIEWS, Line
from tests.permissions.walk import Address, every_address, filled, parameters_of
from zasper_hub.accounts.errors import Unavailable
from zasper_hub.accounts.models import ApiToken, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.permissions import Need, Needs, guarded_parameters
from zasper_hub.accounts.sockets import HubConsumer, SocketRoutes
from zasper_hub.accounts.tokens import Scope
from zasper_hub.asgi import websocket_urlpatterns

LET_IN = 299  # no answer of ours: the handler was reached

MEMBERS = {
    Need.VIEWER: {"viewer", "editor", "owner"},
    Need.EDITOR: {"editor", "owner"},
    Need.OWNER: {"owner"},
    Need.TEAM_MEMBER: {"editor", "owner"},
    Need.TEAM_ADMIN: {"owner"},
    Need.TEAM_STEWARD: {"owner", "administrator"},
}


@dataclass(frozen=True)
class World:
    """The cast, one thing of each kind, and how each kind of caller presents themselves."""

    cast: Cast
    values: dict[str, str]

    def person(self, caller: str) -> User:
        cast = self.cast
        return {
            "viewer": cast.carol,
            "editor": cast.bob,
            "owner": cast.alice,
            "administrator": cast.admin,
            "mallory": cast.mallory,
        }[caller]


PEOPLE = ("viewer", "editor", "owner", "administrator", "mallory")


def make_world() -> World:
    cast = make_cast()
    document = Document.objects.create(project=cast.project, path="a.ipynb", epoch="e")
    kernel = Kernel.objects.create(project=cast.project, document=document, kernelspec_name="python3")
    team = Team.objects.create(slug="lab", name="Lab")
    TeamMembership.objects.create(team=team, user=cast.alice, role=TeamRole.ADMIN)
    TeamMembership.objects.create(team=team, user=cast.bob, role=TeamRole.MEMBER)
    values = {
        "project_id": str(cast.project.pk),
        "document_id": str(document.pk),
        "kernel_id": str(kernel.pk),
        "team_slug": "lab",
        "jupyter_project": f"{cast.project.team.slug}/{cast.project.slug}",
        "terminal_name": "1",
        "version_id": str(uuid.uuid4()),
        "trash_id": str(uuid.uuid4()),
        "deleted_id": str(uuid.uuid4()),
        "login_session_id": "1",
        "token_id": "1",
        "sha256": "0" * 64,
        "path": "a.ipynb",
        "username": "bob",
        "node_id": "n1",
        "announcement_id": "1",
        "invitation_id": "1",
    }
    return World(cast, values)


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers of the hub API are not run: an answer of 299 says that one would have been."""

    def run(self: Operation, request: HttpRequest, **parameters: Any) -> Any:
        return self._run_checks(request) or HttpResponse(status=LET_IN)

    monkeypatch.setattr(Operation, "run", run)


def hub_api_operations() -> list[tuple[str, str, Operation]]:
    return [
        (method, address.route, operation)
        for address in every_address()
        for operation in address.operations
        for method in operation.methods
    ]


def expired_token_of(user: User) -> str:
    text = token_of(user)
    ApiToken.objects.filter(prefix=text[:11]).update(expires_at=timezone.now() - timedelta(minutes=1))
    return text


def expected_status(line: Line, caller: str) -> int:
    """What a signed-in person with all scopes gets."""
    need, scope = line
    if scope is None:
        return 403  # a sign-in by password alone
    if scope is Scope.ADMIN and caller not in ("administrator", "owner"):
        return 403  # who administers nothing has no token of this scope
    if need in (Need.ANYONE, Need.SIGNED_IN):
        return LET_IN
    if need is Need.STAFF:
        return LET_IN if caller == "administrator" else 403
    if need is Need.ADMINISTRATION:
        return LET_IN if caller in ("administrator", "owner") else 403
    if caller in MEMBERS[need]:
        return LET_IN
    is_of_team = need in (Need.TEAM_MEMBER, Need.TEAM_ADMIN, Need.TEAM_STEWARD)
    knows_of_it = MEMBERS[Need.TEAM_MEMBER if is_of_team else Need.VIEWER]
    return 403 if caller in knows_of_it else 404


def test_every_route_of_the_hub_api_is_in_the_table_and_declares_what_it_says() -> None:
    found: dict[str, Line] = {}
    for method, route, operation in hub_api_operations():
        [declared] = operation.auth_callbacks
        assert isinstance(declared, Needs), f"{method} {route} has an auth of its own"
        found[f"{method} {route}"] = (declared.need, declared.token_scope)
    assert found == HUB_API


def test_every_other_view_is_in_the_table_and_declares_what_it_says() -> None:
    found: dict[str, Need | None] = {}
    for address in every_address():
        if (
            address.operations
            or address.endpoint
            or address.route in PUBLIC_OF_OTHERS
            or is_of_admin(address)
        ):
            continue
        found[address.route] = address.declared.need if address.declared is not None else None
    assert found == VIEWS


def is_of_admin(address: Address) -> bool:
    return address.route.startswith("/admin/records/") and address.declared is None


def test_every_socket_is_in_the_table_derives_from_the_base_and_declares_what_it_says() -> None:
    found: dict[str, Line] = {}
    for pattern in websocket_urlpatterns:
        consumer = pattern.callback.consumer_class
        assert issubclass(consumer, HubConsumer)
        for name in (
            "connect",
            "receive",
            "disconnect",
            "websocket_connect",
            "websocket_receive",
            "__call__",
        ):
            assert getattr(consumer, name) is getattr(HubConsumer, name), f"{consumer.__name__}.{name}"
        found[f"/{pattern.pattern}"] = (consumer.need, consumer.token_scope)
    assert found == SOCKETS


def test_every_role_is_checked_in_something_the_route_names() -> None:
    routes = {line.partition(" ")[2]: need for line, (need, _scope) in HUB_API.items()}
    for route, need in {**routes, **{route: need for route, (need, _scope) in SOCKETS.items()}}.items():
        if need.is_role:
            assert guarded_parameters() & set(parameters_of(route)), route
        else:
            assert not guarded_parameters() & set(parameters_of(route)), (
                f"{route} names a thing and checks no role"
            )


def test_query_tokens_open_downloads_only() -> None:
    for method, route, operation in hub_api_operations():
        [declared] = operation.auth_callbacks
        assert isinstance(declared, Needs)
        if declared.allows_query_token:
            assert method in ("GET", "HEAD"), f"{method} {route}"


@pytest.mark.usefixtures("reached")
def test_each_person_reaches_what_the_table_says_and_nothing_else(world: World) -> None:
    for caller in PEOPLE:
        headers = headers_of(world.person(caller))
        for method, route, _operation in hub_api_operations():
            line = HUB_API[f"{method} {route}"]
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            assert answer.status_code == expected_status(line, caller), f"{caller}: {method} {route}"


@pytest.mark.usefixtures("reached")
def test_without_a_sign_in_nothing_is_reached(world: World) -> None:
    expired = {"authorization": f"Bearer {expired_token_of(world.cast.alice)}"}
    for method, route, _operation in hub_api_operations():
        if HUB_API[f"{method} {route}"][0] is Need.ANYONE:
            continue
        for headers in ({}, expired, {"authorization": "token zh_00000000_nonsense"}):
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            assert answer.status_code == 401, f"{method} {route}"


@pytest.mark.usefixtures("reached")
def test_a_token_reaches_only_what_its_scope_is_for(world: World) -> None:
    for scope in Scope:
        if scope is Scope.ADMIN:
            continue
        headers = headers_of(world.cast.alice, scope.value)
        for method, route, _operation in hub_api_operations():
            need, wanted = HUB_API[f"{method} {route}"]
            if need is Need.ANYONE:
                continue
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            if scope is wanted:
                assert answer.status_code == LET_IN, f"{scope}: {method} {route}"
            else:
                assert answer.status_code == 403, f"{scope}: {method} {route}"
                assert method == "HEAD" or answer.json()["error"]["code"] == "wrong_scope"


@pytest.mark.usefixtures("reached")
def test_a_cookie_changes_nothing_without_the_csrf_header(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    unsafe_count = 0
    for method, route, _operation in hub_api_operations():
        answer = client.generic(method, filled(route, world.values))
        if method in ("GET", "HEAD"):
            expected = 403 if HUB_API[f"{method} {route}"][0] is Need.STAFF else LET_IN
            assert answer.status_code == expected, f"{method} {route}"
        else:
            unsafe_count += 1
            assert answer.status_code == 403, f"{method} {route}"
            assert answer.json()["error"]["code"] == "csrf_failed"
    assert unsafe_count > 10


@pytest.mark.usefixtures("reached")
def test_foreign_and_absent_ids_are_answered_alike(world: World) -> None:
    absent = {**world.values, "team_slug": "no-such-team"}
    absent.update({name: str(uuid.uuid4()) for name in ("project_id", "document_id", "kernel_id")})
    headers = headers_of(world.cast.mallory)
    for method, route, _operation in hub_api_operations():
        if HUB_API[f"{method} {route}"][0].is_role and method != "HEAD":
            foreign = Client().generic(method, filled(route, world.values), headers=headers)
            missing = Client().generic(method, filled(route, absent), headers=headers)
            assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content), (
                f"{method} {route}"
            )


@pytest.mark.usefixtures("reached")
def test_a_deleted_project_is_gone_for_its_owner_too(world: World) -> None:
    world.cast.project.deleted_at = timezone.now()
    world.cast.project.save()
    headers = headers_of(world.cast.alice)
    for method, route, _operation in hub_api_operations():
        if HUB_API[f"{method} {route}"][0] in (Need.VIEWER, Need.EDITOR, Need.OWNER):
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            assert answer.status_code == 404, f"{method} {route}"


def test_mallory_reaches_nothing_with_the_real_handlers_either(world: World) -> None:
    headers = headers_of(world.cast.mallory)
    for method, route, _operation in hub_api_operations():
        if HUB_API[f"{method} {route}"][0].is_role:
            answer = Client().generic(
                method, filled(route, world.values), "{}", content_type="application/json", headers=headers
            )
            expected = expected_status(HUB_API[f"{method} {route}"], "mallory")
            assert answer.status_code == expected, f"{method} {route}"
    world.cast.project.refresh_from_db()
    assert world.cast.project.deleted_at is None


def test_only_administrators_get_into_the_admin_panel(world: World) -> None:
    values = {
        "object_id": "1",
        "app_label": "accounts",
        "content_type_id": "1",
        "url": "x",
        "path": "1",
        "id": "1",
    }
    anonymous, bob = Client(), Client()
    bob.force_login(world.cast.bob, backend="django.contrib.auth.backends.ModelBackend")
    tried = 0
    for address in every_address():
        if not is_of_admin(address) or "?P<" in address.route:
            continue
        path = filled(address.route, values)
        for client in (anonymous, bob):
            answer = client.get(path)
            assert answer.status_code in (302, 403, 404), path
            if answer.status_code == 302:
                assert REDIRECT_FIELD_NAME in answer.headers["Location"] or path.endswith("/logout/"), path
        tried += 1
    assert tried > 20
    root = Client()
    root.force_login(world.cast.admin, backend="django.contrib.auth.backends.ModelBackend")
    assert root.get("/admin/records/").status_code == 200
    assert root.get("/admin/records/accounts/user/").status_code == 200


def test_the_app_asks_who_is_not_signed_in_to_sign_in() -> None:
    for path in (
        "/",
        "/p/alice/analysis",
        "/p/alice/analysis/f/a.ipynb",
        "/account",
        "/teams",
        "/admin/people",
    ):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/accounts/login/?next=/")


async def knock(path: str, headers: dict[str, str], application: SocketRoutes | None = None) -> int:
    """The code with which a socket is refused."""
    application = application or SocketRoutes(websocket_urlpatterns)
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    socket = WebsocketCommunicator(application, path, headers=sent)
    is_open, code = await socket.connect(timeout=10)
    await socket.disconnect()
    assert not is_open
    return int(code)


@pytest.mark.django_db(transaction=True)
async def test_each_caller_is_let_in_to_sockets_as_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    let_in = Unavailable().close_code

    async def prepare(self: HubConsumer) -> None:
        raise Unavailable

    async def closed(self: HubConsumer, close_code: int) -> None:
        return

    for pattern in websocket_urlpatterns:
        monkeypatch.setattr(pattern.callback.consumer_class, "prepare", prepare)
        monkeypatch.setattr(pattern.callback.consumer_class, "closed", closed)
    in_thread = database_sync_to_async
    world = await in_thread(make_world)()
    for route, line in SOCKETS.items():
        path = filled(route, world.values)
        assert await knock(path, {}) == 4401
        expired = await in_thread(expired_token_of)(world.cast.alice)
        assert await knock(path, {"authorization": f"Bearer {expired}"}) == 4401
        other_scopes = [scope.value for scope in Scope if scope not in (line[1], Scope.ADMIN)]
        assert await knock(path, await in_thread(headers_of)(world.cast.alice, *other_scopes)) == 4403
        for caller in PEOPLE:
            headers = await in_thread(headers_of)(world.person(caller))
            expected = let_in if expected_status(line, caller) == LET_IN else 4403
            assert await knock(path, headers) == expected, f"{caller}: {route}"
