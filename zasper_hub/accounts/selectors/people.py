"""What a person sees of their account and their teams."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from zasper_hub.accounts.models import ApiToken, LoginSession, Team, TeamMembership, User


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
