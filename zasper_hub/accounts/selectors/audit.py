"""The audit log as administrators look things up in it."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from zasper_hub.accounts.models import AuditEvent
from zasper_hub.accounts.reach import Reach


def audit_events(
    reach: Reach,
    *,
    actor: str = "",
    action: str = "",
    target: str = "",
    team: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    search: str = "",
) -> QuerySet[AuditEvent]:
    """Events within reach that match all that is given. `actor`: who did it, or in whose place it was done."""
    events = AuditEvent.objects.select_related("team")
    if reach.team_ids is not None:
        events = events.filter(team_id__in=reach.team_ids)
    if actor:
        events = events.filter(Q(actor_name__iexact=actor) | Q(acted_by_name__iexact=actor))
    if action:
        events = events.filter(action=action)
    if target:
        # A kind alone (`project`) finds all of that kind.
        events = (
            events.filter(target=target) if ":" in target else events.filter(target__startswith=f"{target}:")
        )
    if team:
        events = events.filter(team__slug=team)
    if since is not None:
        events = events.filter(at__gte=since)
    if until is not None:
        events = events.filter(at__lt=until)
    if search:
        events = events.filter(
            Q(actor_name__icontains=search)
            | Q(acted_by_name__icontains=search)
            | Q(action__icontains=search)
            | Q(target__icontains=search)
        )
    return events


def audit_actions(reach: Reach) -> list[str]:
    """The actions there are events of, within reach."""
    return list(audit_events(reach).order_by("action").values_list("action", flat=True).distinct())
