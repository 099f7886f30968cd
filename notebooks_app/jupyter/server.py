"""`api`, `api/me` and `api/config`: what a client asks about the server and about itself."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from notebooks_app.errors import NotFound, TooLarge
from notebooks_app.jupyter.endpoints import Call, Endpoint, answer, no_content
from notebooks_app.models import ClientConfig, Role
from zasper_hub.accounts.errors import BadRequest
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

# Of Jupyter Server whose answers these are; clients look at it for what they may ask.
SERVER_VERSION: Final = "2.17.0"
MAX_CONFIG_BYTES = 256 * 1024
MAX_SECTIONS = 100  # front ends use about ten
MAX_DEPTH = 50

# Jupyter's resources and actions: the role and, for tokens, the scope that allow them here.
_ALLOWED_BY: Final = {
    ("contents", "read"): (Role.VIEWER, Scope.READ),
    ("contents", "write"): (Role.EDITOR, Scope.WRITE),
    ("kernelspecs", "read"): (Role.VIEWER, Scope.READ),
    ("kernels", "read"): (Role.VIEWER, Scope.READ),
    ("kernels", "write"): (Role.EDITOR, Scope.RUN),
    ("kernels", "execute"): (Role.EDITOR, Scope.RUN),
    ("sessions", "read"): (Role.VIEWER, Scope.READ),
    ("sessions", "write"): (Role.EDITOR, Scope.RUN),
    ("terminals", "read"): (Role.EDITOR, Scope.RUN),
    ("terminals", "write"): (Role.EDITOR, Scope.RUN),
    ("terminals", "execute"): (Role.EDITOR, Scope.RUN),
    ("nbconvert", "read"): (Role.VIEWER, Scope.READ),
    ("nbconvert", "execute"): (Role.VIEWER, Scope.READ),
    ("config", "read"): (Role.VIEWER, Scope.READ),
    ("config", "write"): (Role.VIEWER, Scope.WRITE),
    ("api", "read"): (Role.VIEWER, Scope.READ),
    ("server", "access"): (Role.VIEWER, Scope.READ),
}

root = Endpoint()
version = Endpoint()
me = Endpoint()
config = Endpoint()


@root.on("GET", Need.VIEWER, Scope.READ)
def go_to_project(call: Call) -> HttpResponseBase:
    """A person who opens the address in a browser gets to the project's page."""
    return redirect(f"{settings.BASE_PATH}/p/{call.project_address}")


@version.on("GET", Need.ANYONE)
def get_version(call: Call) -> HttpResponseBase:
    return answer({"version": SERVER_VERSION})


@me.on("GET", Need.VIEWER, Scope.READ)
def get_me(call: Call) -> HttpResponseBase:
    """Who the caller is, and which of the `permissions` asked for they have."""
    user = call.user
    name = user.shown_name
    identity = {
        "username": user.username,
        "name": name,
        "display_name": name,
        "initials": "".join(word[0] for word in name.split()[:2]).upper() or None,
        "avatar_url": None,
        "color": None,
    }
    asked = _asked_permissions(call.argument("permissions"))
    role, scopes = call.role, call.caller.scopes

    def is_allowed(resource: str, action: str) -> bool:
        allowed_by = _ALLOWED_BY.get((resource, action))
        if allowed_by is None:
            return False
        return role.rank >= allowed_by[0].rank and (scopes is None or allowed_by[1] in scopes)

    permissions: dict[str, list[str]] = {
        resource: [action for action in actions if is_allowed(resource, action)]
        for resource, actions in asked.items()
    }
    return answer({"identity": identity, "permissions": {**permissions, "updatable_fields": []}})


def _asked_permissions(text: str | None) -> dict[str, list[str]]:
    if not text:
        return {}
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not all(
        isinstance(actions, list) and all(isinstance(action, str) for action in actions)
        for actions in asked.values()
    ):
        shown = text[:200]
        raise BadRequest(f'permissions should be a JSON dict of {{"resource": ["action",]}}, got {shown!r}')
    return asked


@config.on("GET", Need.VIEWER, Scope.READ)
def get_config(call: Call, section: str) -> HttpResponseBase:
    row = ClientConfig.objects.filter(user=call.user, section=_section(section)).first()
    return answer({} if row is None else row.content)


@config.on("PUT", Need.VIEWER, Scope.WRITE)
def put_config(call: Call, section: str) -> HttpResponseBase:
    """Replaces the section of the person's configuration."""
    _change_config(call, section, merges=False)
    return no_content()


@config.on("PATCH", Need.VIEWER, Scope.WRITE)
def patch_config(call: Call, section: str) -> HttpResponseBase:
    """Merges the body into the section; null takes a key out."""
    return answer(_change_config(call, section, merges=True))


def _change_config(call: Call, section: str, *, merges: bool) -> dict[str, Any]:
    change = call.json_body(max_bytes=MAX_CONFIG_BYTES)
    name = _section(section)
    with transaction.atomic():
        # The person's row: two that change one section at once do it one after the other.
        type(call.user).objects.select_for_update(no_key=True).get(pk=call.user.pk)
        row = ClientConfig.objects.filter(user=call.user, section=name).first()
        if row is None and ClientConfig.objects.filter(user=call.user).count() >= MAX_SECTIONS:
            raise TooLarge("There are too many sections of configuration.")
        content = merged(row.content if row is not None and merges else {}, change) if merges else change
        if len(json.dumps(content)) > MAX_CONFIG_BYTES:
            raise TooLarge("This configuration is too large.")
        ClientConfig.objects.update_or_create(user=call.user, section=name, defaults={"content": content})
    return content


def merged(base: dict[str, Any], change: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """`base` with `change` in it, key by key; what becomes null or empty is left out (Jupyter's recursive update)."""
    if depth > MAX_DEPTH:
        raise BadRequest("The configuration is nested too deeply")
    result = dict(base)
    for key, value in change.items():
        if isinstance(value, dict):
            before = result.get(key)
            below = merged(before if isinstance(before, dict) else {}, value, depth + 1)
            if below:
                result[key] = below
            else:
                result.pop(key, None)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _section(name: str) -> str:
    if len(name) > 64 or not name.replace("-", "_").isidentifier():
        raise NotFound("Not Found")
    return name
