"""What a quota is, what may be set, and which of several settings counts. Pure.

The site's administrators give limits: to everybody, to a team (for what runs in its projects), to a person. The most
specific one counts. Within what a team was given its administrators may ask for less, of all who work in the team or
of one of them: that only ever narrows. `None` is "no limit"; an empty list of kernelspecs is "none".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

Names = tuple[str, ...]
Value = int | float | Names | None

MIB: Final = 1 << 20
TIB: Final = 1 << 40
YEAR_S: Final = 366 * 86_400


class Quota(StrEnum):
    """The quotas there are; their values are the names in API and database."""

    MAX_KERNELS = "max_kernels"
    KERNEL_MEMORY_BYTES = "kernel_memory_bytes"
    TOTAL_MEMORY_BYTES = "total_memory_bytes"
    KERNEL_CPU_CORES = "kernel_cpu_cores"
    KERNEL_PROCESSES = "kernel_processes"
    IDLE_TIMEOUT_S = "idle_timeout_s"
    MAX_LIFE_S = "max_life_s"
    PROJECT_STORAGE_BYTES = "project_storage_bytes"
    PERSON_STORAGE_BYTES = "person_storage_bytes"
    COMPUTE_GIB_HOURS = "compute_gib_hours"
    KERNELSPECS = "kernelspecs"


class Level(StrEnum):
    """Whom a setting is for. `TEAM_OWN` and `MEMBER` are what a team's administrators set, within `TEAM`."""

    SITE = "site"
    TEAM = "team"
    PERSON = "person"
    TEAM_OWN = "team_own"
    MEMBER = "member"


class Origin(StrEnum):
    """Where an effective limit comes from, as it is shown."""

    SITE = "site"
    TEAM = "team"
    PERSON = "person"


_ORIGIN_OF_LEVEL: Final = {
    Level.SITE: Origin.SITE,
    Level.TEAM: Origin.TEAM,
    Level.PERSON: Origin.PERSON,
    Level.TEAM_OWN: Origin.TEAM,
    Level.MEMBER: Origin.TEAM,
}


class Kind(StrEnum):
    COUNT = "count"
    NUMBER = "number"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class Definition:
    """What people read about a quota, and what may be set. `low` and `high` are the least and most, in `unit`."""

    quota: Quota
    title: str
    unit: str
    help: str
    kind: Kind = Kind.COUNT
    low: float = 0
    high: float = 0


MAX_KERNELSPECS: Final = 200
_KERNELSPEC: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")

DEFINITIONS: Final[Mapping[Quota, Definition]] = {
    definition.quota: definition
    for definition in (
        Definition(
            Quota.MAX_KERNELS,
            "Kernels running at once",
            "kernels",
            "How many kernels a person may have at a time.",
            high=10_000,
        ),
        Definition(
            Quota.KERNEL_MEMORY_BYTES,
            "Memory of a kernel",
            "bytes",
            "A kernel that uses more is ended.",
            low=64 * MIB,
            high=64 * TIB,
        ),
        Definition(
            Quota.TOTAL_MEMORY_BYTES,
            "Memory of all kernels together",
            "bytes",
            "The sum of the memory limits of a person's running kernels.",
            low=64 * MIB,
            high=1024 * TIB,
        ),
        Definition(
            Quota.KERNEL_CPU_CORES,
            "Processor cores of a kernel",
            "cores",
            "A kernel that wants more is slowed down, not ended.",
            kind=Kind.NUMBER,
            low=0.1,
            high=4096,
        ),
        Definition(
            Quota.KERNEL_PROCESSES,
            "Processes and threads of a kernel",
            "processes",
            "A kernel cannot start more than this.",
            low=32,  # ipykernel with numpy's threads needs about twenty
            high=1_000_000,
        ),
        Definition(
            Quota.IDLE_TIMEOUT_S,
            "Idle kernels end after",
            "s",
            "A kernel in which nothing ran for so long is ended.",
            low=60,
            high=YEAR_S,
        ),
        Definition(
            Quota.MAX_LIFE_S,
            "Kernels end at the latest after",
            "s",
            "A kernel is ended after this, also while it computes.",
            low=300,
            high=YEAR_S,
        ),
        Definition(
            Quota.PROJECT_STORAGE_BYTES,
            "Storage of a project",
            "bytes",
            "Files, trash and large outputs of one project.",
            high=1024 * TIB,
        ),
        Definition(
            Quota.PERSON_STORAGE_BYTES,
            "Storage of all your projects",
            "bytes",
            "Files, trash and large outputs of all projects that a person owns.",
            high=1024 * TIB,
        ),
        Definition(
            Quota.COMPUTE_GIB_HOURS,
            "Computing budget",
            "GiB-hours",
            "Memory of kernels times the time they ran, over the last days.",
            kind=Kind.NUMBER,
            high=1e9,
        ),
        Definition(
            Quota.KERNELSPECS,
            "Kernels that may be started",
            "kernelspecs",
            "Names of the kernelspecs that may be used.",
            kind=Kind.NAMES,
        ),
    )
}


class WrongQuota(ValueError):
    """A value that cannot be a limit; the text is a sentence for a person."""


