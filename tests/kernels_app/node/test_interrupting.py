from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from kernels_app.node.interrupting import AGAIN_S, EARLY_S, MAX_BUSY_COUNT, MAX_REPEAT_COUNT, Interrupts


class FakeTimer:
    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s = due_s
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeKernel:
    """What it was sent, by a clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.signal_count = 0
        self.awaited_id = ""
        self._timers: list[FakeTimer] = []
        self.interrupts = Interrupts(
            send_signal=self._take_signal,
            awaited_id=lambda: self.awaited_id,
            clock_s=lambda: self.now_s,
            call_later=self._call_later,
        )

    def passes(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while due := [timer for timer in self._timers if not timer.is_cancelled and timer.due_s <= end_s]:
            first = min(due, key=lambda timer: timer.due_s)
            self._timers.remove(first)
            self.now_s = first.due_s
            first.call()
        self.now_s = end_s

    def _take_signal(self) -> None:
        self.signal_count += 1

    def _call_later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        timer = FakeTimer(self.now_s + seconds, call)
        self._timers.append(timer)
        return cast("asyncio.TimerHandle", timer)


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


def test_an_idle_kernel_gets_one_signal_and_its_next_request_none(kernel: FakeKernel) -> None:
    kernel.interrupts.interrupt()
    kernel.interrupts.on_busy("later")
    kernel.passes(60)
    assert kernel.signal_count == 1


def test_code_that_runs_for_a_while_gets_one_signal(kernel: FakeKernel) -> None:
    kernel.interrupts.on_busy("a")
    kernel.passes(EARLY_S * 2)
    kernel.interrupts.interrupt()
    kernel.passes(60)
    assert kernel.signal_count == 1


def test_a_signal_right_after_the_start_is_sent_again_a_few_times_while_that_request_goes_on(
    kernel: FakeKernel,
) -> None:
    kernel.interrupts.on_busy("a")
    kernel.passes(EARLY_S / 2)
    kernel.interrupts.interrupt()
    kernel.passes(AGAIN_S)
    assert kernel.signal_count == 2
    kernel.passes(60)
    assert kernel.signal_count == 1 + MAX_REPEAT_COUNT


def test_a_request_that_was_sent_but_not_taken_up_gets_the_signal_when_it_is(kernel: FakeKernel) -> None:
    kernel.awaited_id = "a"
    kernel.interrupts.interrupt()
    kernel.interrupts.on_busy("a")
    kernel.passes(AGAIN_S)
    assert kernel.signal_count == 2


@pytest.mark.parametrize("noticed", [Interrupts.on_idle, Interrupts.on_end])
def test_who_noticed_gets_no_other(kernel: FakeKernel, noticed: Callable[[Interrupts, str], None]) -> None:
    kernel.interrupts.on_busy("a")
    kernel.interrupts.interrupt()
    noticed(kernel.interrupts, "a")
    kernel.interrupts.on_busy("b")
    kernel.awaited_id = "b"
    kernel.passes(60)
    assert kernel.signal_count == 1


def test_a_later_request_never_gets_it(kernel: FakeKernel) -> None:
    kernel.awaited_id = "a"
    kernel.interrupts.interrupt()
    kernel.interrupts.on_busy("of somebody else")  # before ours
    kernel.passes(60)
    assert kernel.signal_count == 1


def test_another_process_never_gets_it(kernel: FakeKernel) -> None:
    kernel.interrupts.on_busy("a")
    kernel.interrupts.interrupt()
    kernel.interrupts.forget()
    kernel.passes(60)
    assert kernel.signal_count == 1


def test_an_interrupt_by_a_person_meanwhile_begins_anew(kernel: FakeKernel) -> None:
    kernel.interrupts.on_busy("a")
    kernel.interrupts.interrupt()
    kernel.passes(EARLY_S * 1.5)
    kernel.interrupts.interrupt()  # not early any more: one signal, and no others of before
    kernel.passes(60)
    assert kernel.signal_count == 2


def test_requests_whose_end_was_never_told_do_not_pile_up(kernel: FakeKernel) -> None:
    for number in range(MAX_BUSY_COUNT + 1):
        kernel.interrupts.on_busy(str(number))
    kernel.passes(EARLY_S / 2)
    kernel.interrupts.interrupt()
    kernel.interrupts.on_end("0")  # forgotten: it is the next one that is taken for the running one
    kernel.passes(AGAIN_S)
    assert kernel.signal_count == 2
