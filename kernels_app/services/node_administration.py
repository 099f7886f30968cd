"""Nodes drained, put to use again, and forgotten."""

from __future__ import annotations

from django.db import transaction

from kernels_app.errors import Conflict, NotFound
from kernels_app.models import Node
from kernels_app.services.nodes import set_draining
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services import audit


@transaction.atomic
def drain_node(node: Node, *, is_draining: bool, actor: User) -> Node:
    """The node, taking no new kernels (those it has go on), or taking them again. Harmless when repeated.

    Raises:
        Conflict: it is lost.
    """
    was_draining = node.state == "draining"
    try:
        node = set_draining(node.pk, is_draining)
    except NotFound as error:
        raise Conflict(
            "The node does not answer: there is nothing to drain. Remove it if it is gone for good."
        ) from error
    if was_draining != is_draining:
        action = "node_drained" if is_draining else "node_undrained"
        audit.record(action, actor=actor, target=f"node:{node.pk}")
    return node


@transaction.atomic
def remove_node(node: Node, *, actor: User) -> None:
    """Forgets a node that is lost; its ended kernels stay, without a node.

    Raises:
        Conflict: it is not lost. NotFound: somebody else removed it.
    """
    locked = Node.objects.select_for_update().filter(pk=node.pk).first()
    if locked is None:
        raise NotFound("There is no such node.")
    if locked.state != "lost":
        raise Conflict(
            "The node answers. Drain it and end its program first; when it is lost it can be removed."
        )
    locked.delete()
    audit.record("node_removed", actor=actor, target=f"node:{node.pk}")
