"""Hub API: a project's terminals. Their socket is that of the Jupyter API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from kernels_app.api.schemas import TerminalIn, TerminalOut
from kernels_app.bus.terminals import TerminalInfo
from kernels_app.selectors.terminals import live_terminal, live_terminals
from kernels_app.services.terminals import start_terminal, stop_terminal
from notebooks_app.access import project_for
from notebooks_app.models import Role
from zasper_hub.accounts.models import User
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["terminals"])

PATH = "/projects/{uuid:project_id}/terminals"


@router.get(PATH, response=list[TerminalOut], auth=needs(Need.EDITOR, Scope.RUN))
def list_terminals(request: HttpRequest, project_id: UUID) -> list[dict[str, Any]]:
    project = project_for(caller_of(request).user, project_id, Role.EDITOR)
    infos = live_terminals(project.pk)
    people = User.objects.filter(pk__in={info.user_id for info in infos})
    names = {str(person.pk): person.get_username() for person in people}
    return [_terminal(info, names.get(info.user_id)) for info in infos]


@router.post(PATH, response={201: TerminalOut}, auth=needs(Need.EDITOR, Scope.RUN))
def start(request: HttpRequest, project_id: UUID, body: TerminalIn) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    project = project_for(user, project_id, Role.EDITOR)
    info = start_terminal(user=user, project=project, name=body.name, cwd=body.cwd)
    return Status(201, _terminal(info, user.get_username()))


@router.delete(f"{PATH}/{{str:terminal_name}}", response={204: None}, auth=needs(Need.EDITOR, Scope.RUN))
def stop(request: HttpRequest, project_id: UUID, terminal_name: str) -> Status[None]:
    project = project_for(caller_of(request).user, project_id, Role.EDITOR)
    stop_terminal(live_terminal(project.pk, terminal_name))
    return Status(204, None)


def _terminal(info: TerminalInfo, username: str | None) -> dict[str, Any]:
    return {
        "name": info.name,
        "started_at": _moment(info.started_at),
        "last_activity_at": _moment(info.last_activity_at),
        "user": username,
        "node": info.node_id,
    }


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
