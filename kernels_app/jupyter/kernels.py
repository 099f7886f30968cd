"""`api/kernels` and `api/sessions` of a project's Jupyter-compatible server.

Source of bodies and status codes: Jupyter Server's REST API and its handlers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase

from kernels_app.bus.relay_envelopes import connections_key
from kernels_app.errors import UnknownKernelspec
from kernels_app.jupyter.bodies import optional_text, optional_uuid
from kernels_app.models import LIVE_STATES, Kernel, KernelSession, KernelState
from kernels_app.selectors.kernels import STAYING_STATES
from kernels_app.services.kernel_sessions import (
    change_session,
    close_session,
    keep_document_session,
    open_session,
)
from kernels_app.services.kernels import interrupt_live_kernel, restart_live_kernel, stop_kernel
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.readiness import wait_until_started
from notebooks_app.jupyter.contents_models import moment
from notebooks_app.jupyter.endpoints import Call, Endpoint, JupyterError, answer, no_content
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

# What Jupyter's clients know; the rest of ours is one of these to them.
_EXECUTION_STATES = {
    KernelState.PENDING: "starting",
    KernelState.STARTING: "starting",
    KernelState.IDLE: "idle",
    KernelState.BUSY: "busy",
    KernelState.RESTARTING: "restarting",
}

GATEWAY_LAUNCH_WAIT_S = 40.0  # those clients' own default
MAX_LAUNCH_WAIT_S = 60.0

all_kernels = Endpoint()
one_kernel = Endpoint()
kernel_interrupt = Endpoint()
kernel_restart = Endpoint()
all_sessions = Endpoint()
one_session = Endpoint()


@all_kernels.on("GET", Need.VIEWER, Scope.READ)
def list_kernels(call: Call) -> HttpResponseBase:
    counts = connection_counts()
    return answer([_kernel_model(kernel, counts) for kernel in _live_kernels(call).order_by("created_at")])


@all_kernels.on("POST", Need.EDITOR, Scope.RUN)
def start(call: Call) -> HttpResponseBase:
    body = call.json_body()
    kernel = start_project_kernel(
        user=call.user,
        project=call.project,
        kernelspec_name=optional_text(body, "name"),
        kernel_id=optional_uuid(body, "id") or optional_uuid(body, "kernel_id"),
        path=optional_text(body, "path") or "",
        environment=_variables(body),
    )
    timeout_s = _launch_timeout_s(body)
    if timeout_s:
        wait_until_started(kernel, timeout_s=timeout_s)
        if kernel.state not in LIVE_STATES:
            raise JupyterError(500, kernel.reason or "The kernel ended while it started.")
    return answer(_kernel_model(kernel, {}), status=201, location=f"{call.base_path}api/kernels/{kernel.pk}")


@one_kernel.on("GET", Need.VIEWER, Scope.READ)
def show_kernel(call: Call, kernel_id: str) -> HttpResponseBase:
    return answer(_kernel_model(live_kernel_of(call, kernel_id), connection_counts()))


@one_kernel.on("DELETE", Need.EDITOR, Scope.RUN)
def delete_kernel(call: Call, kernel_id: str) -> HttpResponseBase:
    stop_kernel(live_kernel_of(call, kernel_id))
    return no_content()


@kernel_interrupt.on("POST", Need.EDITOR, Scope.RUN)
def interrupt(call: Call, kernel_id: str) -> HttpResponseBase:
    interrupt_live_kernel(live_kernel_of(call, kernel_id))
    return no_content()


@kernel_restart.on("POST", Need.EDITOR, Scope.RUN)
def restart(call: Call, kernel_id: str) -> HttpResponseBase:
    kernel = live_kernel_of(call, kernel_id)
    restart_live_kernel(kernel)
    return answer({**_kernel_model(kernel, connection_counts()), "execution_state": "starting"})


@all_sessions.on("GET", Need.VIEWER, Scope.READ)
def list_sessions(call: Call) -> HttpResponseBase:
    counts = connection_counts()
    rows = list(_live_sessions(call).order_by("created_at"))
    own = _document_sessions(call, rows)
    return answer(
        [_session_model(row, counts) for row in rows]
        + [_document_session_model(session_id, kernel, counts) for session_id, kernel in own.items()]
    )


@all_sessions.on("POST", Need.EDITOR, Scope.RUN)
def create_session(call: Call) -> HttpResponseBase:
    body = _session_body(call)
    path = optional_text(body, "path")
    if not path:
        raise JupyterError(400, "Missing field in JSON data: path")
    kernel = body.get("kernel")
    kernel = kernel if isinstance(kernel, Mapping) else {}
    with _unknown_kernelspec_told(kernel):
        session = open_session(
            user=call.user,
            project=call.project,
            path=path,
            name=optional_text(body, "name") or "",
            kind=optional_text(body, "type") or "notebook",
            kernelspec_name=optional_text(kernel, "name"),
            kernel_id=optional_uuid(kernel, "id"),
            environment=_variables(body),
        )
    return answer(
        _session_model(session, connection_counts()),
        status=201,
        location=f"{call.base_path}api/sessions/{session.pk}",
    )


@one_session.on("GET", Need.VIEWER, Scope.READ)
def show_session(call: Call, session_id: str) -> HttpResponseBase:
    found = _session(call, session_id)
    counts = connection_counts()
    return answer(
        _session_model(found, counts)
        if isinstance(found, KernelSession)
        else _document_session_model(UUID(session_id), found, counts)
    )


@one_session.on("PATCH", Need.EDITOR, Scope.RUN)
def patch_session(call: Call, session_id: str) -> HttpResponseBase:
    found = _session(call, session_id)
    body = _session_body(call)
    kernel = body.get("kernel")
    kernel = kernel if isinstance(kernel, Mapping) else {}
    if isinstance(found, Kernel):  # a document's own: it gets a row of its own to be changed
        found = keep_document_session(found, UUID(session_id))
    with _unknown_kernelspec_told(kernel):
        changed = change_session(
            found,
            user=call.user,
            path=optional_text(body, "path"),
            name=optional_text(body, "name"),
            kind=optional_text(body, "type"),
            kernel_id=optional_uuid(kernel, "id"),
            kernelspec_name=optional_text(kernel, "name"),
        )
    return answer(_session_model(changed, connection_counts()))


@one_session.on("DELETE", Need.EDITOR, Scope.RUN)
def delete_session(call: Call, session_id: str) -> HttpResponseBase:
    found = _session(call, session_id)
    if isinstance(found, Kernel):
        stop_kernel(found)
    else:
        close_session(found)
    return no_content()


def _session_body(call: Call) -> dict[str, Any]:
    """Raises JupyterError: there is none."""
    body = call.optional_json_body()
    if body is None:
        raise JupyterError(400, "No JSON data provided")
    notebook = body.get("notebook")
    if isinstance(notebook, Mapping) and "path" in notebook:  # as clients of long ago have it
        body = {"path": notebook["path"], "type": "notebook", **body}
    return body


@contextmanager
def _unknown_kernelspec_told(kernel: Mapping[str, Any]) -> Iterator[None]:
    """As Jupyter Server does it for sessions: 501, with a heading."""
    try:
        yield
    except UnknownKernelspec as error:
        name = str(kernel.get("name"))[:100]
        raise JupyterError(501, error.message, short_message=f"{name} not found") from error


def _live_kernels(call: Call) -> QuerySet[Kernel]:
    return Kernel.objects.filter(project=call.project, state__in=STAYING_STATES).select_related(
        "document", "project"
    )


def live_kernel_of(call: Call, kernel_id: str) -> Kernel:
    """Raises JupyterError: no such kernel in the project."""
    try:
        key = UUID(kernel_id)
    except ValueError:
        key = None
    kernel = None if key is None else _live_kernels(call).filter(pk=key).first()
    if kernel is None:
        raise JupyterError(404, f"Kernel does not exist: {kernel_id[:100]}")
    return kernel


def _live_sessions(call: Call) -> QuerySet[KernelSession]:
    return KernelSession.objects.filter(
        project=call.project, kernel__state__in=STAYING_STATES
    ).select_related("kernel", "project")


def _document_sessions(call: Call, rows: Iterable[KernelSession]) -> dict[UUID, Kernel]:
    """Sessions that documents of the hub have of their own, by their ids: kernels that no row names.

    The id is the document's; the kernel's, if a row has that one (it was the document's, and has moved on).
    """
    named = {row.kernel_id for row in rows}
    taken = {row.pk for row in rows}
    found = {}
    for kernel in _live_kernels(call).exclude(document=None).order_by("created_at"):
        if kernel.pk not in named and kernel.document_id is not None:
            found[kernel.pk if kernel.document_id in taken else kernel.document_id] = kernel
    return found


def _session(call: Call, session_id: str) -> KernelSession | Kernel:
    """A session, or the kernel of a document whose own session it is."""
    try:
        key = UUID(session_id)
    except ValueError as error:
        raise JupyterError(404, f"Session not found: session_id={session_id[:100]!r}") from error
    rows = {row.pk: row for row in _live_sessions(call)}
    found = (
        rows.get(key)
        or _document_sessions(call, rows.values()).get(key)
        or _live_kernels(call).filter(document_id=key).first()  # listed so before a row named its kernel
    )
    if found is None:
        raise JupyterError(404, f"Session not found: session_id={session_id[:100]!r}")
    return found


def connection_counts() -> dict[str, bytes]:
    """Of all kernels that have any, by their ids."""
    return blocking_transport().get_fields(connections_key())


def _kernel_model(kernel: Kernel, counts: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "id": str(kernel.pk),
        "name": kernel.kernelspec_name,
        "last_activity": moment(kernel.last_activity_at or kernel.created_at),
        "execution_state": _EXECUTION_STATES.get(KernelState(kernel.state), "dead"),
        "connections": int(counts.get(str(kernel.pk), b"0")),
    }


def _session_model(session: KernelSession, counts: Mapping[str, bytes]) -> dict[str, Any]:
    return _model(
        str(session.pk), session.path, session.name, session.type, _kernel_model(session.kernel, counts)
    )


def _document_session_model(session_id: UUID, kernel: Kernel, counts: Mapping[str, bytes]) -> dict[str, Any]:
    assert kernel.document is not None
    path = kernel.document.path
    name = PurePosixPath(path).name
    return _model(str(session_id), path, name, "notebook", _kernel_model(kernel, counts))


def _model(key: str, path: str, name: str, kind: str, kernel: dict[str, Any]) -> dict[str, Any]:
    model = {"id": key, "path": path, "name": name, "type": kind, "kernel": kernel}
    if kind == "notebook":
        model["notebook"] = {"path": path, "name": name}
    return model


def _variables(body: Mapping[str, Any]) -> Mapping[str, object]:
    variables = body.get("env")
    return variables if isinstance(variables, Mapping) else {}


def _launch_timeout_s(body: Mapping[str, Any]) -> float:
    """How long the client waits for a kernel that works; 0 for one that does not.

    Clients of Kernel Gateway (jupyter_server's GatewayClient) take the answer for a kernel that replies within a
    second. They are known by `env`, with `KERNEL_LAUNCH_TIMEOUT` in it but for the first kernel of a process.
    """
    if not isinstance(body.get("env"), Mapping):
        return 0
    try:
        wanted_s = float(str(_variables(body).get("KERNEL_LAUNCH_TIMEOUT")))
    except ValueError:
        wanted_s = 0
    return min(wanted_s, MAX_LAUNCH_WAIT_S) if wanted_s > 0 else GATEWAY_LAUNCH_WAIT_S
