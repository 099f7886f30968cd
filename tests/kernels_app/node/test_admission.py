from __future__ import annotations

import random

import pytest

from kernels_app.bus.envelopes import CellSource
from kernels_app.bus.identifiers import CellId, RunId
from kernels_app.node import admission
from kernels_app.node.admission import Admission, EndedRun, QueuedRun


def cells(*names: str) -> list[CellSource]:
    return [CellSource(CellId(f"cell-{name}"), RunId(name), f"source of {name}") for name in names]


def admit(queue: Admission, *names: str, request: str = "r1", stop_on_error: bool = True) -> list[str]:
    admitted = queue.admit(cells(*names), request_id=request, stop_on_error=stop_on_error, allow_stdin=True)
    return [run.run_id for run in admitted]


def start(queue: Admission, now_ms: int = 5) -> str | None:
    run = queue.start_next(now_ms)
    return None if run is None else run.run_id


def finish(queue: Admission, name: str, status: admission.ReplyStatus = "ok") -> list[tuple[str, str]]:
    ended = queue.reply(RunId(name), status, 1) + queue.idle(RunId(name))
    return told(ended)


def told(ended: list[EndedRun]) -> list[tuple[str, str]]:
    return [(item.run.run_id, item.status) for item in ended]


def test_nothing_starts_from_an_empty_queue() -> None:
    assert start(Admission()) is None


def test_replies_and_idles_of_others_change_nothing() -> None:
    queue = Admission()
    assert queue.reply(RunId("x"), "ok", 1) == []
    assert queue.idle(RunId("x")) == []
    admit(queue, "a")
    start(queue)
    assert queue.reply(RunId("x"), "ok", 1) == []
    assert queue.idle(RunId("x")) == []
    assert queue.running is not None


def test_runs_start_in_order_one_at_a_time() -> None:
    queue = Admission()
    assert admit(queue, "a", "b") == ["a", "b"]
    assert start(queue) == "a"
    assert start(queue) is None
    assert finish(queue, "a") == [("a", "ok")]
    assert start(queue) == "b"
    assert queue.queued_count == 0


@pytest.mark.parametrize("order", ["reply first", "idle first"])
def test_a_run_is_over_with_its_reply_and_its_idle_whichever_is_first(order: str) -> None:
    queue = Admission()
    admit(queue, "a")
    start(queue, now_ms=17)
    if order == "reply first":
        assert queue.reply(RunId("a"), "ok", 3) == []
        ended = queue.idle(RunId("a"))
    else:
        assert queue.idle(RunId("a")) == []
        ended = queue.reply(RunId("a"), "ok", 3)
    run = QueuedRun(RunId("a"), CellId("cell-a"), "r1", "source of a", True, True)
    assert ended == [EndedRun(run, "ok", started_at=17, execution_count=3)]


def test_a_repeated_run_is_ignored_while_it_waits_runs_and_after_it_ended() -> None:
    queue = Admission()
    admit(queue, "a", "b")
    assert admit(queue, "a", "b", "c") == ["c"]
    start(queue)
    assert admit(queue, "a") == []
    finish(queue, "a")
    assert admit(queue, "a") == []


def test_old_run_ids_are_forgotten_but_not_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SEEN_COUNT", 3)
    queue = Admission()
    admit(queue, "a", "b", "c", "d")
    assert admit(queue, "b", "c", "d") == []
    assert admit(queue, "a") == ["a"]


def test_an_error_aborts_the_rest_of_its_request_only() -> None:
    queue = Admission()
    admit(queue, "a", "b", "c")
    admit(queue, "d", request="r2")
    start(queue)
    assert finish(queue, "a", "error") == [("a", "error"), ("b", "aborted"), ("c", "aborted")]
    assert start(queue) == "d"


def test_an_error_aborts_nothing_when_the_person_said_so() -> None:
    queue = Admission()
    admit(queue, "a", "b", stop_on_error=False)
    start(queue)
    assert finish(queue, "a", "error") == [("a", "error")]
    assert start(queue) == "b"


def test_an_interrupt_cancels_what_waits_and_marks_what_runs() -> None:
    queue = Admission()
    admit(queue, "a", "b")
    start(queue)
    assert told(queue.interrupt()) == [("b", "cancelled")]
    assert finish(queue, "a", "error") == [("a", "interrupted")]


def test_a_run_that_caught_the_interrupt_ended_well() -> None:
    queue = Admission()
    admit(queue, "a")
    start(queue)
    queue.interrupt()
    assert finish(queue, "a", "ok") == [("a", "ok")]


def test_a_run_that_is_never_answered_ends_when_the_kernel_has_long_been_idle() -> None:
    queue = Admission()
    admit(queue, "a", "b")
    start(queue)
    assert queue.end_unanswered(RunId("a")) == []  # it still runs
    assert queue.idle(RunId("a")) == []
    assert queue.end_unanswered(RunId("b")) == []
    queue.interrupt()
    assert told(queue.end_unanswered(RunId("a"))) == [("a", "interrupted")]
    assert queue.reply(RunId("a"), "ok", 1) == []  # too late
    admit(queue, "c")
    assert start(queue) == "c"


def test_an_interrupt_with_nothing_to_interrupt_marks_no_later_run() -> None:
    queue = Admission()
    assert queue.interrupt() == []
    admit(queue, "a")
    start(queue)
    assert finish(queue, "a", "error") == [("a", "error")]


def test_the_end_of_the_kernel_ends_everything_with_the_reason() -> None:
    queue = Admission()
    admit(queue, "a", "b")
    start(queue, now_ms=9)
    ended = queue.end_all("died", "cancelled", "why")
    assert [(item.run.run_id, item.status, item.reason, item.started_at) for item in ended] == [
        ("a", "died", "why", 9),
        ("b", "cancelled", "why", None),
    ]
    assert queue.end_all("died", "died", "again") == []
    assert finish(queue, "a") == []


def test_any_sequence_of_events_ends_each_run_exactly_once() -> None:
    seed = random.randrange(1 << 32)
    source = random.Random(seed)
    queue = Admission()
    admitted: list[str] = []
    ended: list[str] = []
    for number in range(3000):
        current = queue.running.run.run_id if queue.running else RunId("none")
        match source.randrange(8):
            case 0 | 1:
                names = [f"{number}-{index}" for index in range(source.randrange(4))]
                admitted += admit(queue, *names, request=f"r{number}", stop_on_error=source.random() < 0.7)
            case 2 | 3:
                start(queue)
            case 4:
                status: admission.ReplyStatus = source.choice(("ok", "error", "aborted"))
                ended += [name for name, _ in told(queue.reply(current, status, number))]
            case 5 | 6:
                ended += [name for name, _ in told(queue.idle(current))]
            case _:
                if source.random() < 0.2:
                    ended += [name for name, _ in told(queue.end_all("died", "died", ""))]
                else:
                    ended += [name for name, _ in told(queue.interrupt())]
    ended += [name for name, _ in told(queue.end_all("died", "died", ""))]
    assert sorted(ended) == sorted(admitted), f"seed {seed}"
