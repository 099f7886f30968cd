"""Admin API: the audit log, in parts and as a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import AwareDatetime

from notebooks_app.api.downloads import bytes_response
from notebooks_app.models import Document, Project
from zasper_hub.accounts.models import AuditEvent, User
from zasper_hub.accounts.paging import Filter, PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import Reach, reach_of
from zasper_hub.accounts.selectors.audit import audit_actions, audit_events
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.spreadsheet_text import csv_lines
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["administration"])

_ANY = needs(Need.ADMINISTRATION, Scope.ADMIN)
_AT_ONCE = 1_000  # rows of a file that are in memory
COLUMNS = (
    "at", "actor", "acting_administrator", "action", "target_kind", "target_id", "team", "address", "details",
)  # fmt: skip


class AuditFilters(PageIn):
    actor: Filter = ""
    action: Filter = ""
    target: Filter = ""
    team: Filter = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class TargetOut(Schema):
    kind: str
    id: str
    name: str | None


class AuditEventOut(Schema):
    id: int
    at: datetime
    actor: str | None
    acting_administrator: str | None
    action: str
    target: TargetOut
    team: str | None
    details: dict[str, Any]
    address: str | None


@router.get("/admin/audit", response=PageOut[AuditEventOut], auth=_ANY)
def list_events(request: HttpRequest, page: Query[AuditFilters]) -> Part:
    events = _events(reach_of(caller_of(request).user), page)
    return part_of(events, page, sorts={"at": "at"}, default="-at", shape=_shaped)


@router.get("/admin/audit/actions", response=list[str], auth=_ANY)
def list_actions(request: HttpRequest) -> list[str]:
    return audit_actions(reach_of(caller_of(request).user))


@router.get("/admin/audit.csv", auth=_ANY, include_in_schema=False)
def download(request: HttpRequest, page: Query[AuditFilters]) -> HttpResponseBase:
    """All events that match, newest first, in parts: the log may be longer than the memory."""
    reach = reach_of(caller_of(request).user)
    audit.record("audit_downloaded", actor=reach.user, address=audit.address_of(request))
    return bytes_response(
        _parts(_events(reach, page)),
        content_type="text/csv",
        name=f"audit-{timezone.now():%Y-%m-%d}.csv",
        as_attachment=True,
        size_bytes=None,
    )


def _events(reach: Reach, page: AuditFilters) -> QuerySet[AuditEvent]:
    return audit_events(
        reach,
        actor=page.actor,
        action=page.action,
        target=page.target,
        team=page.team,
        since=page.since,
        until=page.until,
        search=page.search,
    )


async def _parts(events: QuerySet[AuditEvent]) -> AsyncIterator[bytes]:
    # A byte order mark: without it Excel takes UTF-8 for something else.
    yield ("\ufeff" + csv_lines([COLUMNS])).encode()
    before: int | None = None
    while True:
        rows = await database_sync_to_async(_next)(events, before)
        if not rows:
            return
        yield csv_lines(map(_cells, rows)).encode("utf-8", "replace")
        before = rows[-1].pk


def _next(events: QuerySet[AuditEvent], before: int | None) -> list[AuditEvent]:
    older = events if before is None else events.filter(pk__lt=before)
    return list(older.order_by("-pk")[:_AT_ONCE])


def _cells(event: AuditEvent) -> Iterable[object]:
    kind, _, key = event.target.partition(":")
    return (
        event.at.isoformat(),
        event.actor_name,
        event.acted_by_name,
        event.action,
        kind,
        key,
        event.team.slug if event.team else "",
        event.address,
        json.dumps(event.details, ensure_ascii=False, sort_keys=True),
    )


def _shaped(events: list[AuditEvent]) -> list[dict[str, Any]]:
    names = _names_of({event.target for event in events})
    return [
        {
            "id": event.pk,
            "at": event.at,
            "actor": event.actor_name or None,
            "acting_administrator": event.acted_by_name or None,
            "action": event.action,
            "target": {
                "kind": event.target.partition(":")[0],
                "id": event.target.partition(":")[2],
                "name": names.get(event.target) or event.details.get("username"),
            },
            "team": event.team.slug if event.team else None,
            "details": event.details,
            "address": event.address,
        }
        for event in events
    ]


def _names_of(targets: set[str]) -> dict[str, str]:
    """What the targets are called now; those that are gone have no name."""
    keys: dict[str, set[str]] = {}
    for target in targets:
        kind, _, key = target.partition(":")
        keys.setdefault(kind, set()).add(key)
    names = {
        f"user:{pk}": name
        for pk, name in User.objects.filter(
            pk__in=[int(key) for key in keys.get("user", ()) if key.isdecimal()]
        ).values_list("pk", "username")
    }
    for kind, rows in (
        ("project", Project.objects.values_list("pk", "name")),
        ("document", Document.objects.values_list("pk", "path")),
    ):
        found = rows.filter(pk__in=[pk for key in keys.get(kind, ()) if (pk := _uuid(key))])
        names.update({f"{kind}:{pk}": name for pk, name in found})
    return names


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
