"""Admin API: kernels that live."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from kernels_app.api.administration.schemas import AdminKernelOut, KernelsStopIn, KernelsStopped, Row
from kernels_app.api.administration.shapes import shaped_kernels
from kernels_app.errors import Invalid, NotFound
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.selectors.administration import kernel_rows
from kernels_app.services.stopping import stop_chosen_kernels, stop_kernels_of_ids
from zasper_hub.accounts.paging import Filter, PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["administration"])

SORTS = {
    "created_at": "created_at",
    "state": "state",
    "owner": "user__username",
    "team": "project__team__slug",
    "node": "node_id",
    "last_activity_at": "last_activity_at",
    "kernelspec_name": "kernelspec_name",
    "memory_bytes": "memory_bytes",
    "cpu_cores": "cpu_cores",
}


class KernelsPage(PageIn):
    state: Filter = ""
    owner: Filter = ""
    team: Filter = ""
    node: Filter = ""
    project: Filter = ""


@router.get("/admin/kernels", response=PageOut[AdminKernelOut], auth=needs(Need.ADMINISTRATION, Scope.ADMIN))
def list_kernels(request: HttpRequest, page: Query[KernelsPage]) -> Part:
    kernels = _filtered(kernel_rows(reach_of(caller_of(request).user)), page)
    return part_of(kernels, page, sorts=SORTS, default="-created_at", shape=shaped_kernels)


@router.post(
    "/admin/kernels/stop", response={202: KernelsStopped}, auth=needs(Need.ADMINISTRATION, Scope.ADMIN)
)
def stop_kernels(request: HttpRequest, body: KernelsStopIn) -> Status[Row]:
    reach = reach_of(caller_of(request).user)
    if bool(body.ids) == body.all:
        raise Invalid("Name the kernels to stop, or say that it is all of them.", field="ids")
    if body.all:
        done = stop_chosen_kernels(reach, owner=body.owner, team=body.team, node=body.node)
    else:
        done = stop_kernels_of_ids(reach, body.ids)
    absent = NotFound("There is no such kernel, or it has ended.")
    failed = [{"id": str(pk), "code": absent.code, "message": absent.message} for pk in done.absent]
    return Status(202, {"stopped": done.stopped, "failed": failed})


def _filtered(kernels: QuerySet[Kernel], page: KernelsPage) -> QuerySet[Kernel]:
    if page.state:
        if page.state not in LIVE_STATES:
            raise Invalid(f"A live kernel is in one of: {', '.join(LIVE_STATES)}.", field="state")
        kernels = kernels.filter(state=page.state)
    if page.owner:
        kernels = kernels.filter(user__username__iexact=page.owner)
    if page.team:
        kernels = kernels.filter(project__team__slug=page.team)
    if page.node:
        kernels = kernels.filter(node_id=page.node)
    if page.project:
        kernels = kernels.filter(project__slug=page.project)
    if page.search:
        kernels = kernels.filter(
            Q(user__username__icontains=page.search)
            | Q(user__display_name__icontains=page.search)
            | Q(project__name__icontains=page.search)
            | Q(document__path__icontains=page.search)
            | Q(kernelspec_name__icontains=page.search)
        )
    return kernels
