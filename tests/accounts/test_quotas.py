"""Quotas, the pure rules: what may be set, and what of it counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zasper_hub.accounts.quotas import (
    DEFINITIONS,
    Kind,
    Level,
    Origin,
    Quota,
    Setting,
    Value,
    WrongQuota,
    checked_value,
    is_within,
    quota_named,
    resolve,
    stricter,
)

names = st.lists(st.sampled_from(["python3", "deno", "ir", "julia-1.11"]), unique=True).map(
    lambda found: tuple(sorted(found))
)


def values_of(quota: Quota) -> st.SearchStrategy[Value]:
    definition = DEFINITIONS[quota]
    if definition.kind is Kind.NAMES:
        return st.none() | names
    if definition.kind is Kind.COUNT:
        return st.none() | st.integers(int(definition.low), int(definition.high))
    return st.none() | st.floats(definition.low, definition.high)


settings_of_one_place = st.dictionaries(
    st.tuples(st.sampled_from(list(Quota)), st.sampled_from(list(Level))), st.none()
).flatmap(
    lambda places: st.tuples(
        *(st.builds(Setting, st.just(level), st.just(quota), values_of(quota)) for quota, level in places)
    )
)


@given(settings_of_one_place)
def test_the_most_specific_setting_of_an_administrator_counts(found: tuple[Setting, ...]) -> None:
    by_place = {(setting.quota, setting.level): setting.value for setting in found}
    effective = resolve(found, {Quota.MAX_KERNELS: 10})
    for quota in Quota:
        for level, origin in (
            (Level.PERSON, Origin.PERSON),
            (Level.TEAM, Origin.TEAM),
            (Level.SITE, Origin.SITE),
        ):
            if (quota, level) in by_place:
                expected, from_where = by_place[quota, level], origin
                break
        else:
            expected, from_where = 10 if quota is Quota.MAX_KERNELS else None, Origin.SITE
        assert effective[quota].given == expected
        if not {(quota, Level.MEMBER), (quota, Level.TEAM_OWN)} & set(by_place):
            assert (effective[quota].value, effective.origin(quota)) == (expected, from_where)


@given(settings_of_one_place)
def test_what_a_team_sets_itself_only_ever_narrows(found: tuple[Setting, ...]) -> None:
    for one in resolve(found, {}):
        assert is_within(one.value, one.given)
        if one.value != one.given:
            assert one.origin is Origin.TEAM


@given(settings_of_one_place, st.randoms())
def test_the_order_of_the_rows_changes_nothing(found: tuple[Setting, ...], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert list(resolve(found, {})) == list(resolve(shuffled, {}))


def test_no_limit_for_a_person_counts_over_a_limit_of_the_team() -> None:
    found = [Setting(Level.TEAM, Quota.MAX_KERNELS, 2), Setting(Level.PERSON, Quota.MAX_KERNELS, None)]
    effective = resolve(found, {Quota.MAX_KERNELS: 10})
    assert effective.count(Quota.MAX_KERNELS) is None
    assert effective.origin(Quota.MAX_KERNELS) is Origin.PERSON


def test_a_member_may_get_more_than_the_team_s_own_default_but_not_more_than_was_given() -> None:
    found = [
        Setting(Level.TEAM, Quota.MAX_KERNELS, 5),
        Setting(Level.TEAM_OWN, Quota.MAX_KERNELS, 1),
        Setting(Level.MEMBER, Quota.MAX_KERNELS, 4),
    ]
    assert resolve(found, {}).count(Quota.MAX_KERNELS) == 4
    found[2] = Setting(Level.MEMBER, Quota.MAX_KERNELS, 40)
    assert resolve(found, {}).count(Quota.MAX_KERNELS) == 5


@given(st.sampled_from(list(Quota)).flatmap(lambda quota: st.tuples(values_of(quota), values_of(quota))))
def test_the_stricter_of_two_allows_no_more_than_either(pair: tuple[Value, Value]) -> None:
    both = stricter(*pair)
    assert is_within(both, pair[0])
    assert is_within(both, pair[1])
    assert both == stricter(*reversed(pair))


@given(st.sampled_from(list(Quota)).flatmap(lambda quota: st.tuples(st.just(quota), values_of(quota))))
def test_what_is_within_bounds_is_taken_as_it_is(pair: tuple[Quota, Value]) -> None:
    quota, value = pair
    assert checked_value(quota, value) == value


@pytest.mark.parametrize(
    "value",
    [-1, -0.5, 1e300, math.nan, math.inf, -math.inf, True, False, "3", "", [], ["python3"], {}, {"limit": 3}],
)
@pytest.mark.parametrize("quota", [quota for quota in Quota if quota is not Quota.KERNELSPECS])
def test_what_is_no_limit_is_refused_in_a_sentence(quota: Quota, value: object) -> None:
    with pytest.raises(WrongQuota, match=rf"{quota} must be"):
        checked_value(quota, value)


@pytest.mark.parametrize(
    "value", [3, "python3", [1], [""], ["a/b"], ["a" * 101], ["x"] * 201, [None], {}, True]
)
def test_what_is_no_list_of_kernelspecs_is_refused(value: object) -> None:
    with pytest.raises(WrongQuota):
        checked_value(Quota.KERNELSPECS, value)


@pytest.mark.parametrize(
    ("quota", "value"),
    [
        (Quota.MAX_KERNELS, 10_001),
        (Quota.MAX_KERNELS, 2.5),
        (Quota.KERNEL_MEMORY_BYTES, 1),
        (Quota.KERNEL_MEMORY_BYTES, 10**18),
        (Quota.KERNEL_PROCESSES, 1),
        (Quota.KERNEL_CPU_CORES, 0.01),
        (Quota.IDLE_TIMEOUT_S, 1),
        (Quota.MAX_LIFE_S, 10**10),
    ],
)
def test_limits_that_would_break_every_kernel_are_refused(quota: Quota, value: float) -> None:
    with pytest.raises(WrongQuota):
        checked_value(quota, value)


@given(st.text() | st.integers() | st.none())
def test_a_quota_that_does_not_exist_is_refused_and_those_there_are_named(name: object) -> None:
    if name in list(Quota):
        return
    with pytest.raises(WrongQuota, match="max_kernels"):
        quota_named(name)
