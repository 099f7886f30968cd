"""Hub API: quotas as administrators see and set them."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field, JsonValue, StringConstraints

from kernels_app.services.usage import figures_of
from zasper_hub.accounts.access import person_named, team_for_steward
from zasper_hub.accounts.errors import Invalid, NotFound
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.quotas import DEFINITIONS, EffectiveQuota, Level, Quota
from zasper_hub.accounts.selectors.quotas import ShownQuota, shown_quotas
from zasper_hub.accounts.services.audit import address_of
from zasper_hub.accounts.services.quotas import set_quotas
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["quotas"])

QuotaName = Annotated[str, StringConstraints(max_length=50)]
Limit = float | int | list[str] | None

_SITE = needs(Need.STAFF, Scope.ADMIN)
_TEAM = needs(Need.TEAM_STEWARD, Scope.MANAGE)


class OwnOut(Schema):
    value: Limit


class InheritedOut(Schema):
    value: Limit
    origin: str


class AdminQuotaOut(Schema):
    """One quota at one level. `own` null: nothing set here. A value of null: no limit."""

    quota: str
    title: str
    help: str
    unit: str
    kind: str
    minimum: float | None
    maximum: float | None
    level: str
    own: OwnOut | None
    effective: Limit
    origin: str
    inherited: InheritedOut
    bound: Limit
    used: float | None
    applies_to_running: bool


class QuotasIn(Schema):
    values: Annotated[dict[QuotaName, JsonValue], Field(max_length=50)] = {}
    unset: Annotated[list[QuotaName], Field(max_length=50)] = []


UnsetNames = Annotated[list[str], Query(max_length=50)]


@router.get("/admin/quotas", response=list[AdminQuotaOut], auth=_SITE)
def site_quotas(request: HttpRequest) -> list[dict[str, Any]]:
    return _shown(Level.SITE)


@router.put("/admin/quotas", response=list[AdminQuotaOut], auth=_SITE)
def set_site_quotas(request: HttpRequest, body: QuotasIn) -> list[dict[str, Any]]:
    return _set(request, body, Level.SITE)


@router.delete("/admin/quotas", response=list[AdminQuotaOut], auth=_SITE)
def unset_site_quotas(request: HttpRequest, quota: UnsetNames) -> list[dict[str, Any]]:
    return _set(request, QuotasIn(unset=quota), Level.SITE)


@router.get("/admin/teams/{slug:team_slug}/quotas", response=list[AdminQuotaOut], auth=_TEAM)
def team_quotas(request: HttpRequest, team_slug: str) -> list[dict[str, Any]]:
    user, team = _steward(request, team_slug)
    return _shown(_team_level(user), team=team)


@router.put("/admin/teams/{slug:team_slug}/quotas", response=list[AdminQuotaOut], auth=_TEAM)
def set_team_quotas(request: HttpRequest, team_slug: str, body: QuotasIn) -> list[dict[str, Any]]:
    """An administrator of the hub sets what the team may; one of the team asks for less within that."""
    user, team = _steward(request, team_slug)
    return _set(request, body, _team_level(user), team=team)


@router.delete("/admin/teams/{slug:team_slug}/quotas", response=list[AdminQuotaOut], auth=_TEAM)
def unset_team_quotas(request: HttpRequest, team_slug: str, quota: UnsetNames) -> list[dict[str, Any]]:
    user, team = _steward(request, team_slug)
    return _set(request, QuotasIn(unset=quota), _team_level(user), team=team)


_MEMBER = "/admin/teams/{slug:team_slug}/people/{str:username}/quotas"


@router.get(_MEMBER, response=list[AdminQuotaOut], auth=_TEAM)
def member_quotas(request: HttpRequest, team_slug: str, username: str) -> list[dict[str, Any]]:
    """What a member of the team may, in the team's projects."""
    team, person = _member(request, team_slug, username)
    return _shown(Level.MEMBER, team=team, person=person)


@router.put(_MEMBER, response=list[AdminQuotaOut], auth=_TEAM)
def set_member_quotas(
    request: HttpRequest, team_slug: str, username: str, body: QuotasIn
) -> list[dict[str, Any]]:
    team, person = _member(request, team_slug, username)
    return _set(request, body, Level.MEMBER, team=team, person=person)


