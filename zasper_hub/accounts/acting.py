"""An administrator's sign-in that acts as another person: whom it stands for now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from zasper_hub.accounts.errors import ActingEnded
from zasper_hub.accounts.models import ActingPeriod, User

ACT_FOR = timedelta(hours=1)
SESSION_KEY = "acting_period"  # in the administrator's own sign-in: it ends with that, whatever ends it
# Addresses that programs ask, not people: what they are answered must not change persons unnoticed.
_PROGRAMS = ("/api/", "/jupyter/")


def person_acted_as(session: SessionBase, administrator: User) -> User | None:
    """The person this sign-in stands for, with `acted_by` and `acting_until`; None when it acts as nobody.

    Raises:
        ActingEnded: it acted as somebody, and may not any more.
    """
    period_id = session.get(SESSION_KEY)
    if period_id is None:
        return None
    period = (
        ActingPeriod.objects.select_related("person")
        .filter(pk=period_id, administrator=administrator)
        .first()
    )
    if (
        period is None
        or not is_going_on(period, timezone.now())
        or not may_act_as(administrator, period.person)
    ):
        raise ActingEnded
    person = period.person
    person.acted_by = administrator
    person.acting_until = period.ends_at
    return person


def may_act_as(administrator: User, person: User) -> bool:
    """Whether it is an administrator of the hub and somebody else who is none."""
    return (
        administrator.is_active
        and administrator.is_staff
        and person.is_active
        and not (person.is_staff or person.is_superuser)
        and person.pk != administrator.pk
    )


def is_going_on(period: ActingPeriod, now: datetime) -> bool:
    return period.ended_at is None and now < period.ends_at


class ActingAs:
    """Middleware after Django's own authentication: `request.user` is the person acted as.

    When the time is over, programs are told so (`request.acting_has_ended`, read by authentication); a page that is
    loaded is the administrator's again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if SESSION_KEY in request.session and isinstance(request.user, User):
            try:
                request.user = person_acted_as(request.session, request.user) or request.user
            except ActingEnded:
                if request.method == "GET" and not request.path_info.startswith(_PROGRAMS):
                    del request.session[SESSION_KEY]
                else:
                    request.user = AnonymousUser()
                    request.acting_has_ended = True  # type: ignore[attr-defined]  # read by `authentication`
        return self.get_response(request)
