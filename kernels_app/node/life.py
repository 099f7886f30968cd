"""One life of the node, from its lease to its end: what its hosts of kernels and terminals share."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kernels_app.bus.identifiers import NodeId
from kernels_app.bus.transport import Transport
from kernels_app.node.launching import Launcher
from kernels_app.node.outbox import Outbox


class NodeLife(msgspec.Struct, frozen=True):
    """`fence` is the number of this life: what has another is for an earlier one."""

    node_id: NodeId
    fence: int
    transport: Transport
    outbox: Outbox
    launcher: Launcher
    clock_ms: Callable[[], int]
