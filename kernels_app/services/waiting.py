"""Who waits for a place on a node, and what the nodes have been given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.conf import settings
from django.db.models import Count, QuerySet, Sum

from kernels_app.bus.envelopes import NodeInfo
from kernels_app.errors import Unavailable
from kernels_app.models import DEMO_FENCE, LIVE_STATES, Kernel, KernelState, Node, TeamPlacement
from kernels_app.runs.placement import NodeLoad, Want
from kernels_app.runs.waiting import Turn, Waiting, in_turn, turns
from kernels_app.selectors.nodes import nodes_up


def waiting_kernels() -> QuerySet[Kernel]:
    """Those that no node has yet."""
    return Kernel.objects.filter(state=KernelState.PENDING, node=None).exclude(fence=DEMO_FENCE)


def node_loads(nodes: Sequence[NodeInfo]) -> list[NodeLoad]:
    """The nodes with the kernels that the rows say they have."""
    names = [node.node_id for node in nodes]
    given = {
        row["node_id"]: row
        for row in Kernel.objects.filter(node_id__in=names, state__in=LIVE_STATES)
        .values("node_id")
        .annotate(count=Count("pk"), reserved=Sum("memory_limit_bytes"))
    }
    states = dict(Node.objects.filter(pk__in=names).values_list("pk", "state"))
    return [
        NodeLoad(
            info=node,
            capacity_bytes=int(node.memory_bytes * settings.HUB_MEMORY_OVERCOMMIT),
            kernel_count=given[node.node_id]["count"] if node.node_id in given else 0,
            reserved_bytes=(given[node.node_id]["reserved"] or 0) if node.node_id in given else 0,
            is_draining=states.get(node.node_id) == "draining",
        )
        for node in nodes
    ]


def wants_of(kernels: Collection[Kernel]) -> dict[UUID, Want]:
    """What each of the kernels needs of its node. They come with `.project`."""
    team_ids = {kernel.project.team_id for kernel in kernels}
    labels = dict(TeamPlacement.objects.filter(team_id__in=team_ids).values_list("team_id", "node_labels"))
    return {
        kernel.pk: Want(
            kernel.kernelspec_name, kernel.memory_limit_bytes, _labels(labels.get(kernel.project.team_id))
        )
        for kernel in kernels
    }


def queue() -> list[Waiting]:
    """All that wait, in the order in which they are to start."""
    kernels = list(waiting_kernels().select_related("project"))
    if not kernels:
        return []
    wants = wants_of(kernels)
    placed = dict(
        Kernel.objects.filter(state__in=LIVE_STATES, user__in={kernel.user_id for kernel in kernels})
        .exclude(node=None)
        .values_list("user_id")
        .annotate(count=Count("pk"))
    )
    waiting = [Waiting(kernel.pk, kernel.user_id, kernel.created_at, wants[kernel.pk]) for kernel in kernels]
    return in_turn(waiting, placed)


def queue_turns() -> dict[UUID, Turn]:
    """How far each waiting kernel is. While the message server is away: as if all waited for the same nodes."""
    order = queue()
    if not order:
        return {}
    try:
        loads = node_loads(nodes_up())
    except Unavailable:
        loads = []
    return turns(order, loads)


def queue_positions() -> dict[UUID, int]:
    """The place of each kernel that waits: 1 is the next. Demo rows come in the order they were made."""
    shown = Kernel.objects.filter(state=KernelState.PENDING, node=None, fence=DEMO_FENCE)
    positions = {pk: at for at, pk in enumerate(shown.order_by("created_at").values_list("pk", flat=True), 1)}
    return positions | {kernel_id: turn.position for kernel_id, turn in queue_turns().items()}


def turn_of(kernel: Kernel) -> Turn | None:
    """How far the kernel is in the queue; None when it is in none."""
    return queue_turns().get(kernel.pk) if is_waiting(kernel) else None


def is_waiting(kernel: Kernel) -> bool:
    return kernel.state == KernelState.PENDING and kernel.node_id is None


def _labels(stored: object) -> dict[str, str]:
    return {str(name): str(value) for name, value in stored.items()} if isinstance(stored, dict) else {}
