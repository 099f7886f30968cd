"""`POST api/kernels`: at once for most clients, when the kernel works for those of a gateway."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.jupyter import kernels as addresses
from kernels_app.models import Kernel, KernelState
from kernels_app.services.readiness import wait_until_started
from tests.cast import Cast
from tests.kernels_app.scripted_node import ScriptedNode
from tests.notebooks_app.jupyter.server import Server


@pytest.fixture
def bob(cast: Cast, hub_wire: MemoryStore) -> Server:
    ScriptedNode(hub_wire)
    return Server(cast, cast.bob)


class Clock:
    """Each sleep is a step of time, in which something happens."""

    def __init__(self, happens: Callable[[int], None] = lambda step: None) -> None:
        self.now_s = 0.0
        self.steps = 0
        self._happens = happens

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.steps += 1
        self._happens(self.steps)


def becomes(state: KernelState, *, at_step: int, reason: str = "") -> Clock:
    def happens(step: int) -> None:
        if step == at_step:
            Kernel.objects.update(state=state, reason=reason)

    return Clock(happens)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Clock], None]:
    def use(clock: Clock) -> None:
        waiting = partial(wait_until_started, now=clock.now, sleep=clock.sleep)
        monkeypatch.setattr(addresses, "wait_until_started", waiting)

    return use


@pytest.mark.parametrize("nonsense", ["soon", "nan", "-1", "", None, [40]])
def test_a_time_that_is_none_is_the_default(
    bob: Server, clocked: Callable[[Clock], None], nonsense: object
) -> None:
    clock = Clock()
    clocked(clock)
    answer = bob.call("POST", "api/kernels", {"env": {"KERNEL_LAUNCH_TIMEOUT": nonsense}})
    assert answer.status_code == 201
    assert clock.now_s == pytest.approx(addresses.GATEWAY_LAUNCH_WAIT_S, abs=0.2)


def test_a_kernel_that_fails_to_start_is_told_with_its_reason(
    bob: Server, clocked: Callable[[Clock], None]
) -> None:
    clocked(becomes(KernelState.FAILED, at_step=3, reason="The kernel's program was not found."))
    answer = bob.call("POST", "api/kernels", {"env": {"KERNEL_LAUNCH_TIMEOUT": "40"}})
    assert (answer.status_code, answer.json()["message"]) == (500, "The kernel's program was not found.")


def test_a_gateway_client_is_answered_when_the_kernel_works(
    bob: Server, clocked: Callable[[Clock], None]
) -> None:
    clock = becomes(KernelState.IDLE, at_step=8)
    clocked(clock)
    answer = bob.call("POST", "api/kernels", {"name": "python3", "env": {}})
    assert (answer.status_code, answer.json()["execution_state"], clock.steps) == (201, "idle", 8)


@pytest.mark.parametrize(("wanted_s", "waited_s"), [("2", 2), ("100000", addresses.MAX_LAUNCH_WAIT_S)])
def test_a_kernel_that_takes_longer_is_still_starting(
    bob: Server, clocked: Callable[[Clock], None], wanted_s: str, waited_s: float
) -> None:
    clock = Clock()
    clocked(clock)
    answer = bob.call("POST", "api/kernels", {"env": {"KERNEL_LAUNCH_TIMEOUT": wanted_s}})
    assert (answer.status_code, answer.json()["execution_state"]) == (201, "starting")
    assert clock.now_s == pytest.approx(waited_s, abs=0.2)


def test_others_are_answered_at_once(bob: Server, clocked: Callable[[Clock], None]) -> None:
    clock = Clock()
    clocked(clock)
    for body in ({"name": "python3"}, {"env": None}, {"env": "KERNEL_LAUNCH_TIMEOUT=40"}):
        assert bob.call("POST", "api/kernels", body).status_code == 201
    assert clock.steps == 0


def test_times_have_microseconds_even_on_the_full_second(bob: Server) -> None:
    """Gateway clients read them with a format that wants the fraction."""
    bob.call("POST", "api/kernels", {})
    Kernel.objects.update(last_activity_at=datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC))
    [kernel] = bob.call("GET", "api/kernels").json()
    assert kernel["last_activity"] == "2026-11-22T12:00:00.000000Z"
