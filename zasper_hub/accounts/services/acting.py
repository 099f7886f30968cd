"""Administrators who act as a person: begun, ended, and told to that person."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from zasper_hub.accounts.acting import ACT_FOR, is_going_on, may_act_as
from zasper_hub.accounts.errors import Forbidden, Yourself
from zasper_hub.accounts.models import ActingPeriod, User
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.access_changes import note_access_change
from zasper_hub.accounts.services.page_hints import hint_person


@transaction.atomic
def begin_acting(
    administrator: User, person: User, *, reason: str = "", address: str | None = None
) -> ActingPeriod:
    """A period in which the administrator acts as the person; an earlier one of theirs ends.

    Raises:
        Yourself. Forbidden: the person is an administrator of the hub, or disabled.
    """
    if person.pk == administrator.pk:
        raise Yourself("You are yourself already.")
    if not may_act_as(administrator, person):
        raise Forbidden("You can act as people who are not administrators and whose account is not disabled.")
    for period in ActingPeriod.objects.filter(administrator=administrator, ended_at=None):
        end_acting(period)
    now = timezone.now()
    period = ActingPeriod.objects.create(
        administrator=administrator,
        administrator_name=administrator.username,
        person=person,
        reason=reason,
        started_at=now,
        ends_at=now + ACT_FOR,
    )
    audit.record(
        "acting_started",
        actor=administrator,
        target=f"user:{person.pk}",
        address=address,
        username=person.username,
        reason=reason,
    )
    # What the administrator has open as themselves closes; the person's pages show it.
    note_access_change([administrator.pk])
    hint_person(person.pk)
    return period


@transaction.atomic
def end_acting(period: ActingPeriod) -> None:
    """Ends a period; harmless when it is over."""
    now = timezone.now()
    was_going_on = is_going_on(period, now)
    ended = ActingPeriod.objects.filter(pk=period.pk, ended_at=None).update(ended_at=min(now, period.ends_at))
    if not ended:
        return
    if was_going_on:
        audit.record(
            "acting_ended",
            actor=period.administrator,
            target=f"user:{period.person_id}",
            username=period.person.username,
        )
    note_access_change([period.person_id])
    hint_person(period.person_id)


def periods_of(person: User) -> QuerySet[ActingPeriod]:
    """When administrators acted as the person, newest first."""
    return ActingPeriod.objects.filter(person=person).order_by("-started_at", "-pk")


def periods_now(person: User) -> QuerySet[ActingPeriod]:
    return periods_of(person).filter(ended_at=None, ends_at__gt=timezone.now())
