"""What a person sees of their account and their teams."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q, QuerySet
from django.utils import timezone

from zasper_hub.accounts.models import ApiToken, AuditEvent, LoginSession, Team, TeamMembership, User


def team_memberships_of(user: User) -> QuerySet[TeamMembership]:
    """The teams a person is of, the personal one first."""
    return user.team_memberships.select_related("team").order_by(
        "-team__personal_of", "team__name", "team__pk"
    )


def members_of(team: Team) -> QuerySet[TeamMembership]:
    return team.memberships.select_related("user").filter(user__is_active=True).order_by("created_at", "pk")


def live_tokens_of(user: User, now: datetime | None = None) -> QuerySet[ApiToken]:
    """Tokens that still work, newest first."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=now or timezone.now())
    return user.api_tokens.filter(unexpired, revoked_at=None).order_by("-created_at", "-pk")


def login_sessions_of(user: User) -> QuerySet[LoginSession]:
    """Sign-ins that have not ended, last seen first."""
    return user.login_sessions.order_by("-last_seen_at", "-pk")


class SignIn(NamedTuple):
    at: datetime
    address: str | None
    user_agent: str = ""
    is_open: bool = False
    last_seen_at: datetime | None = None


def sign_ins_of(user: User, limit: int = 20) -> list[SignIn]:
    """The person's last sign-ins, newest first: those open, and those that the audit log knows of."""
    found = [
        SignIn(row.created_at, row.address, row.user_agent, True, row.last_seen_at)
        for row in login_sessions_of(user)[:limit]
    ]
    # The log has the open ones too: noted a moment before.
    open_at = [(sign_in.address, sign_in.at) for sign_in in found]
    for event in AuditEvent.objects.filter(actor=user, action="sign_in").order_by("-at")[: 2 * limit]:
        if not any(
            event.address == address and abs(event.at - at) < timedelta(seconds=5) for address, at in open_at
        ):
            found.append(SignIn(event.at, event.address))
    return sorted(found, key=lambda sign_in: sign_in.at, reverse=True)[:limit]
