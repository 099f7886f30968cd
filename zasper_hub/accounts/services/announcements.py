"""What administrators tell everybody: made, changed, ended."""

from __future__ import annotations

import unicodedata
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from zasper_hub.accounts.errors import Invalid, NotFound
from zasper_hub.accounts.models import Announcement, User
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.page_hints import hint_announcements
from zasper_hub.accounts.versions import check_version, version_of

MAX_TEXT_LENGTH = 500


def current_announcements(now: datetime) -> QuerySet[Announcement]:
    """Those that hold now, the gravest kind last begun first."""
    not_over = Q(ends_at=None) | Q(ends_at__gt=now)
    return Announcement.objects.filter(not_over, starts_at__lte=now).order_by("-starts_at", "-pk")


@transaction.atomic
def make_announcement(
    *, actor: User, text: str, level: str, starts_at: datetime | None = None, ends_at: datetime | None = None
) -> Announcement:
    """Raises Invalid: the text, or it would end before it begins."""
    announcement = Announcement(
        text=clean_text(text),
        level=level,
        starts_at=starts_at or timezone.now(),
        ends_at=ends_at,
        created_by=actor,
    )
    _check_times(announcement)
    announcement.save()
    _note("announcement_made", announcement, actor)
    return announcement


@transaction.atomic
def change_announcement(
    announcement_id: int, changes: dict[str, object], *, actor: User, version: str | None = None
) -> Announcement:
    """The announcement with these of its fields changed: text, level, starts_at, ends_at.

    Raises:
        NotFound, Invalid. Conflict: it changed since the caller looked.
    """
    announcement = _locked(announcement_id)
    check_version(version, announcement_version(announcement))
    for name, value in changes.items():
        setattr(announcement, name, clean_text(str(value)) if name == "text" else value)
    _check_times(announcement)
    announcement.save()
    _note("announcement_changed", announcement, actor)
    return announcement


@transaction.atomic
def end_announcement(announcement_id: int, *, actor: User) -> Announcement:
    """Ends it now, whether it has begun or not; one that is over stays as it is. Raises NotFound."""
    announcement = _locked(announcement_id)
    now = timezone.now()
    if announcement.ends_at is None or announcement.ends_at > now:
        announcement.ends_at = now
        announcement.starts_at = min(announcement.starts_at, now)
        announcement.save(update_fields=["starts_at", "ends_at"])
        _note("announcement_ended", announcement, actor)
    return announcement


@transaction.atomic
def delete_announcement(announcement_id: int, *, actor: User) -> None:
    """Raises NotFound."""
    announcement = _locked(announcement_id)
    _note("announcement_deleted", announcement, actor)
    announcement.delete()


def announcement_version(announcement: Announcement) -> str:
    return version_of(announcement.text, announcement.level, announcement.starts_at, announcement.ends_at)


def clean_text(text: str) -> str:
    """Plain text: lines stay lines. Raises Invalid."""
    lines = [" ".join(line.split()) for line in unicodedata.normalize("NFC", text).strip().splitlines()]
    cleaned = "\n".join(lines)
    if not cleaned:
        raise Invalid("Write what you want to tell everybody.", field="text")
    if len(cleaned) > MAX_TEXT_LENGTH:
        raise Invalid(f"An announcement has at most {MAX_TEXT_LENGTH} characters.", field="text")
    if any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn") for character in cleaned.replace("\n", "")
    ):
        raise Invalid("The text has characters that cannot be shown.", field="text")
    return cleaned


def _locked(announcement_id: int) -> Announcement:
    found = Announcement.objects.select_for_update().filter(pk=announcement_id).first()
    if found is None:
        raise NotFound("There is no such announcement.")
    return found


def _check_times(announcement: Announcement) -> None:
    if announcement.ends_at is not None and announcement.ends_at <= announcement.starts_at:
        raise Invalid("The announcement would end before it begins.", field="ends_at")


def _note(action: str, announcement: Announcement, actor: User) -> None:
    audit.record(action, actor=actor, target=f"announcement:{announcement.pk}", level=announcement.level)
    hint_announcements()
