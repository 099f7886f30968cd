"""When a kernel is to end because nobody uses it, because it has lived long enough, or because its node goes. Pure.

A person is always warned before: `NOTICE` ahead, or half the limit where that is shorter. Who warns keeps what it said
(`Life.ends_at`), so that a kernel never ends earlier than was announced, whatever is decided anew meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

NOTICE = timedelta(minutes=5)


class EndCause(StrEnum):
    IDLE = "idle"
    LIFE = "life"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a kernel. None: no such limit, or nothing announced."""

    began_at: datetime
    used_at: datetime
    is_busy: bool  # something runs or waits to run in it, or it is not ready
    idle_timeout_s: float | None = None
    max_life_s: float | None = None
    drain_at: datetime | None = None
    ends_at: datetime | None = None
    end_cause: EndCause | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing is due; what was announced does not hold any more."""


@dataclass(frozen=True, slots=True)
class Announce:
    """It is to end at that time, unless what causes it changes."""

    ends_at: datetime
    cause: EndCause


@dataclass(frozen=True, slots=True)
class End:
    cause: EndCause


Decision = Stay | Announce | End


def decide(life: Life, now: datetime) -> Decision:
    """What is to happen to the kernel now."""
    due = min(_dues(life), default=None, key=lambda item: item[0])
    if due is None:
        return Stay()
    due_at, cause, notice = due
    if now < due_at - notice:
        return Stay()
    if life.end_cause != cause or life.ends_at is None:
        return Announce(max(due_at, now + notice), cause)
    ends_at = max(life.ends_at, due_at)
    return End(cause) if now >= ends_at else Announce(ends_at, cause)


def end_reason(cause: EndCause, limit_s: float | None) -> str:
    """Why it ended, for a person."""
    match cause:
        case EndCause.IDLE:
            return f"Stopped because nobody had used it for {duration(limit_s or 0)}."
        case EndCause.LIFE:
            return f"Stopped because it had run for {duration(limit_s or 0)}, the longest that is allowed."
        case EndCause.DRAIN:
            return "Stopped because its host is being taken out of service."


def duration(seconds: float) -> str:
    """`45 seconds`, `20 minutes`, `2 hours`, `1.5 hours`, `3 days`."""
    for unit, unit_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= unit_s:
            count = round(seconds / unit_s, 1)
            return f"{count:g} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


def _dues(life: Life) -> list[tuple[datetime, EndCause, timedelta]]:
    dues: list[tuple[datetime, EndCause, timedelta]] = []
    if life.idle_timeout_s is not None and not life.is_busy:
        limit = timedelta(seconds=life.idle_timeout_s)
        dues.append((life.used_at + limit, EndCause.IDLE, min(NOTICE, limit / 2)))
    if life.max_life_s is not None:
        limit = timedelta(seconds=life.max_life_s)
        dues.append((life.began_at + limit, EndCause.LIFE, min(NOTICE, limit / 2)))
    if life.drain_at is not None:
        dues.append((life.drain_at, EndCause.DRAIN, NOTICE))
    return dues
