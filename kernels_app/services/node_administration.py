"""Nodes drained, put to use again, and forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from kernels_app.errors import Conflict, Invalid, NotFound
from kernels_app.models import Node
from kernels_app.services.nodes import set_draining
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services import audit

LONGEST_DRAIN = timedelta(days=30)


@transaction.atomic
def drain_node(node: Node, *, is_draining: bool, actor: User, until: datetime | None = None) -> Node:
    """The node, taking no new kernels, or taking them again. Those it has go on; at most `until` then, and their
    people are warned 5 minutes before. Harmless when repeated; a repeat with another time changes the time.

    Raises:
        Conflict: it is lost. Invalid: the time is past, or too far away.
    """
    now = timezone.now()
    if until is not None and not now < until <= now + LONGEST_DRAIN:
        raise Invalid(
            f"Give a time that is to come, within {LONGEST_DRAIN.days} days, or none: then kernels go on until "
            "people stop them.",
            field="until",
        )
    was = (node.state == "draining", node.drain_at)
    try:
        node = set_draining(node.pk, is_draining, until=until)
    except NotFound as error:
        raise Conflict(
            "The node does not answer: there is nothing to drain. Remove it if it is gone for good."
        ) from error
    if was != (is_draining, until):
        action = "node_drained" if is_draining else "node_undrained"
        details: dict[str, Any] = {} if until is None else {"until": until.isoformat(timespec="seconds")}
        audit.record(action, actor=actor, target=f"node:{node.pk}", **details)
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
