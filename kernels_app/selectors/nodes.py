"""The nodes that are up, as they registered themselves on the wire."""

from __future__ import annotations

import msgspec
import structlog

from kernels_app.bus.envelopes import NodeInfo, NodeKernels
from kernels_app.bus.identifiers import NODE_KERNELS_KEY, NODES_KEY, node_lease
from kernels_app.bus.transport import TransportError
from kernels_app.errors import Unavailable
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)


def nodes_up() -> list[NodeInfo]:
    """Registered nodes that hold their lease, by id.

    Raises:
        Unavailable: the message server does not answer.
    """
    transport = blocking_transport()
    try:
        fields = transport.get_fields(NODES_KEY)
        nodes: list[NodeInfo] = []
        for field in sorted(fields):
            try:
                info = msgspec.json.decode(fields[field], type=NodeInfo)
            except (msgspec.ValidationError, msgspec.DecodeError):
                log.warning("node_registration_unreadable", node_id=field)
                continue
            if transport.read_lease(node_lease(info.node_id)) == info.fence:
                nodes.append(info)
    except TransportError as error:
        raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error
    return nodes


def listed_kernels() -> dict[str, NodeKernels]:
    """The kernels that each node says it has, by the node's id. A node that was killed may still be there.

    Raises:
        TransportError
    """
    found: dict[str, NodeKernels] = {}
    for node_id, value in blocking_transport().get_fields(NODE_KERNELS_KEY).items():
        try:
            found[node_id] = msgspec.json.decode(value, type=NodeKernels)
        except msgspec.DecodeError:
            log.warning("list_of_kernels_unreadable", node_id=node_id)
    return found
