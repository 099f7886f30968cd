"""Admin API: how the hub is."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from kernels_app.api.administration.schemas import OverviewOut
from kernels_app.api.administration.shapes import seconds_since, shaped_nodes
from kernels_app.bus.envelopes import NodeInfo
from kernels_app.errors import Unavailable
from kernels_app.models import KernelState
from kernels_app.selectors import administration as select
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.hub_warnings import warnings_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["administration"])


@router.get("/admin/overview", response=OverviewOut, auth=needs(Need.ADMINISTRATION, Scope.ADMIN))
def overview(request: HttpRequest) -> dict[str, Any]:
    reach = reach_of(caller_of(request).user)
    people = select.people_in(reach).order_by()
    kernels = select.kernels_in(reach)
    states = kernels.values("state").annotate(n=Count("pk")).order_by()
    by_state = {row["state"]: row["n"] for row in states}
    queue = kernels.filter(state=KernelState.PENDING, node=None)
    oldest = queue.aggregate(oldest=Min("created_at"))["oldest"]
    queue_length, oldest_wait_s = queue.count(), seconds_since(oldest, timezone.now())
    nodes: list[dict[str, Any]] = []
    warnings: list[dict[str, Any]] = []
    if reach.is_hub:
        live, answers = live_nodes()
        rows = list(select.nodes_with_counts().order_by("pk"))
        nodes = shaped_nodes(rows, live, select.node_figures())
        found = warnings_of(nodes, answers=answers, queue_length=queue_length, oldest_wait_s=oldest_wait_s)
        warnings = [
            {
                "code": warning.code,
                "level": warning.level,
                "message": warning.message,
                "subject": None
                if warning.subject is None
                else {"kind": warning.subject[0], "id": warning.subject[1]},
            }
            for warning in found
        ]
    return {
        "people": {
            "total": people.count(),
            "online": people.filter(select.online_now()).count(),
            "disabled": people.filter(is_active=False).count(),
        },
        "teams": reach.teams().filter(personal_of=None).count(),
        "projects": select.projects_in(reach).count(),
        "kernels": {"total": sum(by_state.values()), "by_state": by_state},
        "queue": {"length": queue_length, "oldest_wait_s": oldest_wait_s},
        "nodes": nodes,
        "warnings": warnings,
    }


def live_nodes() -> tuple[dict[str, NodeInfo], bool]:
    """What the nodes that are up say of themselves now, and whether the message server answers at all."""
    try:
        return {info.node_id: info for info in nodes_up()}, True
    except Unavailable:
        return {}, False
