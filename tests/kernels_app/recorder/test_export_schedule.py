from __future__ import annotations

from uuid import UUID

from kernels_app.recorder.export_schedule import ExportSchedule
from kernels_app.recorder.retention import KEPT_BATCHES, KEPT_S, LogRetention

A, B = UUID(int=1), UUID(int=2)


def test_an_export_waits_for_two_quiet_seconds() -> None:
    schedule = ExportSchedule()
    schedule.note_change(A, 100.0)
    schedule.note_change(A, 101.0)
    assert schedule.take_due(102.9) == []
    assert schedule.next_due() == 103.0
    assert schedule.take_due(103.0) == [(A, 0)]
    assert schedule.take_due(200.0) == [], "taken once"


def test_an_export_comes_ten_seconds_after_the_first_change_however_busy() -> None:
    schedule = ExportSchedule()
    for tenth in range(99):
        schedule.note_change(A, 100.0 + tenth / 10)
        assert schedule.take_due(100.0 + tenth / 10) == []
    assert schedule.take_due(110.0) == [(A, 0)]


def test_the_longest_waiting_comes_first() -> None:
    schedule = ExportSchedule()
    schedule.note_change(B, 1.0)
    schedule.note_change(A, 2.0)
    assert schedule.take_due(60.0) == [(B, 0), (A, 0)]


def test_a_failed_export_is_tried_again_later_each_time() -> None:
    schedule = ExportSchedule()
    schedule.note_failure(A, 1, 0.0)
    assert schedule.take_due(14.9) == []
    assert schedule.take_due(15.0) == [(A, 1)]
    schedule.note_failure(A, 2, 15.0)
    assert schedule.take_due(44.9) == []
    schedule.note_change(A, 44.9)  # a change does not hurry a broken disk
    assert schedule.take_due(46.9) == [(A, 2)]
    schedule.note_failure(A, 30, 0.0)
    assert schedule.next_due() == 300.0


def test_the_last_batches_are_kept() -> None:
    retention = LogRetention()
    retention.add(A, list(range(1, KEPT_BATCHES + 100)), 0.0)
    assert retention.trimmable(A, 1.0) is None, "not for a few"
    retention.add(A, [KEPT_BATCHES + 100], 1.0)
    assert retention.trimmable(A, 1.0) == 100
    retention.trimmed(A, 100)
    assert retention.trimmable(A, 1.0) is None


def test_batches_are_kept_for_ten_minutes_and_then_all_go() -> None:
    retention = LogRetention()
    retention.add(A, [1, 2, 3], 0.0)
    assert retention.trimmable(A, KEPT_S - 1) is None
    assert retention.trimmable(A, KEPT_S) == 3
    retention.trimmed(A, 3)
    assert retention.trimmable(A, KEPT_S) is None


def test_an_entry_told_twice_is_counted_once() -> None:
    retention = LogRetention()
    retention.add(A, [1, 2], 0.0)
    retention.add(A, [1, 2, 3], 1.0)
    retention.trimmed(A, 2)
    assert retention.trimmable(A, KEPT_S + 1) == 3
