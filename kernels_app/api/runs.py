"""Hub API: runs of a document's cells, without a browser."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from kernels_app.api.schemas import KernelChoice, KernelStarted, RunOut, RunsAccepted, RunsIn
from kernels_app.models import Run
from kernels_app.selectors.kernels import runs_of
from kernels_app.services.kernels import interrupt_kernel, restart_kernel, switch_kernelspec
from kernels_app.services.runs import run_saved_cells
from notebooks_app.access import document_for
from notebooks_app.models import Role
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["runs"])


@router.post(
    "/documents/{uuid:document_id}/runs", response={202: RunsAccepted}, auth=needs(Need.EDITOR, Scope.RUN)
)
def run_document(request: HttpRequest, document_id: UUID, body: RunsIn) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    accepted = run_saved_cells(
        user=user,
        document=document_for(user, document_id, Role.EDITOR),
        cell_ids=None if body.cells == "all" else body.cells,
        request_id=body.request_id,
        stop_on_error=body.stop_on_error,
    )
    return Status(202, {"run_ids": accepted.run_ids, "kernel_id": accepted.kernel_id})


@router.get("/documents/{uuid:document_id}/runs", response=list[RunOut], auth=needs(Need.VIEWER, Scope.READ))
def list_runs(
    request: HttpRequest, document_id: UUID, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[dict[str, Any]]:
    document = document_for(caller_of(request).user, document_id)
    return [_run(run) for run in runs_of(document, limit=limit)]


@router.post(
    "/documents/{uuid:document_id}/interrupt",
    response={202: KernelStarted},
    auth=needs(Need.EDITOR, Scope.RUN),
)
def interrupt(request: HttpRequest, document_id: UUID) -> Status[dict[str, Any]]:
    kernel = interrupt_kernel(document_for(caller_of(request).user, document_id, Role.EDITOR))
    return Status(202, {"kernel_id": kernel.pk})


@router.post(
    "/documents/{uuid:document_id}/restart", response={202: KernelStarted}, auth=needs(Need.EDITOR, Scope.RUN)
)
def restart(request: HttpRequest, document_id: UUID) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    kernel = restart_kernel(user=user, document=document_for(user, document_id, Role.EDITOR))
    return Status(202, {"kernel_id": kernel.pk})


@router.put(
    "/documents/{uuid:document_id}/kernel", response={202: KernelStarted}, auth=needs(Need.EDITOR, Scope.RUN)
)
def choose_kernel(request: HttpRequest, document_id: UUID, body: KernelChoice) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    kernel = switch_kernelspec(
        user=user,
        document=document_for(user, document_id, Role.EDITOR),
        kernelspec_name=body.kernelspec_name,
    )
    return Status(202, {"kernel_id": kernel.pk})


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.pk,
        "cell_id": run.cell_id,
        "request_id": run.request_id,
        "state": run.state,
        "execution_count": run.execution_count,
        "queued_at": run.queued_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "user": None if run.user is None else run.user.username,
    }
