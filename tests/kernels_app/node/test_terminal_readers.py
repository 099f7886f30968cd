"""Readers of a terminal as a list of events, without a terminal."""

from __future__ import annotations

import random

import pytest

from kernels_app.bus.terminals import SILENT_READER_S, ReaderId
from kernels_app.node.terminal_readers import PATIENCE_S, TerminalReaders

KEPT, WINDOW = 1_000, 200


def pending(readers: TerminalReaders, reader_id: str, now_ms: int = 0) -> bytes:
    """What the reader gets now; it counts as sent."""
    got = b""
    while True:
        shares = [
            share
            for share in readers.due(tell_input_bytes=100, unwritten=0)
            if share.reader_id == reader_id and share.data
        ]
        if not shares:
            return got
        for share in shares:
            got += share.data
            readers.mark_sent(share, now_ms)


@pytest.fixture
def readers() -> TerminalReaders:
    return TerminalReaders(kept_bytes=KEPT, window_bytes=WINDOW)


def test_a_reader_gets_a_window_and_the_rest_when_it_confirms(readers: TerminalReaders) -> None:
    one = ReaderId("one")
    readers.attach(one, after=None, now_ms=0)
    readers.append(b"a" * WINDOW + b"b" * 50)
    assert pending(readers, one) == b"a" * WINDOW
    assert not readers.may_grow
    assert readers.room_bytes == 0
    readers.confirm(one, WINDOW, 1)
    assert pending(readers, one) == b"b" * 50
    assert readers.may_grow
    assert readers.room_bytes == WINDOW - 50


def test_what_was_never_sent_cannot_be_confirmed(readers: TerminalReaders) -> None:
    one = ReaderId("one")
    readers.attach(one, after=None, now_ms=0)
    readers.append(b"a" * WINDOW)
    readers.confirm(one, 10**12, 1)
    readers.confirm(one, -5, 1)
    readers.confirm(ReaderId("unknown"), 5, 1)
    assert not readers.may_grow


def test_who_comes_late_begins_with_a_whole_line_of_what_is_kept(readers: TerminalReaders) -> None:
    for number in range(1_000):
        readers.append(b"line %d\n" % number)
    late = ReaderId("late")
    readers.attach(late, after=5, now_ms=0)
    assert readers.end - readers.start == KEPT
    assert pending(readers, late).startswith(b"line ")


@pytest.mark.parametrize("after", [-1, 10**15])
def test_an_offset_that_never_was_means_all_that_is_kept(readers: TerminalReaders, after: int) -> None:
    readers.append(b"kept")
    readers.attach(ReaderId("one"), after=after, now_ms=0)
    assert pending(readers, "one") == b"kept"


def test_only_who_holds_the_others_up_is_sent_away(readers: TerminalReaders) -> None:
    behind, idle = ReaderId("behind"), ReaderId("idle")
    readers.append(b"a" * WINDOW)
    readers.attach(behind, after=0, now_ms=0)
    readers.attach(idle, after=WINDOW, now_ms=0)
    pending(readers, behind)
    soon, late = round(PATIENCE_S * 1000), round(PATIENCE_S * 1000) + 1
    assert readers.take_gone(soon) == []
    assert readers.take_gone(late) == [behind]
    assert idle in readers
    assert readers.take_gone(round(SILENT_READER_S * 1000) + 1) == []
    assert idle not in readers


def test_any_order_of_events_gives_each_reader_every_byte_once() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    readers = TerminalReaders(kept_bytes=KEPT, window_bytes=WINDOW)
    printed = b""
    got = {ReaderId(name): b"" for name in "abc"}
    for reader_id in got:
        readers.attach(reader_id, after=0, now_ms=0)
    for _ in range(3_000):
        event = chance.randrange(3)
        reader_id = chance.choice(list(got))
        if event == 0 and readers.room_bytes:
            data = chance.randbytes(chance.randint(1, readers.room_bytes))
            printed += data
            readers.append(data)
        elif event == 1:
            got[reader_id] += pending(readers, reader_id)
        elif event == 2:
            readers.confirm(reader_id, chance.randint(0, len(got[reader_id])), 0)
    for reader_id, received in got.items():
        rest = b""
        while piece := pending(readers, reader_id):
            rest += piece
            readers.confirm(reader_id, len(received) + len(rest), 0)
        assert received + rest == printed
    assert len(printed) > KEPT
