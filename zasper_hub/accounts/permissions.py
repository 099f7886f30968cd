"""The permission table: what each route needs, declared beside the route, enforced before its code runs.

* Hub API: `@router.get("/projects/{uuid:project_id}", auth=needs(Need.VIEWER, Scope.READ))`.
* Other Django views: `@view_needs(Need.ANYONE)`.
* WebSockets: the class attributes `need` and `token_scope` of a `HubConsumer`.

A need that is a role in something (viewer … owner, team member …) is checked against the id in the route: the app
that owns the thing registers a guard for the name of the route's parameter. A route without a guard for its role
answers nobody.
`tests/permissions` walks all routes and fails for one that declares nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Concatenate, Protocol

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja.security.base import AuthBase

from zasper_hub.accounts.authentication import Caller, caller_of_request
from zasper_hub.accounts.errors import Acting, Forbidden, NotSignedIn, WrongScope
from zasper_hub.accounts.models import User
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.tokens import Scope


class Need(StrEnum):
    """The least a caller must be."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"
    TEAM_MEMBER = "team member"
    TEAM_ADMIN = "team admin"
    TEAM_STEWARD = "team admin or administrator"
    ADMINISTRATION = "administrator of the hub or of a shared team"
    STAFF = "administrator"

    @property
    def is_role(self) -> bool:
        """Whether it is a role in the thing that the route names."""
        return self in _ROLES


_ROLES = frozenset(
    {Need.VIEWER, Need.EDITOR, Need.OWNER, Need.TEAM_MEMBER, Need.TEAM_ADMIN, Need.TEAM_STEWARD}
)


class Guard(Protocol):
    """Raises NotFound for an absent, foreign or malformed id, Forbidden for too low a role; else returns."""

    def __call__(self, user: User, identifier: object, need: Need, /) -> None: ...


_GUARDS: dict[str, Guard] = {}


def register_guard(parameter: str, guard: Guard) -> None:
    """Checks route parameters of this name by `guard`. Called by an app's `ready()`, once a name."""
    _GUARDS[parameter] = guard


def guarded_parameters() -> frozenset[str]:
    return frozenset(_GUARDS)


def check_access(
    caller: Caller, need: Need, token_scope: Scope | None, parameters: Mapping[str, object]
) -> None:
    """Nothing when the caller may use a route that needs this.

    Raises:
        WrongScope, Forbidden, NotFound
    """
    if caller.scopes is not None and (token_scope is None or token_scope not in caller.scopes):
        wanted = token_scope.value if token_scope else "a sign-in by password"
        raise WrongScope(f"The API token does not have the scope this needs: {wanted}.", scope=wanted)
    if need is Need.STAFF and not caller.user.is_staff:
        raise Forbidden("Only administrators may do this.")
    if need is Need.ADMINISTRATION and not reach_of(caller.user).is_any:
        raise Forbidden("Only administrators of the hub or of a team may do this.")
    guarded = [name for name in parameters if name in _GUARDS]
    if need.is_role:
        if not guarded:
            raise Forbidden("Nobody may do this: the route names nothing that a role could be checked in.")
        for name in guarded:
            _GUARDS[name](caller.user, parameters[name], need)


class Needs(AuthBase):
    """What one HTTP route needs. As django-ninja's `auth=` it gives the handler `request.auth: Caller`."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_name = "token"

    def __init__(
        self, need: Need, token_scope: Scope | None = None, *, allows_query_token: bool = False
    ) -> None:
        super().__init__()
        self.need = need
        self.token_scope = token_scope
        self.allows_query_token = allows_query_token

    def __call__(self, request: HttpRequest) -> Caller | bool:
        if self.need is Need.ANYONE:
            return True
        caller = caller_of_request(request, allows_query_token=self.allows_query_token)
        if caller.user.acted_by is not None and (
            self.token_scope is Scope.ADMIN
            or (self.token_scope is Scope.ACCOUNT and request.method not in ("GET", "HEAD"))
        ):
            raise Acting
        match = request.resolver_match
        check_access(caller, self.need, self.token_scope, match.kwargs if match else {})
        return caller


def needs(need: Need, token_scope: Scope | None = None, *, allows_query_token: bool = False) -> Needs:
    """The declaration of a hub API route: who may use it, and which scope a token must have (None: no token will do).

    `allows_query_token` is for downloads (GET) only: `?token=` counts as the header does.
    """
    return Needs(need, token_scope, allows_query_token=allows_query_token)


def caller_of(request: HttpRequest) -> Caller:
    """Who was let in to this hub API route."""
    caller: object = getattr(request, "auth", None)
    if not isinstance(caller, Caller):
        raise NotSignedIn
    return caller


type_of_view = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


def view_needs(need: Need, token_scope: Scope | None = None) -> Callable[[type_of_view], type_of_view]:
    """Declares and enforces what a plain Django view needs. A page asks an anonymous reader to sign in."""
    declared = Needs(need, token_scope)

    def decorate(view: type_of_view) -> type_of_view:
        @functools.wraps(view)
        def guarded_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                declared(request)
            except NotSignedIn:
                if "text/html" in request.headers.get("Accept", "") and request.method == "GET":
                    return redirect_to_login(request.get_full_path())
                return HttpResponse("Sign in first.", status=401, content_type="text/plain")
            return view(request, *args, **kwargs)

        guarded_view.hub_needs = declared  # type: ignore[attr-defined]  # read by the route-walking test
        return guarded_view

    return decorate
