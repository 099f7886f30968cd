"""Hub API: announcements, for everybody and for the administrators who make them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, StringConstraints

from zasper_hub.accounts.models import Announcement
from zasper_hub.accounts.paging import PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.services import announcements as services
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["announcements"])

_HUB = needs(Need.STAFF, Scope.ADMIN)
_PATH = "/admin/announcements/{int:announcement_id}"
_SHOWN = 20  # to everybody; nobody reads more

Level = Literal["info", "warning", "urgent"]
Text = Annotated[str, StringConstraints(max_length=2000)]  # what is kept is bounded in the service


class AnnouncementOut(Schema):
    id: int
    text: str
    level: Level


class AdminAnnouncementOut(AnnouncementOut):
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None
    is_current: bool
    created_by: str | None
    created_at: AwareDatetime
    version: str


class AnnouncementIn(Schema):
    text: Text
    level: Level = "info"
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class AnnouncementChange(Schema):
    text: Text | None = None
    level: Level | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    version: Annotated[str, StringConstraints(max_length=64)] | None = None


class AnnouncementsPage(PageIn):
    state: Literal["", "current", "future", "past"] = ""


@router.get("/announcements", response=list[AnnouncementOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def list_current(request: HttpRequest) -> list[Announcement]:
    return list(services.current_announcements(timezone.now())[:_SHOWN])


@router.get("/admin/announcements", response=PageOut[AdminAnnouncementOut], auth=_HUB)
def list_all(request: HttpRequest, page: Query[AnnouncementsPage]) -> Part:
    now = timezone.now()
    rows = Announcement.objects.select_related("created_by")
    match page.state:
        case "current":
            rows = rows.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now)
        case "future":
            rows = rows.filter(starts_at__gt=now)
        case "past":
            rows = rows.filter(ends_at__lte=now)
        case _:
            pass
    if page.search:
        rows = rows.filter(text__icontains=page.search)
    sorts = {"starts_at": "starts_at", "ends_at": "ends_at", "created_at": "created_at"}
    return part_of(rows, page, sorts=sorts, default="-starts_at", shape=lambda found: [*map(_shaped, found)])


@router.post("/admin/announcements", response={201: AdminAnnouncementOut}, auth=_HUB)
def make(request: HttpRequest, body: AnnouncementIn) -> Status[dict[str, Any]]:
    made = services.make_announcement(
        actor=caller_of(request).user,
        text=body.text,
        level=body.level,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
    )
    return Status(201, _shaped(made))


@router.patch(_PATH, response=AdminAnnouncementOut, auth=_HUB)
def change(request: HttpRequest, announcement_id: int, body: AnnouncementChange) -> dict[str, Any]:
    changes = body.model_dump(exclude_unset=True, exclude={"version"})
    # `ends_at: null` takes the end away; the others have no "none".
    kept = {name: value for name, value in changes.items() if value is not None or name == "ends_at"}
    actor = caller_of(request).user
    return _shaped(services.change_announcement(announcement_id, kept, actor=actor, version=body.version))


@router.post(f"{_PATH}/end", response=AdminAnnouncementOut, auth=_HUB)
def end(request: HttpRequest, announcement_id: int) -> dict[str, Any]:
    return _shaped(services.end_announcement(announcement_id, actor=caller_of(request).user))


@router.delete(_PATH, response={204: None}, auth=_HUB)
def delete(request: HttpRequest, announcement_id: int) -> Status[None]:
    services.delete_announcement(announcement_id, actor=caller_of(request).user)
    return Status(204, None)


def _shaped(row: Announcement) -> dict[str, Any]:
    now = timezone.now()
    return {
        "id": row.pk,
        "text": row.text,
        "level": row.level,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "is_current": row.starts_at <= now and (row.ends_at is None or row.ends_at > now),
        "created_by": None if row.created_by is None else row.created_by.username,
        "created_at": row.created_at,
        "version": services.announcement_version(row),
    }
