"""Hub API: what the caller uses of what they may."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from kernels_app.api.schemas import QuotaOut
from kernels_app.services.usage import usage_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["usage"])


@router.get("/usage", response=list[QuotaOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def my_usage(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {
            "quota": use.quota,
            "title": use.title,
            "limit": use.limit,
            "used": use.used,
            "unit": use.unit,
            "origin": use.origin,
        }
        for use in usage_of(caller_of(request).user)
    ]
