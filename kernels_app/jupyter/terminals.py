"""`api/terminals`, as Jupyter Server's terminals extension answers it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http.response import HttpResponseBase

from kernels_app.bus.terminals import TerminalInfo
from kernels_app.errors import Malformed
from kernels_app.selectors.terminals import live_terminal, live_terminals
from kernels_app.services.terminals import start_terminal, stop_terminal
from notebooks_app.jupyter.contents_models import moment
from notebooks_app.jupyter.endpoints import Call, Endpoint, answer, no_content
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

terminals = Endpoint()
terminal = Endpoint()


@terminals.on("GET", Need.EDITOR, Scope.RUN)
def list_terminals(call: Call) -> HttpResponseBase:
    return answer([_model(info) for info in live_terminals(call.project.pk)])


@terminals.on("POST", Need.EDITOR, Scope.RUN)
def start(call: Call) -> HttpResponseBase:
    """`{"name"?, "cwd"?}`; 200, as Jupyter Server says it."""
    body = call.json_body()
    name, cwd = body.get("name"), body.get("cwd")
    if not isinstance(name, str | None) or not isinstance(cwd, str | None):
        raise Malformed("`name` and `cwd` are texts.")
    return answer(
        _model(start_terminal(user=call.user, project=call.project, name=name or None, cwd=cwd or ""))
    )


@terminal.on("GET", Need.EDITOR, Scope.RUN)
def get_terminal(call: Call, terminal_name: str) -> HttpResponseBase:
    return answer(_model(live_terminal(call.project.pk, terminal_name)))


@terminal.on("DELETE", Need.EDITOR, Scope.RUN)
def stop(call: Call, terminal_name: str) -> HttpResponseBase:
    stop_terminal(live_terminal(call.project.pk, terminal_name))
    return no_content()


def _model(info: TerminalInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "last_activity": moment(datetime.fromtimestamp(info.last_activity_at / 1000, UTC)),
    }
