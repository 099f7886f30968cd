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
from kernels_app.selectors.kernels import live_kernels_of
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.kernels import stop_kernel
from kernels_app.services.reservation import permitted
from notebooks_app.access import project_for
from notebooks_app.models import Role
from zasper_hub.accounts.models import Team
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.selectors.quotas import effective_quotas
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["kernels"])


@router.get("/kernels", response=list[KernelOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def list_kernels(request: HttpRequest) -> list[dict[str, Any]]:
    return [_kernel(kernel) for kernel in live_kernels_of(caller_of(request).user)]


@router.delete("/kernels/{uuid:kernel_id}", response={202: KernelStarted}, auth=needs(Need.EDITOR, Scope.RUN))
def stop(request: HttpRequest, kernel_id: UUID) -> Status[dict[str, Any]]:
    kernel = kernel_for(caller_of(request).user, kernel_id, Role.EDITOR)
    stop_kernel(kernel)
    return Status(202, {"kernel_id": kernel.pk})


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


def _kernel(kernel: Kernel) -> dict[str, Any]:
    project, document = kernel.project, kernel.document
    return {
        "id": kernel.pk,
        "kernelspec_name": kernel.kernelspec_name,
        "state": kernel.state,
        "reason": kernel.reason,
        "project": {"id": project.pk, "team": project.team.slug, "slug": project.slug, "name": project.name},
        "document": None if document is None else {"id": document.pk, "path": document.path},
        "created_at": kernel.created_at,
        "last_activity_at": kernel.last_activity_at,
        "node": kernel.node_id,
    }
