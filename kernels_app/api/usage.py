"""Hub API: what the caller uses of what they may."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from ninja import Router

from kernels_app.api.schemas import QuotaOut
from kernels_app.services.usage import usage_of
from zasper_hub.accounts.access import team_for
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["usage"])


@router.get("/usage", response=list[QuotaOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def my_usage(request: HttpRequest, team: str | None = None) -> list[dict[str, Any]]:
    """Each quota, as it counts in projects of the named team the caller is of; default: their personal one."""
    user = caller_of(request).user
    return [asdict(use) for use in usage_of(user, team_for(user, team) if team else None)]
