"""Start and stop terminals. Nodes register those that live; there are no rows."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from uuid import UUID

import structlog

from kernels_app.bus.envelopes import NodeInfo
from kernels_app.bus.identifiers import NodeId, command_stream
from kernels_app.bus.terminals import (
    TERMINALS_LABEL,
    StartTerminal,
    StopTerminal,
    TerminalId,
    TerminalInfo,
    encode_info,
    encode_terminal,
    terminals_counter,
    terminals_key,
    terminals_lease,
    terminals_of_person,
)
from kernels_app.bus.transport import Publication, TransportError
from kernels_app.errors import HubError, Invalid, NoNode, Unavailable
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.selectors.nodes import nodes_up
from kernels_app.selectors.terminals import live_terminals
from kernels_app.services.hub_log import now_ms
from kernels_app.services.team_placement import is_suitable, node_labels_of
from kernels_app.services.terminal_quotas import check_person, check_project, limits_of_terminal, note_started
from notebooks_app.models import Project
from notebooks_app.services.file_hints import send_kernels_hint
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.models import User
from zasper_hub.accounts.selectors.quotas import effective_quotas
from zasper_hub.accounts.services.audit import record

log = structlog.get_logger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
# Choosing a name takes some milliseconds; who died meanwhile keeps the others waiting no longer than this.
CHOICE_S = 2.0
RETRY_S = 0.02
NUMBER_LIFE_S = 7 * 86_400  # numbers begin anew in a project that had no new terminal for so long


def start_terminal(*, user: User, project: Project, name: str | None = None, cwd: str = "") -> TerminalInfo:
    """A new terminal on the node where the project's kernels run; the one of this name if there is one already.

    `cwd` is a folder of the project; what names none means the project's own. Without a name it gets a number.

    Raises:
        Invalid: the name is none.
        NoNode, QuotaExceeded, Unavailable
    """
    if name is not None and not _NAME.match(name):
        raise Invalid("The name of a terminal may have letters, digits, '_', '-' and '.', at most 64.")
    limits = limits_of_terminal(effective_quotas(user, project.team))
    node = _choose_node(project.pk, node_labels_of(project.team))
    with (
        # Longer than the other: it is held while that is waited for.
        _alone(f"{terminals_of_person(str(user.pk))}:lease", ttl_s=4 * CHOICE_S),
        _alone(terminals_lease(str(project.pk)), ttl_s=CHOICE_S),
    ):
        others = live_terminals(project.pk)
        for other in others:
            if other.name == name:
                return other
        check_project(others)
        try:
            check_person(user)
        except TransportError as error:
            raise _unavailable() from error
        now = now_ms()
        info = TerminalInfo(
            terminal_id=TerminalId(str(uuid.uuid4())),
            project_id=str(project.pk),
            name=name or _next_number(project.pk, {other.name for other in others}),
            user_id=str(user.pk),
            node_id=node.node_id,
            fence=node.fence,
            started_at=now,
            last_activity_at=now,
            renewed_at=now,
        )
        command = StartTerminal(
            fence=info.fence,
            terminal_id=info.terminal_id,
            info=info,
            project_path=info.project_id,
            cwd=_folder(cwd),
            limits=limits,
        )
        try:
            transport = blocking_transport()
            note_started(info)
            transport.put_field(terminals_key(info.project_id), info.terminal_id, encode_info(info))
            transport.write([Publication(encode_terminal(command), log=command_stream(info.node_id))])
        except TransportError as error:
            raise _unavailable() from error
    record("terminal_started", actor=user, target=f"project:{project.pk}", terminal=info.name)
    send_kernels_hint(project.pk)
    return info


def stop_terminal(info: TerminalInfo, *, reason: str = "") -> None:
    """Ends the terminal and all that was started in it. It is listed no more.

    Raises:
        Unavailable
    """
    command = StopTerminal(fence=info.fence, terminal_id=info.terminal_id, reason=reason)
    try:
        transport = blocking_transport()
        transport.write([Publication(encode_terminal(command), log=command_stream(NodeId(info.node_id)))])
        transport.delete_field(terminals_key(info.project_id), info.terminal_id)
    except TransportError as error:
        raise _unavailable() from error
    send_kernels_hint(info.project_id)


def stop_terminals_of(user_id: str, project_ids: Sequence[UUID], *, reason: str) -> None:
    """Ends the terminals that a person started in these projects. Does not fail: they end by themselves at last."""
    try:
        for project_id in project_ids:
            for info in live_terminals(project_id):
                if info.user_id == user_id:
                    stop_terminal(info, reason=reason)
    except HubError as error:
        log.warning("terminals_not_stopped", user_id=user_id, code=error.code)


def stop_project_terminals(project: Project) -> None:
    """Ends all terminals of a project that is being deleted.

    Raises:
        Unavailable
    """
    for info in live_terminals(project.pk):
        stop_terminal(info, reason="Its project was deleted.")


def _choose_node(project_id: UUID, wanted: Mapping[str, str]) -> NodeInfo:
    able = [node for node in nodes_up() if TERMINALS_LABEL in node.labels and not node.is_draining]
    if not able:
        raise NoNode("No running node offers terminals at the moment.")
    able = [node for node in able if is_suitable(node.labels, wanted)]
    if not able:
        raise NoNode("No running node that offers terminals is meant for this team. Ask your administrator.")
    with_kernels = set(
        Kernel.objects.filter(project_id=project_id, state__in=LIVE_STATES).values_list("node_id", flat=True)
    )
    near = [node for node in able if node.node_id in with_kernels] or able
    return min(near, key=lambda node: (-node.memory_bytes / (node.kernel_count + 1), node.node_id))


@contextmanager
def _alone(key: str, *, ttl_s: float) -> Iterator[None]:
    """One at a time in a project, or of a person, whatever the number of web processes. Raises Unavailable."""
    transport = blocking_transport()
    holder = uuid.uuid4().hex
    deadline = time.monotonic() + 2 * ttl_s
    try:
        while (fence := transport.acquire_lease(key, holder=holder, ttl_s=ttl_s)) is None:
            if time.monotonic() > deadline:
                raise Unavailable("Too many terminals are being started at once. Try again in a moment.")
            time.sleep(RETRY_S)
    except TransportError as error:
        raise _unavailable() from error
    try:
        yield
    finally:
        with suppress(TransportError):  # then it runs out
            transport.release_lease(key, holder=holder, fence=fence)


def _next_number(project_id: UUID, names: set[str]) -> str:
    """One that no terminal had lately: a window that was left open does not find itself in another shell.

    Raises:
        Unavailable
    """
    key = terminals_counter(str(project_id))
    try:
        last = blocking_transport().get_value(key)
        first = int(last) + 1 if last is not None and last.isdigit() else 1
        number = next(number for number in itertools.count(first) if str(number) not in names)
        blocking_transport().put_value(key, str(number).encode(), ttl_s=NUMBER_LIFE_S)
    except TransportError as error:
        raise _unavailable() from error
    return str(number)


def _folder(cwd: str) -> str:
    """As a path inside the project; the node looks again. Jupyter's clients may write it from the root: `/data`."""
    folder = PurePosixPath(cwd.strip("/")[:4096])
    return "" if ".." in folder.parts or "\0" in cwd else str(folder).removeprefix(".")


def _unavailable() -> Unavailable:
    return Unavailable("The hub's message server does not answer. Try again in a moment.")
