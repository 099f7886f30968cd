"""Hub API: the caller's kernels, and the kernelspecs there are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status

from kernels_app.access import kernel_for
from kernels_app.api.schemas import KernelOut, KernelspecOut, KernelStarted
from kernels_app.models import Kernel
from kernels_app.runs.placement import available_kernelspecs
from kernels_app.runs.waiting import Turn
from kernels_app.selectors.kernels import live_kernels_of
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.culling import keep_kernel
from kernels_app.services.kernels import stop_kernel
from kernels_app.services.reservation import permitted
from kernels_app.services.waiting import is_waiting, queue_turns, turn_of
from notebooks_app.access import project_for
from notebooks_app.models import Role
from zasper_hub.accounts.models import Team
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.selectors.quotas import effective_quotas
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["kernels"])


@router.get("/kernels", response=list[KernelOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def list_kernels(request: HttpRequest) -> list[dict[str, Any]]:
    kernels = list(live_kernels_of(caller_of(request).user))
    turns = queue_turns() if any(is_waiting(kernel) for kernel in kernels) else {}
    return [_kernel(kernel, turns.get(kernel.pk)) for kernel in kernels]


@router.delete("/kernels/{uuid:kernel_id}", response={202: KernelStarted}, auth=needs(Need.EDITOR, Scope.RUN))
def stop(request: HttpRequest, kernel_id: UUID) -> Status[dict[str, Any]]:
    kernel = kernel_for(caller_of(request).user, kernel_id, Role.EDITOR)
    stop_kernel(kernel)
    return Status(202, {"kernel_id": kernel.pk})


@router.post("/kernels/{uuid:kernel_id}/keep", response=KernelOut, auth=needs(Need.EDITOR, Scope.RUN))
def keep(request: HttpRequest, kernel_id: UUID) -> dict[str, Any]:
    """It goes on as if it had just been used. 409 when it is to end for a reason that use does not change."""
    kernel = kernel_for(caller_of(request).user, kernel_id, Role.EDITOR)
    keep_kernel(kernel)
    return _kernel(kernel, turn_of(kernel))


@router.get("/kernelspecs", response=list[KernelspecOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def list_kernelspecs(request: HttpRequest, project: UUID | None = None) -> list[dict[str, Any]]:
    """Those the caller may start: in this project, or (without one) in those of their personal team."""
    user = caller_of(request).user
    team = (
        Team.objects.filter(personal_of=user).first() if project is None else project_for(user, project).team
    )
    quotas = effective_quotas(user, team)
    return [
        {"name": spec.name, "display_name": spec.display_name, "language": spec.language}
        for spec in available_kernelspecs(permitted(nodes_up(), quotas))
    ]


def _kernel(kernel: Kernel, turn: Turn | None) -> dict[str, Any]:
    project, document = kernel.project, kernel.document
    return {
        "id": kernel.pk,
        "kernelspec_name": kernel.kernelspec_name,
        "state": kernel.state,
        "reason": kernel.reason if turn is None else turn.sentence,
        "project": {"id": project.pk, "team": project.team.slug, "slug": project.slug, "name": project.name},
        "document": None if document is None else {"id": document.pk, "path": document.path},
        "created_at": kernel.created_at,
        "last_activity_at": kernel.last_activity_at,
        "node": kernel.node_id,
        "queue_position": None if turn is None else turn.position,
        "queue_length": None if turn is None else turn.length,
        "ends_at": kernel.ends_at,
        "end_cause": kernel.end_cause if kernel.ends_at is not None else None,
    }
