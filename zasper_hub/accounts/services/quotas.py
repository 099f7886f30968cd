"""Setting quotas: for the site, a team, a person; and, by a team's administrators, for less within their team."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction

from zasper_hub.accounts.errors import Forbidden, Invalid
from zasper_hub.accounts.models import QuotaSetting, Team, User
from zasper_hub.accounts.quotas import (
    DEFINITIONS,
    Level,
    Quota,
    Value,
    WrongQuota,
    checked_value,
    is_within,
    quota_named,
)
from zasper_hub.accounts.selectors.quotas import effective_quotas, setting_of
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.signals import quotas_changed


def set_quota(
    level: Level,
    quota: Quota,
    value: object,
    *,
    actor: User | None,
    team: Team | None = None,
    person: User | None = None,
) -> None:
    """As `set_quotas`, of one quota."""
    set_quotas(level, {quota.value: value}, actor=actor, team=team, person=person)


@transaction.atomic
def set_quotas(
    level: Level,
    values: Mapping[str, object],
    *,
    actor: User | None,
    unset: Collection[str] = (),
    team: Team | None = None,
    person: User | None = None,
    address: str | None = None,
) -> None:
    """Sets limits at one level and takes others away, all of it or nothing; each change is in the audit log.

    Raises:
        Invalid: a name or value is none; `details.fields` has a sentence for each.
        Forbidden: what a team's administrators set is more than the team was given.
    """
    changes = _checked(values, unset)
    if level in (Level.TEAM_OWN, Level.MEMBER):
        _check_within_team(changes, team)
    # Two administrators who change the same at once: the second one waits, and finds what the first one left.
    rows = QuotaSetting.objects.select_for_update(no_key=True).filter(
        level=level.value, team=team, person=person
    )
    before = {setting.quota: setting.value for setting in map(setting_of, rows)}
    changed: set[Quota] = set()
    for quota, value in changes.items():
        if quota in before and before[quota] == value:
            continue
        QuotaSetting.objects.update_or_create(
            level=level.value, team=team, person=person, quota=quota.value,
            defaults={"value": list(value) if isinstance(value, tuple) else value, "changed_by": actor},
        )  # fmt: skip
        _note(level, quota, before, value, actor, team, person, address)
        changed.add(quota)
    for quota in {quota_named(name) for name in unset} & set(before):
        QuotaSetting.objects.filter(level=level.value, team=team, person=person, quota=quota.value).delete()
        _note(level, quota, before, "unset", actor, team, person, address)
        changed.add(quota)
    if changed:
        quotas_changed.send(sender=QuotaSetting, quotas=frozenset(changed), team=team, person=person)


def _checked(values: Mapping[str, object], unset: Collection[str]) -> dict[Quota, Value]:
    changes: dict[Quota, Value] = {}
    problems: dict[str, str] = {}
    for name, value in values.items():
        try:
            quota = quota_named(name)
            changes[quota] = checked_value(quota, value)
        except WrongQuota as error:
            problems[name[:50]] = str(error)
    for name in unset:
        try:
            if quota_named(name) in changes:
                problems[name[:50]] = f"{name[:50]} cannot be set and unset at once."
        except WrongQuota as error:
            problems[name[:50]] = str(error)
    if problems:
        raise Invalid(next(iter(problems.values())), fields=problems)
    return changes


def _check_within_team(changes: Mapping[Quota, Value], team: Team | None) -> None:
    given = effective_quotas(None, team)
    for quota, value in changes.items():
        bound = given[quota].given
        if not is_within(value, bound):
            raise Forbidden(
                f"{DEFINITIONS[quota].title}: your team may have at most {_shown(bound)}. "
                f"An administrator of the hub can give it more.",
                quota=quota.value,
                limit=bound,
            )


def _note(
    level: Level,
    quota: Quota,
    before: Mapping[Quota, Value],
    value: Value | str,
    actor: User | None,
    team: Team | None,
    person: User | None,
    address: str | None,
) -> None:
    details: dict[str, Any] = {
        "level": level.value,
        "quota": quota.value,
        "old": before.get(quota, "unset"),
        "new": value,
    }
    if team is not None and person is not None:
        details["team"] = team.slug
    target = (
        f"user:{person.pk}"
        if person is not None
        else f"team:{team.slug}"
        if team is not None
        else "site:quotas"
    )
    audit.record("quota_changed", actor=actor, target=target, address=address, **details)


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return (
        "as much as there is" if value is None else f"{value:g}" if isinstance(value, float) else f"{value:,}"
    )
