"""Commands on their way to nodes. The rows are committed before: what does not get through is sent again by a task."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from kernels_app.bus.envelopes import AnyCommand, encode
from kernels_app.bus.identifiers import NodeId, command_stream
from kernels_app.bus.transport import Publication, TransportError
from kernels_app.errors import KernelNotRunning, Unavailable
from kernels_app.models import Kernel
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)


def command_publication(node_id: str, command: AnyCommand) -> Publication:
    return Publication(encode(command), log=command_stream(NodeId(node_id)))


def deliver(kernel: Kernel, command: AnyCommand) -> None:
    """Sends a command that a person waits for.

    Raises:
        KernelNotRunning: no node has it.
        Unavailable: the message server does not answer.
    """
    if kernel.node_id is None:
        raise KernelNotRunning
    try:
        blocking_transport().write([command_publication(kernel.node_id, command)])
    except TransportError as error:
        raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error


def write_or_leave(what: str, kernel_id: UUID, publications: Sequence[Publication]) -> None:
    """Writes what the rows already promise; when the wire is down it is left to the task that sends again."""
    try:
        blocking_transport().write(publications)
    except TransportError as error:
        log.warning("command_left_for_later", what=what, kernel_id=str(kernel_id), error=str(error))
