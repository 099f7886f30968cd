"""Walks every route of the Jupyter-compatible servers as every kind of caller."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from notebooks_app.jupyter.endpoints import XSRF_COOKIE, Call, Endpoint, Method
from tests.cast import headers_of
from tests.permissions.table import JUPYTER
from tests.permissions.test_routes import (
    LET_IN,
    PEOPLE,
    World,
    expected_status,
    expired_token_of,
    make_world,
)
from tests.permissions.walk import every_address, filled, parameters_of
from zasper_hub.accounts.permissions import Need, guarded_parameters
from zasper_hub.accounts.tokens import Scope

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def world(db: None) -> World:
    made = make_world()
    made.values.update(
        {
            "jupyter_project": "alice/analysis",
            "section": "notebook",
            "checkpoint_id": "checkpoint",
            "target": "html",
            "name": "python3",
            "file_name": "logo-64x64.png",
            "rest": "nothing/here",
            "terminal_name": "1",
            "session_id": str(uuid.uuid4()),
            "request_id": str(uuid.uuid4()),
        }
    )
    return made


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers are not run: an answer of 299 says that one would have been."""

    def run(self: Endpoint, method: Method, call: Call, parameters: Mapping[str, Any]) -> HttpResponse:
        return HttpResponse(status=LET_IN)

    monkeypatch.setattr(Endpoint, "run", run)


def closed_routes() -> list[tuple[str, str]]:
    """Method and route of what is not for everybody."""
    lines = [line for line, (need, _scope) in JUPYTER.items() if need is not Need.ANYONE]
    return [(method, route) for method, _, route in (line.partition(" ") for line in lines)]


def test_every_route_is_in_the_table_and_declares_what_it_says() -> None:
    found = {
        f"{method} {address.route}": (declared.need, declared.token_scope)
        for address in every_address()
        if address.endpoint is not None
        for method, declared in address.endpoint.methods.items()
    }
    assert found == JUPYTER


def test_every_role_is_checked_in_the_project_that_the_route_names() -> None:
    for method, route in closed_routes():
        assert "jupyter_project" in guarded_parameters() & set(parameters_of(route)), f"{method} {route}"


@pytest.mark.usefixtures("reached")
def test_each_person_reaches_what_the_table_says_and_nothing_else(world: World) -> None:
    for caller in PEOPLE:
        headers = headers_of(world.person(caller))
        for method, route in closed_routes():
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            expected = expected_status(JUPYTER[f"{method} {route}"], caller)
            assert answer.status_code == expected, f"{caller}: {method} {route}"


@pytest.mark.usefixtures("reached")
def test_without_a_sign_in_nothing_is_reached(world: World) -> None:
    expired = {"authorization": f"Bearer {expired_token_of(world.cast.alice)}"}
    for method, route in closed_routes():
        for headers in ({}, expired, {"authorization": "token zh_00000000_nonsense"}):
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            assert answer.status_code == 403, f"{method} {route}"
            assert method == "HEAD" or set(answer.json()) == {"message", "reason"}


@pytest.mark.usefixtures("reached")
def test_a_token_reaches_only_what_its_scope_is_for(world: World) -> None:
    for scope in Scope:
        if scope is Scope.ADMIN:
            continue
        headers = headers_of(world.cast.alice, scope.value)
        for method, route in closed_routes():
            wanted = JUPYTER[f"{method} {route}"][1]
            answer = Client().generic(method, filled(route, world.values), headers=headers)
            assert answer.status_code == (LET_IN if scope is wanted else 403), f"{scope}: {method} {route}"


@pytest.mark.usefixtures("reached")
def test_a_cookie_changes_nothing_without_the_xsrf_token_of_its_sign_in(world: World) -> None:
    client, other = Client(), Client()
    client.force_login(world.cast.alice, backend=BACKEND)
    other.force_login(world.cast.alice, backend=BACKEND)
    root = filled("/jupyter/<x:jupyter_project>/api/me", world.values)
    token, foreign = (one.get(root).cookies[XSRF_COOKIE].value for one in (client, other))
    assert token != foreign
    unsafe = [(method, route) for method, route in closed_routes() if method not in ("GET", "HEAD")]
    assert len(unsafe) > 10
    for method, route in unsafe:
        path = filled(route, world.values)
        assert client.generic(method, path).status_code == 403, f"{method} {route}"
        wrong = client.generic(method, path, headers={"x-xsrftoken": foreign})
        assert wrong.status_code == 403, f"{method} {route}"
        right = client.generic(method, path, headers={"x-xsrftoken": token})
        assert right.status_code == LET_IN, f"{method} {route}"
        assert client.generic(method, f"{path}?_xsrf={token}").status_code == LET_IN


@pytest.mark.usefixtures("reached")
def test_foreign_and_absent_projects_are_answered_alike(world: World) -> None:
    headers = headers_of(world.cast.mallory)
    absent = {**world.values, "jupyter_project": "nobody/nothing"}
    for method, route in closed_routes():
        if method == "HEAD":
            continue
        foreign = Client().generic(method, filled(route, world.values), headers=headers)
        missing = Client().generic(method, filled(route, absent), headers=headers)
        assert foreign.status_code == 404
        assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content), route


def test_mallory_reaches_nothing_with_the_real_handlers_either(world: World) -> None:
    headers = headers_of(world.cast.mallory)
    for method, route in closed_routes():
        answer = Client().generic(
            method, filled(route, world.values), "{}", content_type="application/json", headers=headers
        )
        assert answer.status_code == 404, f"{method} {route}"


def test_what_no_route_has_is_404_for_everybody(world: World) -> None:
    for headers in ({}, headers_of(world.cast.alice)):
        answer = Client().get("/jupyter/alice/analysis/lab", headers=headers)
        assert answer.status_code == 404
        assert set(answer.json()) == {"message", "reason"}
