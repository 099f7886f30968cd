"""Which quotas count for whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.db.models import Q

from zasper_hub.accounts.models import QuotaSetting, Team, User
from zasper_hub.accounts.quotas import EffectiveQuota, EffectiveQuotas, Level, Quota, Setting, Value, resolve

# A person (None: nobody in particular) in a team (None: no team's own settings).
Place = tuple[int | None, int | None]


def site_defaults() -> Mapping[Quota, Value]:
    """What counts for the site where no administrator set anything: the environment's."""
    return cast("Mapping[Quota, Value]", settings.QUOTA_DEFAULTS)


def effective_quotas(user: User | None, team: Team | None) -> EffectiveQuotas:
    """What counts for the person in projects of the team; with neither, for the site. One query."""
    place = _place(user, team)
    return effective_quotas_of_many([place])[place]


def effective_quotas_of_many(places: Collection[Place]) -> dict[Place, EffectiveQuotas]:
    """As `effective_quotas`, for many `(user id, team id)` in one query."""
    found = _found(places)
    defaults = site_defaults()
    return {place: resolve(_settings_for(place, found), defaults) for place in places}


@dataclass(frozen=True, slots=True)
class ShownQuota:
    """One quota of the site, a team or a person, as somebody sees it who may set it at `level`.

    `inherited` is what would count without the own value; `bound` the most that may be set here (None: no bound).
    """

    quota: Quota
    level: Level
    own: Setting | None
    effective: EffectiveQuota
    inherited: EffectiveQuota
    bound: Value


def shown_quotas(level: Level, *, team: Team | None = None, person: User | None = None) -> list[ShownQuota]:
    """All quotas as they are set at a level, and count there; a person's in their personal team."""
    if level is Level.PERSON and person is not None:
        team = Team.objects.filter(personal_of=person).first()
    place = _place(person, team)
    there = list(_settings_for(place, _found([place])))
    effective = resolve(there, site_defaults())
    inherited = resolve([setting for setting in there if setting.level is not level], site_defaults())
    own = {setting.quota: setting for setting in there if setting.level is level}
    is_bounded = level in (Level.TEAM_OWN, Level.MEMBER)
    return [
        ShownQuota(
            quota=quota,
            level=level,
            own=own.get(quota),
            effective=effective[quota],
            inherited=inherited[quota],
            bound=effective[quota].given if is_bounded else None,
        )
        for quota in Quota
    ]


def setting_of(row: QuotaSetting) -> Setting:
    value = tuple(row.value) if isinstance(row.value, list) else row.value
    return Setting(Level(row.level), Quota(row.quota), value)


def _place(user: User | None, team: Team | None) -> Place:
    return (None if user is None else user.pk, None if team is None else team.pk)


def _found(places: Iterable[Place]) -> dict[Place, list[Setting]]:
    """The settings that may count at these places, by whom they are for."""
    user_ids = {user_id for user_id, _ in places if user_id is not None}
    team_ids = {team_id for _, team_id in places if team_id is not None}
    rows = QuotaSetting.objects.filter(
        Q(level=Level.SITE)
        | Q(level=Level.PERSON, person_id__in=user_ids)
        | Q(level__in=(Level.TEAM, Level.TEAM_OWN), team_id__in=team_ids)
        | Q(level=Level.MEMBER, person_id__in=user_ids, team_id__in=team_ids)
    )
    found: dict[Place, list[Setting]] = {}
    for row in rows:
        found.setdefault((row.person_id, row.team_id), []).append(setting_of(row))
    return found


def _settings_for(place: Place, found: Mapping[Place, list[Setting]]) -> Iterable[Setting]:
    user_id, team_id = place
    for key in {(None, None), (user_id, None), (None, team_id), place}:
        yield from found.get(key, [])
