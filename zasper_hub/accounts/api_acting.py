"""Hub API: to act as a person, to end it, and for that person to see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import StringConstraints

from zasper_hub.accounts.acting import SESSION_KEY
from zasper_hub.accounts.errors import NotFound
from zasper_hub.accounts.models import ActingPeriod, User
from zasper_hub.accounts.names import clean_name
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.services import acting as services
from zasper_hub.accounts.services.audit import address_of
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["acting"])

_SHOWN = 100


class ActIn(Schema):
    reason: Annotated[str, StringConstraints(max_length=300)] = ""


class ActingOut(Schema):
    username: str
    display_name: str
    administrator: str
    started_at: datetime
    ends_at: datetime


class ActedAsOut(Schema):
    administrator: str
    started_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    reason: str


# No token will do: it is the browser's sign-in that changes.
@router.post("/admin/people/{str:username}/act-as", response={201: ActingOut}, auth=needs(Need.STAFF, None))
def act_as(request: HttpRequest, username: str, body: ActIn) -> Status[dict[str, Any]]:
    administrator = caller_of(request).user
    reason = clean_name(body.reason, "reason", max_length=300) if body.reason.strip() else ""
    person = reach_of(administrator).person(username)
    period = services.begin_acting(administrator, person, reason=reason, address=address_of(request))
    request.session[SESSION_KEY] = period.pk
    return Status(
        201,
        {
            "username": person.username,
            "display_name": person.shown_name,
            "administrator": administrator.username,
            "started_at": period.started_at,
            "ends_at": period.ends_at,
        },
    )


@router.delete("/acting", response={204: None}, auth=needs(Need.SIGNED_IN, None))
def stop_acting(request: HttpRequest) -> Status[None]:
    end_acting_of(request, caller_of(request).user)
    return Status(204, None)


def end_acting_of(request: HttpRequest, user: User) -> None:
    """Ends what the request's sign-in does as somebody else. Raises NotFound when it does not."""
    period_id = request.session.pop(SESSION_KEY, None)
    period = ActingPeriod.objects.filter(pk=period_id, person=user).first() if period_id else None
    if period is None:
        raise NotFound("You act as nobody else.")
    services.end_acting(period)


@router.get("/me/acted-as", response=list[ActedAsOut], auth=needs(Need.SIGNED_IN, Scope.ACCOUNT))
def list_acted_as(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {
            "administrator": period.administrator_name,
            "started_at": period.started_at,
            "ends_at": period.ends_at,
            "ended_at": period.ended_at,
            "reason": period.reason,
        }
        for period in services.periods_of(caller_of(request).user)[:_SHOWN]
    ]