@router.delete(_MEMBER, response=list[AdminQuotaOut], auth=_TEAM)
def unset_member_quotas(
    request: HttpRequest, team_slug: str, username: str, quota: UnsetNames
) -> list[dict[str, Any]]:
    team, person = _member(request, team_slug, username)
    return _set(request, QuotasIn(unset=quota), Level.MEMBER, team=team, person=person)


@router.get("/admin/people/{str:username}/quotas", response=list[AdminQuotaOut], auth=_SITE)
def person_quotas(request: HttpRequest, username: str) -> list[dict[str, Any]]:
    return _shown(Level.PERSON, person=person_named(username, or_disabled=True))


@router.put("/admin/people/{str:username}/quotas", response=list[AdminQuotaOut], auth=_SITE)
def set_person_quotas(request: HttpRequest, username: str, body: QuotasIn) -> list[dict[str, Any]]:
    return _set(request, body, Level.PERSON, person=person_named(username, or_disabled=True))


@router.delete("/admin/people/{str:username}/quotas", response=list[AdminQuotaOut], auth=_SITE)
def unset_person_quotas(request: HttpRequest, username: str, quota: UnsetNames) -> list[dict[str, Any]]:
    person = person_named(username, or_disabled=True)
    return _set(request, QuotasIn(unset=quota), Level.PERSON, person=person)


def _steward(request: HttpRequest, team_slug: str) -> tuple[User, Team]:
    user = caller_of(request).user
    return user, team_for_steward(user, team_slug)


def _member(request: HttpRequest, team_slug: str, username: str) -> tuple[Team, User]:
    _user, team = _steward(request, team_slug)
    membership = team.memberships.select_related("user").filter(user__username__iexact=username).first()
    if membership is None:
        raise NotFound("There is nobody of that name in this team.")
    return team, membership.user


def _team_level(user: User) -> Level:
    return Level.TEAM if user.is_staff else Level.TEAM_OWN


def _set(
    request: HttpRequest,
    body: QuotasIn,
    level: Level,
    *,
    team: Team | None = None,
    person: User | None = None,
) -> list[dict[str, Any]]:
    if not body.values and not body.unset:
        raise Invalid("Name at least one quota: in `values` with its limit, or in `unset`.")
    set_quotas(
        level,
        body.values,
        unset=body.unset,
        actor=caller_of(request).user,
        team=team,
        person=person,
        address=address_of(request),
    )
    return _shown(level, team=team, person=person)


def _shown(level: Level, *, team: Team | None = None, person: User | None = None) -> list[dict[str, Any]]:
    # What a person uses is counted over the whole hub: no matter of one team's administrators.
    used = figures_of(person) if person is not None and level is Level.PERSON else {}
    return [_row(shown, used.get(shown.quota)) for shown in shown_quotas(level, team=team, person=person)]


# What a changed limit does to kernels that run; the others count at the next start or write.
_APPLIED = frozenset(
    {
        Quota.KERNEL_MEMORY_BYTES,
        Quota.KERNEL_CPU_CORES,
        Quota.KERNEL_PROCESSES,
        Quota.IDLE_TIMEOUT_S,
        Quota.MAX_LIFE_S,
    }
)


def _row(shown: ShownQuota, used: float | None) -> dict[str, Any]:
    definition = DEFINITIONS[shown.quota]
    is_number = definition.high > 0
    return {
        "quota": shown.quota.value,
        "title": definition.title,
        "help": definition.help,
        "unit": definition.unit,
        "kind": definition.kind.value,
        "minimum": definition.low if is_number else None,
        "maximum": definition.high if is_number else None,
        "level": shown.level.value,
        "own": None if shown.own is None else {"value": shown.own.value},
        "effective": shown.effective.value,
        "origin": shown.effective.origin.value,
        "inherited": _inherited(shown.inherited),
        "bound": shown.bound,
        "used": used,
        "applies_to_running": shown.quota in _APPLIED,
    }


def _inherited(quota: EffectiveQuota) -> dict[str, Any]:
    return {"value": quota.value, "origin": quota.origin.value}
