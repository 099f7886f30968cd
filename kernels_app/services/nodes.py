"""Nodes as an administrator handles them: drained, opened again, removed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from django.db import transaction

from kernels_app.bus.envelopes import DrainNode, NodeKernels, StopKernel, encode
from kernels_app.bus.identifiers import NODES_KEY, KernelId, NodeId, command_stream
from kernels_app.bus.transport import Publication, TransportError
from kernels_app.errors import NotFound, Unavailable
from kernels_app.models import LIVE_STATES, Kernel, KernelState, Node
from kernels_app.selectors.nodes import listed_kernels, nodes_up
from kernels_app.services.delivery import command_publication, write_or_leave
from kernels_app.services.endings import end_kernels_of_node
from kernels_app.services.hub_log import now_ms
from kernels_app.services.queue import fill_places_soon
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

# A node lists its kernels within 5 s, the recorder has an event in a second: this is several times that.
ORPHAN_FOR_S = 20


def set_draining(node_id: str, is_draining: bool, *, until: datetime | None = None) -> Node:
    """A node that drains takes no new kernels; those it has go on, at most `until` then (their people are warned).

    It is drained until it is stopped in good order, or until this is called again. Repeating it is harmless.

    Raises:
        NotFound: there is no such node, or it is lost.
    """
    with transaction.atomic():
        changed = (
            Node.objects.filter(pk=node_id)
            .exclude(state="lost")
            .update(state="draining" if is_draining else "up", drain_at=until if is_draining else None)
        )
        if not changed:
            raise NotFound("There is no such node that is up.")
        transaction.on_commit(_tell_nodes)
        if not is_draining:
            fill_places_soon()
    return Node.objects.get(pk=node_id)


def tell_draining_nodes() -> None:
    """Tells each node whether it is drained, if it does not say so itself. Called periodically.

    Raises:
        TransportError, Unavailable
    """
    states = dict(Node.objects.values_list("pk", "state"))
    publications = [
        Publication(
            encode(DrainNode(fence=node.fence, is_draining=not node.is_draining)),
            log=command_stream(node.node_id),
        )
        for node in nodes_up()
        if node.node_id in states and (states[node.node_id] == "draining") != node.is_draining
    ]
    if publications:
        blocking_transport().write(publications)


def reap_orphans() -> int:
    """Ends kernels that only a row or only a node knows; how many. Called periodically.

    A row whose node does not list its kernel, though it has told that it came up, is lost. A kernel that a node lists
    and whose row has ended, or is none, is stopped.

    Raises:
        TransportError, Unavailable
    """
    listed = listed_kernels()
    count = 0
    for node in nodes_up():
        found = listed.get(node.node_id)
        if found is not None and found.fence == node.fence:
            count += _reap(node.node_id, found)
    return count


def forget_node(node: Node) -> None:
    """Before a node's row is deleted: its kernels end, and it hears no more of the hub until it registers again."""
    kernels = Kernel.objects.filter(node=node, state__in=LIVE_STATES)
    for kernel in kernels:
        stop = StopKernel(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk)))
        write_or_leave("stop", kernel.pk, [command_publication(node.pk, stop)])
    try:
        end_kernels_of_node(kernels, "The node that ran the kernel was removed.")
        blocking_transport().delete_field(NODES_KEY, NodeId(node.pk))
    except TransportError as error:
        raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error


def _reap(node_id: NodeId, listed: NodeKernels) -> int:
    """Only what was so for a while: a kernel that starts or ends just now is on its way."""
    known = dict(Kernel.objects.filter(pk__in=_uuids(listed.kernel_ids)).values_list("pk", "state"))
    live = {str(pk) for pk, state in known.items() if state in LIVE_STATES}
    rows = Kernel.objects.filter(node_id=node_id, fence=listed.fence, state__in=LIVE_STATES)
    up = rows.exclude(state__in=(KernelState.PENDING, KernelState.STOPPING))
    without_kernel = {str(pk) for pk in up.values_list("pk", flat=True)} - set(listed.kernel_ids)
    without_row = set(listed.kernel_ids) - live
    orphans = _long_suspected(node_id, without_kernel | without_row)
    for kernel_id in orphans & without_kernel:
        log.warning("kernel_row_without_kernel", kernel_id=kernel_id, node_id=node_id)
        end_kernels_of_node(rows.filter(pk=kernel_id), "Its node does not have the kernel any more.")
    for kernel_id in orphans & without_row:
        log.warning("kernel_without_row", kernel_id=kernel_id, node_id=node_id)
        command = StopKernel(
            fence=listed.fence, kernel_id=KernelId(kernel_id), reason="The hub does not know it."
        )
        blocking_transport().write([command_publication(node_id, command)])
    return len(orphans)


def _long_suspected(node_id: NodeId, suspects: set[str]) -> set[str]:
    """Those of them that have been suspected for `ORPHAN_FOR_S`. Kept on the wire: any worker may look next."""
    transport = blocking_transport()
    key = f"node:{node_id}:orphans"
    kept = transport.get_value(key)
    if not suspects:
        if kept is not None:
            transport.delete_value(key)
        return set()
    try:
        before = msgspec.json.decode(kept or b"{}", type=dict[str, int])
    except msgspec.DecodeError:
        before = {}
    since = {kernel_id: before.get(kernel_id, now_ms()) for kernel_id in suspects}
    transport.put_value(key, msgspec.json.encode(since), ttl_s=300)
    return {kernel_id for kernel_id, at in since.items() if now_ms() - at >= ORPHAN_FOR_S * 1000}


def _uuids(names: Sequence[str]) -> list[UUID]:
    found = []
    for name in names:
        with suppress(ValueError):
            found.append(UUID(name))
    return found


def _tell_nodes() -> None:
    try:
        tell_draining_nodes()
    except (TransportError, Unavailable) as error:
        log.info("nodes_not_told", error=str(error))
