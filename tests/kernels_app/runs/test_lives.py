from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kernels_app.runs.lives import Announce, End, EndCause, Life, Stay, decide, duration, end_reason

BEGAN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HOUR = 3600


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def life(**changes: Any) -> Life:
    """One that was last used when it began."""
    fields: dict[str, Any] = {"began_at": BEGAN, "used_at": BEGAN, "is_busy": False}
    return Life(**{**fields, **changes})


def test_without_limits_a_kernel_stays_for_ever() -> None:
    assert decide(life(), at(1e6)) == Stay()


def test_an_idle_kernel_is_announced_five_minutes_before_and_then_ends() -> None:
    idle = life(idle_timeout_s=HOUR)
    assert decide(idle, at(54.9)) == Stay()
    assert decide(idle, at(55)) == Announce(at(60), EndCause.IDLE)
    told = life(idle_timeout_s=HOUR, ends_at=at(60), end_cause=EndCause.IDLE)
    assert decide(told, at(59.9)) == Announce(at(60), EndCause.IDLE)
    assert decide(told, at(60)) == End(EndCause.IDLE)


def test_a_short_limit_warns_for_its_second_half() -> None:
    idle = life(idle_timeout_s=60)
    assert decide(idle, at(0.4)) == Stay()
    assert decide(idle, at(0.5)) == Announce(at(1), EndCause.IDLE)


def test_a_busy_kernel_is_not_ended_for_want_of_use() -> None:
    assert decide(life(idle_timeout_s=HOUR, is_busy=True), at(600)) == Stay()
    told = life(idle_timeout_s=HOUR, is_busy=True, ends_at=at(60), end_cause=EndCause.IDLE)
    assert decide(told, at(60)) == Stay()


def test_use_takes_the_announcement_back() -> None:
    told = life(idle_timeout_s=HOUR, used_at=at(57), ends_at=at(60), end_cause=EndCause.IDLE)
    assert decide(told, at(60)) == Stay()
    assert decide(told, at(112)) == Announce(at(117), EndCause.IDLE)


def test_nobody_is_ended_unwarned_when_the_limit_was_lowered_or_nobody_looked() -> None:
    """The worker was away for a day, or an administrator has just set the limit."""
    assert decide(life(idle_timeout_s=HOUR), at(1440)) == Announce(at(1445), EndCause.IDLE)


def test_a_raised_limit_puts_the_end_off() -> None:
    told = life(idle_timeout_s=2 * HOUR, ends_at=at(60), end_cause=EndCause.IDLE)
    assert decide(told, at(60)) == Stay()
    assert decide(told, at(116)) == Announce(at(120), EndCause.IDLE)


def test_the_longest_life_ends_a_busy_kernel_too() -> None:
    old = life(max_life_s=HOUR, is_busy=True, used_at=at(59))
    assert decide(old, at(55)) == Announce(at(60), EndCause.LIFE)
    told = life(max_life_s=HOUR, is_busy=True, ends_at=at(60), end_cause=EndCause.LIFE)
    assert decide(told, at(60)) == End(EndCause.LIFE)


def test_the_earlier_end_is_told_and_a_new_cause_is_announced_anew() -> None:
    both = life(max_life_s=HOUR, idle_timeout_s=HOUR / 2, used_at=at(29))
    assert decide(both, at(55)) == Announce(at(60), EndCause.IDLE), "half an hour of idleness ends at 59"
    told_other = life(max_life_s=HOUR, ends_at=at(57), end_cause=EndCause.IDLE, is_busy=True)
    assert decide(told_other, at(58)) == Announce(at(63), EndCause.LIFE)


def test_a_drained_node_gives_its_people_five_minutes_at_least() -> None:
    assert decide(life(drain_at=at(60)), at(54)) == Stay()
    assert decide(life(drain_at=at(60)), at(59)) == Announce(at(64), EndCause.DRAIN)
    told = life(drain_at=at(60), is_busy=True, ends_at=at(64), end_cause=EndCause.DRAIN)
    assert decide(told, at(63)) == Announce(at(64), EndCause.DRAIN)
    assert decide(told, at(64)) == End(EndCause.DRAIN)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (45, "45 seconds"), (60, "1 minute"), (1200, "20 minutes"), (3600, "1 hour"),
     (5400, "1.5 hours"), (86_400, "1 day"), (259_200, "3 days")],
)  # fmt: skip
def test_limits_are_told_in_the_largest_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_every_cause_has_a_sentence_without_the_machine_s_words() -> None:
    assert end_reason(EndCause.IDLE, 7200) == "Stopped because nobody had used it for 2 hours."
    assert (
        end_reason(EndCause.LIFE, 86_400)
        == "Stopped because it had run for 1 day, the longest that is allowed."
    )
    assert end_reason(EndCause.DRAIN, None) == "Stopped because its host is being taken out of service."
