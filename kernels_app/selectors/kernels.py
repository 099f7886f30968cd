"""Kernels and runs, as they are asked for."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q, QuerySet

from kernels_app.models import LIVE_STATES, Kernel, KernelState, Run, RunState
from notebooks_app.models import Document
from zasper_hub.accounts.models import User

UNFINISHED_STATES = (RunState.QUEUED, RunState.RUNNING)
# Live, and not on the way out.
STAYING_STATES = tuple(state for state in LIVE_STATES if state != KernelState.STOPPING)


def live_kernel(document_id: UUID) -> Kernel | None:
    """The kernel that the document has now (there is one at most)."""
    return Kernel.objects.filter(document_id=document_id, state__in=LIVE_STATES).first()


def last_kernel(document_id: UUID) -> Kernel | None:
    """The live kernel, else the one that ended last: what a notebook shows."""
    return (
        live_kernel(document_id)
        or Kernel.objects.filter(document_id=document_id).order_by("-created_at").first()
    )


def last_kernelspec_name(document_id: UUID) -> str | None:
    """What the document last ran on, if that kernel could be started."""
    return (
        Kernel.objects.filter(document_id=document_id)
        .exclude(state=KernelState.FAILED)
        .order_by("-created_at")
        .values_list("kernelspec_name", flat=True)
        .first()
    )


def lost_among(kernel_ids: Collection[str]) -> dict[str, str]:
    """Those of these kernels that ended without their node, with the reason."""
    lost = Kernel.objects.filter(pk__in=kernel_ids).filter(
        Q(state=KernelState.LOST) | Q(node__state="lost", ended_at__isnull=False)
    )
    return {str(pk): reason for pk, reason in lost.values_list("pk", "reason")}


def live_kernels_of(user: User) -> QuerySet[Kernel]:
    """The person's own live kernels, newest first, in projects that they still are members of."""
    return (
        Kernel.objects.filter(
            user=user, state__in=LIVE_STATES, project__deleted_at=None, project__memberships__user=user
        )
        .select_related("project__team", "document", "node")
        .order_by("-created_at")
    )


def runs_of(document: Document, *, limit: int) -> QuerySet[Run]:
    """The document's last runs, newest first."""
    return (
        Run.objects.filter(document=document)
        .select_related("user")
        .defer("source")
        .order_by("-queued_at", "-position")[:limit]
    )
