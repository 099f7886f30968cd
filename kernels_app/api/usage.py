"""Hub API: what the caller uses of what they may."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from kernels_app.api.schemas import DayUseOut, ProjectUseOut, QuotaOut
from kernels_app.services.usage import days_of, project_uses, usage_of
from zasper_hub.accounts.access import team_for
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["usage"])


@router.get("/usage", response=list[QuotaOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def my_usage(request: HttpRequest, team: str | None = None) -> list[dict[str, Any]]:
    """Each quota, as it counts in projects of the named team the caller is of; default: their personal one."""
    user = caller_of(request).user
    return [asdict(use) for use in usage_of(user, team_for(user, team) if team else None)]


@router.get("/usage/projects", response=list[ProjectUseOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def my_projects_usage(request: HttpRequest) -> list[dict[str, Any]]:
    """What each of the caller's projects keeps, largest first."""
    return [
        {
            "project": {
                "id": use.project.pk,
                "team": use.project.team.slug,
                "slug": use.project.slug,
                "name": use.project.name,
            },
            "files_bytes": max(use.storage.files_bytes, 0),
            "trash_bytes": max(use.storage.trash_bytes, 0),
            "outputs_bytes": max(use.storage.outputs_bytes, 0),
            "total_bytes": use.storage.total_bytes,
            "limit": use.limit,
            "origin": use.origin,
            "counts_for_me": use.counts_for_me,
            "deleted_at": use.project.deleted_at,
            "measured_at": use.storage.measured_at,
        }
        for use in project_uses(caller_of(request).user)
    ]


@router.get("/usage/days", response=list[DayUseOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def my_daily_usage(request: HttpRequest) -> list[dict[str, Any]]:
    """What the caller computed on each of the last 30 days on which they did."""
    return [
        {
            "day": use.day,
            "gib_hours": round(use.reserved_gib_hours + use.measured_gib_hours, 3),
            "run_seconds": round(use.run_seconds, 1),
            "kernel_seconds": round(use.kernel_seconds, 1),
            "run_count": use.run_count,
        }
        for use in days_of(caller_of(request).user, timezone.now())
    ]