def quota_named(name: object) -> Quota:
    """Raises WrongQuota."""
    try:
        return Quota(name)  # type: ignore[arg-type]  # the call is the check
    except ValueError:
        shown = str(name)[:50]
        raise WrongQuota(f"There is no quota {shown!r}. There are: {', '.join(Quota)}.") from None


def checked_value(quota: Quota, value: object) -> Value:
    """The limit that `value`, as parsed from JSON, stands for; None is no limit.

    Raises:
        WrongQuota
    """
    definition = DEFINITIONS[quota]
    if value is None:
        return None
    if definition.kind is Kind.NAMES:
        return _checked_names(value)
    wanted = "a whole number" if definition.kind is Kind.COUNT else "a number"
    bounds = f"from {_shown(definition.low)} to {_shown(definition.high)} {definition.unit}"
    refusal = WrongQuota(f"{quota} must be {wanted} {bounds}, or null for no limit.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal
    if isinstance(value, float) and not math.isfinite(value):
        raise refusal
    if definition.kind is Kind.COUNT and value != int(value):
        raise refusal
    if not definition.low <= value <= definition.high:
        raise refusal
    return int(value) if definition.kind is Kind.COUNT else float(value)


def _checked_names(value: object) -> Names:
    if not isinstance(value, list | tuple) or len(value) > MAX_KERNELSPECS:
        raise WrongQuota(
            f"kernelspecs must be a list of at most {MAX_KERNELSPECS} names, or null for all kernelspecs."
        )
    for name in value:
        if not isinstance(name, str) or _KERNELSPEC.fullmatch(name) is None:
            raise WrongQuota(f"{str(name)[:50]!r} is no name of a kernelspec.")
    return tuple(sorted(set(value)))


def _shown(number: float) -> str:
    return f"{int(number)}" if number == int(number) else f"{number:g}"


def is_within(value: Value, bound: Value) -> bool:
    """Whether a limit allows no more than another."""
    return stricter(value, bound) == value


def stricter(first: Value, second: Value) -> Value:
    """The limit that holds when both do."""
    if first is None:
        return second
    if second is None:
        return first
    if isinstance(first, tuple) and isinstance(second, tuple):
        return tuple(name for name in first if name in second)
    assert not isinstance(first, tuple)
    assert not isinstance(second, tuple)
    return min(first, second)


@dataclass(frozen=True, slots=True)
class EffectiveQuota:
    """One limit that counts, and where it comes from. `given` is the site's word, before the team narrowed it."""

    quota: Quota
    value: Value
    origin: Origin
    given: Value = None


@dataclass(frozen=True)
class EffectiveQuotas:
    """All quotas of a person in a team, as they count."""

    quotas: Mapping[Quota, EffectiveQuota] = field(default_factory=dict)

    def __getitem__(self, quota: Quota) -> EffectiveQuota:
        return self.quotas[quota]

    def __iter__(self) -> Iterator[EffectiveQuota]:
        return iter(self.quotas.values())

    def origin(self, quota: Quota) -> Origin:
        return self.quotas[quota].origin

    def count(self, quota: Quota) -> int | None:
        """The limit of a quota that counts whole things: kernels, bytes, seconds, processes."""
        value = self.quotas[quota].value
        assert value is None or isinstance(value, int | float)
        return None if value is None else int(value)

    def number(self, quota: Quota) -> float | None:
        value = self.quotas[quota].value
        assert value is None or isinstance(value, int | float)
        return value

    def names(self, quota: Quota) -> Names | None:
        """The allow-list; None allows all."""
        value = self.quotas[quota].value
        assert value is None or isinstance(value, tuple)
        return value

    def allows(self, kernelspec_name: str) -> bool:
        allowed = self.names(Quota.KERNELSPECS)
        return allowed is None or kernelspec_name in allowed


@dataclass(frozen=True, slots=True)
class Setting:
    """One limit that somebody set."""

    level: Level
    quota: Quota
    value: Value


def resolve(settings: Iterable[Setting], defaults: Mapping[Quota, Value]) -> EffectiveQuotas:
    """What counts for one person in one team, of the settings that are for the site, that team and that person.

    `defaults` is what counts for the site where nobody set anything.
    """
    by_place = {(setting.quota, setting.level): setting.value for setting in settings}
    return EffectiveQuotas({quota: _resolve_one(quota, by_place, defaults.get(quota)) for quota in Quota})


def _resolve_one(
    quota: Quota, by_place: Mapping[tuple[Quota, Level], Value], default: Value
) -> EffectiveQuota:
    given, origin = default, Origin.SITE
    for level in (Level.PERSON, Level.TEAM, Level.SITE):
        if (quota, level) in by_place:
            given, origin = by_place[quota, level], _ORIGIN_OF_LEVEL[level]
            break
    for level in (Level.MEMBER, Level.TEAM_OWN):
        if (quota, level) in by_place:
            narrowed = stricter(given, by_place[quota, level])
            if narrowed != given:
                return EffectiveQuota(quota, narrowed, _ORIGIN_OF_LEVEL[level], given)
            break
    return EffectiveQuota(quota, given, origin, given)
