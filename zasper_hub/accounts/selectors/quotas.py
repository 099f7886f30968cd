"""Which quotas count for whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import cast

from django.conf import settings
from django.db.models import Q

from zasper_hub.accounts.models import QuotaSetting, Team, User
from zasper_hub.accounts.quotas import EffectiveQuotas, Level, Quota, Setting, Value, resolve

# A person (None: nobody in particular) in a team (None: no team's own settings).
Place = tuple[int | None, int | None]


def site_defaults() -> Mapping[Quota, Value]:
    """What counts for the site where no administrator set anything: the environment's."""
    return cast("Mapping[Quota, Value]", settings.QUOTA_DEFAULTS)


def effective_quotas(user: User | None, team: Team | None) -> EffectiveQuotas:
    """What counts for the person in projects of the team; with neither, for the site. One query."""
    place = (None if user is None else user.pk, None if team is None else team.pk)
    return effective_quotas_of_many([place])[place]


def effective_quotas_of_many(places: Collection[Place]) -> dict[Place, EffectiveQuotas]:
    """As `effective_quotas`, for many `(user id, team id)` in one query."""
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
    defaults = site_defaults()
    return {place: resolve(_settings_for(place, found), defaults) for place in places}


def own_settings(level: Level, *, team: Team | None = None, person: User | None = None) -> dict[Quota, Value]:
    """What was set at exactly this level."""
    rows = QuotaSetting.objects.filter(level=level, team=team, person=person)
    return {setting.quota: setting.value for setting in map(setting_of, rows)}


def setting_of(row: QuotaSetting) -> Setting:
    value = tuple(row.value) if isinstance(row.value, list) else row.value
    return Setting(Level(row.level), Quota(row.quota), value)


def _settings_for(place: Place, found: Mapping[Place, list[Setting]]) -> Iterable[Setting]:
    user_id, team_id = place
    for key in {(None, None), (user_id, None), (None, team_id), place}:
        yield from found.get(key, [])
