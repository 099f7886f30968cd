"""Limits of tries from one address."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from tests.accounts.test_sign_in import sign_in
from tests.cast import Cast
from zasper_hub.accounts.adapters import AccountAdapter
from zasper_hub.accounts.throttling import FAILED_SIGN_INS, Limit, counted_address

LIMIT = Limit("tests", 10)


def test_so_many_are_let_through_in_a_period_and_more_later() -> None:
    for _ in range(10):
        assert not LIMIT.is_reached("10.0.0.1", 600.0)
        LIMIT.note("10.0.0.1", 600.0)
    assert LIMIT.is_reached("10.0.0.1", 600.0)
    assert LIMIT.is_reached("10.0.0.1", 659.0)
    assert not LIMIT.is_reached("10.0.0.2", 600.0)
    # The window slides: half a period later in the next one, half of them count.
    assert not LIMIT.is_reached("10.0.0.1", 690.0)
    for _ in range(5):
        LIMIT.note("10.0.0.1", 690.0)
    assert LIMIT.is_reached("10.0.0.1", 690.0)
    assert not LIMIT.is_reached("10.0.0.1", 900.0)


@pytest.mark.parametrize(("tries", "tried_at_s", "now_s"), [(10, 630, 640), (10, 630, 661), (25, 600, 659)])
def test_who_has_waited_as_told_is_let_through(tries: int, tried_at_s: float, now_s: float) -> None:
    limit = Limit(f"wait-{tries}-{now_s}", 10)
    assert limit.wait_s("x", now_s) == 0
    for _ in range(tries):
        limit.note("x", tried_at_s)
    wait_s = limit.wait_s("x", now_s)
    assert limit.is_reached("x", now_s) is (wait_s > 0)
    assert not limit.is_reached("x", now_s + wait_s)
    assert wait_s < 2 or limit.is_reached("x", now_s + wait_s - 2)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("", "unknown"),
        ("nonsense; DROP", "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str, counted: str) -> None:
    assert counted_address(RequestFactory().get("/", REMOTE_ADDR=address)) == counted


def test_who_waits_for_an_answer_has_not_failed(cast: Cast) -> None:
    adapter, request = AccountAdapter(), RequestFactory().post("/accounts/login/", REMOTE_ADDR="10.0.0.9")
    for number in range(200):  # all at once: none of them is answered yet
        adapter.pre_authenticate(request, username=f"name-{number}", password="x")
    assert sign_in(Client(REMOTE_ADDR="10.0.0.9")).status_code == 302


def test_failures_are_counted_however_many_succeed_in_between(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zasper_hub.accounts.adapters.clock_s", lambda: 6_000.0)
    statuses = []
    for number in range(FAILED_SIGN_INS.count + 1):
        statuses.append(sign_in(Client(), username=f"name-{number}").status_code)
        if number % 10 == 0 and number < FAILED_SIGN_INS.count:
            assert sign_in(Client(), username="bob").status_code == 302
    assert statuses.count(422) == FAILED_SIGN_INS.count
    assert statuses[-1] == 429
