"""Hub API: invitations, one by one and as a list."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Literal

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field, StringConstraints

from zasper_hub.accounts.errors import InvalidList
from zasper_hub.accounts.invitation_list import parse_list
from zasper_hub.accounts.models import Invitation, TeamRole
from zasper_hub.accounts.paging import Filter, PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.schemas import Name, TeamRoleName
from zasper_hub.accounts.services import bulk_invitations
from zasper_hub.accounts.services import invitations as services
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["invitations"])

_ANY = needs(Need.ADMINISTRATION, Scope.ADMIN)
_SHOWN_PROBLEMS = 1_000

Short = Annotated[str, StringConstraints(max_length=254, strip_whitespace=True)]
Days = Annotated[int, Field(ge=1, le=services.MAX_DAYS)]


class InvitationIn(Schema):
    team: Filter = ""
    role: TeamRoleName = "member"
    max_uses: Annotated[int, Field(ge=1, le=services.MAX_USES)] = 1
    days: Days = 7
    username: Short = ""
    display_name: Name = ""
    email: Short = ""
    note: Name = ""


class InvitationOut(Schema):
    id: int
    team: str | None
    team_name: str | None
    role: TeamRoleName
    username: str
    display_name: str
    email: str
    note: str
    max_uses: int
    use_count: int
    expires_at: datetime
    state: services.State
    created_by: str | None
    created_at: datetime
    url: str | None = None


class ListRowOut(Schema):
    line: int
    username: str
    email: str
    team: str
    role: str
    outcome: bulk_invitations.Outcome
    message: str
    url: str | None


class ListOut(Schema):
    rows: list[ListRowOut]
    counts: dict[bulk_invitations.Outcome, int]
    is_dry_run: bool


class InvitationsPage(PageIn):
    state: Literal["", "open", "used", "expired", "revoked"] = ""
    team: Filter = ""


@router.get("/admin/invitations", response=PageOut[InvitationOut], auth=_ANY)
def list_invitations(request: HttpRequest, page: Query[InvitationsPage]) -> Part:
    now = timezone.now()
    rows = services.in_state(services.invitations_in(reach_of(caller_of(request).user)), page.state, now)
    if page.team:
        rows = rows.filter(team__slug=page.team)
    if page.search:
        rows = rows.filter(
            Q(username__icontains=page.search)
            | Q(display_name__icontains=page.search)
            | Q(email__icontains=page.search)
            | Q(note__icontains=page.search)
            | Q(team__name__icontains=page.search)
        )
    sorts = {
        "created_at": "created_at",
        "expires_at": "expires_at",
        "team": "team__slug",
        "username": "username",
    }
    return part_of(
        rows,
        page,
        sorts=sorts,
        default="-created_at",
        shape=lambda found: [_shaped(invitation, now) for invitation in found],
    )


@router.post("/admin/invitations", response={201: InvitationOut}, auth=_ANY)
def make(request: HttpRequest, body: InvitationIn) -> Status[dict[str, Any]]:
    reach = reach_of(caller_of(request).user)
    made = services.make_invitation(
        reach,
        team=reach.team(body.team) if body.team else None,
        role=TeamRole(body.role),
        max_uses=body.max_uses,
        days=body.days,
        username=body.username,
        display_name=body.display_name,
        email=body.email,
        note=body.note,
    )
    url = _url(request, made.secret)
    return Status(201, {**_shaped(made.invitation, timezone.now()), "url": url})


@router.delete("/admin/invitations/{int:invitation_id}", response={204: None}, auth=_ANY)
def revoke(request: HttpRequest, invitation_id: int) -> Status[None]:
    services.revoke_invitation(reach_of(caller_of(request).user), invitation_id)
    return Status(204, None)


@router.post("/admin/invitations/csv", response=ListOut, auth=_ANY)
def invite_list(request: HttpRequest, dry_run: bool = False, days: Days = 7) -> dict[str, Any]:
    """The body is the file itself. Without `dry_run` all of it is done, or nothing."""
    reach = reach_of(caller_of(request).user)
    lines = parse_list(request.body)
    if dry_run:
        return _list(request, bulk_invitations.plan(reach, lines), is_dry_run=True)
    try:
        return _list(request, bulk_invitations.carry_out(reach, lines, days=days), is_dry_run=False)
    except InvalidList as error:
        planned: list[bulk_invitations.InvitedLine] = error.details.pop("planned")
        bad = [row for row in planned if row.outcome == "error"][:_SHOWN_PROBLEMS]
        shown = {
            **_list(request, planned, is_dry_run=False),
            "rows": _list(request, bad, is_dry_run=False)["rows"],
        }
        raise InvalidList(**shown) from error


def _list(
    request: HttpRequest, rows: list[bulk_invitations.InvitedLine], *, is_dry_run: bool
) -> dict[str, Any]:
    return {
        "rows": [
            {
                "line": row.line.number,
                "username": row.line.username,
                "email": row.line.email,
                "team": row.line.team,
                "role": row.line.role,
                "outcome": row.outcome,
                "message": row.message,
                "url": None if row.secret is None else _url(request, row.secret),
            }
            for row in rows
        ],
        "counts": dict(Counter(row.outcome for row in rows)),
        "is_dry_run": is_dry_run,
    }


def _url(request: HttpRequest, secret: str) -> str:
    return request.build_absolute_uri(reverse("account_join", args=[secret]))


def _shaped(invitation: Invitation, now: datetime) -> dict[str, Any]:
    team = invitation.team
    return {
        "id": invitation.pk,
        "team": None if team is None else team.slug,
        "team_name": None if team is None else team.name,
        "role": invitation.role,
        "username": invitation.username,
        "display_name": invitation.display_name,
        "email": invitation.email,
        "note": invitation.note,
        "max_uses": invitation.max_uses,
        "use_count": invitation.use_count,
        "expires_at": invitation.expires_at,
        "state": services.state_of(invitation, now),
        "created_by": None if invitation.created_by is None else invitation.created_by.username,
        "created_at": invitation.created_at,
    }
