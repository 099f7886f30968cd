"""The terminals that live, as their nodes register them on the wire."""

from __future__ import annotations

import time
from uuid import UUID

import msgspec
import structlog

from kernels_app.bus.identifiers import NodeId, node_lease
from kernels_app.bus.terminals import STALE_ENTRY_S, TerminalInfo, decode_info, terminals_key
from kernels_app.bus.transport import TransportError
from kernels_app.errors import NotFound, Unavailable
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)


def live_terminals(project_id: UUID) -> list[TerminalInfo]:
    """The project's terminals, in the order they were started. Entries that nobody renews are removed.

    Raises:
        Unavailable: the message server does not answer.
    """
    transport = blocking_transport()
    key = terminals_key(str(project_id))
    oldest_ms = time.time_ns() // 1_000_000 - round(STALE_ENTRY_S * 1000)
    live: list[TerminalInfo] = []
    fences: dict[NodeId, int | None] = {}
    try:
        for field, payload in transport.get_fields(key).items():
            try:
                info = decode_info(payload)
            except (msgspec.ValidationError, msgspec.DecodeError):
                log.warning("terminal_entry_unreadable", project_id=str(project_id))
                transport.delete_field(key, field)
                continue
            if info.renewed_at < oldest_ms:
                transport.delete_field(key, field)
                continue
            if info.node_id not in fences:
                fences[info.node_id] = transport.read_lease(node_lease(info.node_id))
            if fences[info.node_id] == info.fence:
                live.append(info)
    except TransportError as error:
        raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error
    return sorted(live, key=lambda info: (info.started_at, info.name))


def live_terminal(project_id: UUID, name: str) -> TerminalInfo:
    """The project's terminal of this name.

    Raises:
        NotFound, Unavailable
    """
    for info in live_terminals(project_id):
        if info.name == name:
            return info
    raise NotFound(f"Terminal not found: {name[:100]}")
