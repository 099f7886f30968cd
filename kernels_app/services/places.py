"""A place on a node for a kernel: given in the database, so that no node gets more than it takes."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from kernels_app.errors import NotFound
from kernels_app.models import Kernel, KernelState, Node
from kernels_app.runs.placement import NodeLoad, Want, choose_node, has_room
from kernels_app.services.hub_log import raise_generation
from kernels_app.services.waiting import node_loads


def assign(kernel: Kernel, want: Want, loads: Sequence[NodeLoad]) -> bool:
    """Gives the kernel, which has none, a place on one of the nodes; False when none has room. In a transaction.

    `loads` may be out of date: each node is counted once more while its row is held.
    """
    left = list(loads)
    while (best := choose_node(left, want)) is not None:
        left.remove(best)
        info = best.info
        Node.objects.get_or_create(node_id=info.node_id, defaults={"fence": info.fence})
        row = Node.objects.select_for_update(no_key=True).get(pk=info.node_id)
        if row.fence > info.fence or (row.state == "lost" and row.fence == info.fence):
            continue  # it is of an earlier life, or was just given up
        [now] = node_loads([info])
        if not has_room(now, want):
            continue
        return _take(kernel, info.node_id, info.fence)
    return False


def _take(kernel: Kernel, node_id: str, fence: int) -> bool:
    generation = 0
    if kernel.document_id is not None:
        try:
            # One generation for the hub's opening word, the next for the node.
            generation = raise_generation(kernel.document_id, 2) + 1
        except NotFound:
            return False
    taken = Kernel.objects.filter(pk=kernel.pk, state=KernelState.PENDING, node=None).update(
        node_id=node_id, fence=fence, log_generation=generation, last_activity_at=timezone.now()
    )
    if taken:
        kernel.node_id, kernel.fence, kernel.log_generation = node_id, fence, generation
    return taken > 0


def give_back(kernel: Kernel) -> bool:
    """Puts a kernel that its node never began to start back into the queue; False when it had begun."""
    return (
        Kernel.objects.filter(
            pk=kernel.pk, state=KernelState.PENDING, node_id=kernel.node_id, fence=kernel.fence
        ).update(node=None, fence=0, log_generation=0)
        > 0
    )
