"""Sockets of one event loop, read together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kernels_app.bus.socket_poll import BUSY_RATE, WRITABLE, SocketPoll

GATHER_S = 0.3


class Reader:
    """One end of a pair; each byte is a message. `looks`: what each call brought, and whether it was waited for."""

    def __init__(self, poll: SocketPoll) -> None:
        self.far, self.near = socket.socketpair()
        self.near.setblocking(False)
        self.poll = poll
        self.looks: list[tuple[int, bool]] = []
        self.writable_count = 0
        self.asks = False
        poll.add(self.near.fileno(), self)

    def on_ready(self, events: int) -> int:
        if events & WRITABLE:
            self.writable_count += 1
            self.poll.change(self.near.fileno(), wants_to_write=False)
        if self.asks:
            self.poll.expect()
        try:
            data = self.near.recv(65536)
            count = len(data)
            if not data:
                self.poll.remove(self.near.fileno())
        except BlockingIOError:
            count = 0
        self.looks.append((count, self.poll.is_gathered))
        return count

    def close(self) -> None:
        self.poll.remove(self.near.fileno())
        self.far.close()
        self.near.close()


@contextmanager
def polling(gather_s: float, count: int = 1) -> Iterator[tuple[SocketPoll, list[Reader]]]:
    poll = SocketPoll(gather_s=gather_s)
    readers = [Reader(poll) for _ in range(count)]
    try:
        yield poll, readers
    finally:
        for reader in readers:
            reader.close()
        poll.close()


async def settle(seconds: float = 2 * GATHER_S) -> None:
    await asyncio.sleep(seconds)


async def test_each_lone_message_is_read_at_once() -> None:
    with polling(0.0) as (_, [reader]):
        for _ in range(3):
            reader.far.send(b"x")
            await asyncio.sleep(0.005)
        assert reader.looks == [(1, False)] * 3


async def test_what_comes_right_behind_a_message_is_read_together_a_moment_later() -> None:
    with polling(GATHER_S) as (_, [reader]):
        reader.far.send(b"x")
        await asyncio.sleep(0.005)
        assert reader.looks == [(1, False)]
        for _ in range(4):
            reader.far.send(b"y")
            await asyncio.sleep(0.001)
        assert reader.looks == [(1, False)]
        await settle()
        assert reader.looks == [(1, False), (4, True)]
        # What comes by itself after that is read at once again.
        reader.far.send(b"z")
        await asyncio.sleep(0.005)
        assert reader.looks[2:] == [(1, False)]


async def test_what_is_expected_wakes_nobody_one_by_one() -> None:
    with polling(GATHER_S, 2) as (poll, [expected, other]):
        poll.expect()
        expected.far.send(b"x")
        other.far.send(b"x")
        await asyncio.sleep(0.005)
        assert (expected.looks, other.looks) == ([], [])
        poll.expect()  # does not put it off
        await asyncio.sleep(GATHER_S * 0.8)
        assert not expected.looks
        expected.far.send(b"yz")
        await asyncio.sleep(GATHER_S * 0.4)
        assert (expected.looks, other.looks) == ([(3, True)], [(1, True)])


async def test_an_answer_that_takes_longer_than_expected_is_read_when_it_comes() -> None:
    with polling(GATHER_S) as (poll, [reader]):
        poll.expect()
        await settle()
        reader.far.send(b"x")
        await asyncio.sleep(0.005)
        assert reader.looks == [(1, False)]


async def test_sockets_that_are_gone_are_not_expected_any_more() -> None:
    with polling(GATHER_S, 2) as (poll, [gone, other]):
        poll.expect()
        gone.far.send(b"x")
        other.far.send(b"x")
        gone.close()
        await settle()
        assert (gone.looks, other.looks) == ([], [(1, True)])


async def test_who_asks_again_while_it_is_read_is_answered_together_too() -> None:
    with polling(GATHER_S) as (poll, [reader]):
        reader.asks = True
        poll.expect()
        reader.far.send(b"x")
        await settle(GATHER_S * 1.3)
        assert reader.looks == [(1, True)]
        reader.asks = False
        reader.far.send(b"x")
        await asyncio.sleep(0.005)
        assert len(reader.looks) == 1
        await settle()
        assert reader.looks == [(1, True)] * 2


async def test_the_end_of_a_socket_and_room_to_write_are_seen_with_what_is_expected() -> None:
    with polling(GATHER_S, 2) as (poll, [ended, writing]):
        poll.expect()
        ended.far.close()
        poll.change(writing.near.fileno(), wants_to_write=True)
        await settle()
        assert ended.looks == [(0, True)]
        assert (writing.looks, writing.writable_count) == ([(0, True)], 1)


async def test_an_owner_that_asks_is_called_in_the_next_turn() -> None:
    with polling(GATHER_S) as (poll, [reader]):
        poll.ask(reader)
        await asyncio.sleep(0.005)
        assert reader.looks[:1] == [(0, True)]
        reader.far.send(b"x")  # and is listened to again
        await settle()
        assert sum(count for count, _ in reader.looks) == 1


@pytest.mark.parametrize("gather_s", [0.0, GATHER_S])
async def test_under_load_sockets_are_read_in_ticks_and_nothing_is_lost(gather_s: float) -> None:
    with polling(gather_s, 4) as (_, readers):
        sent = 0
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.5
        while loop.time() < end:
            for reader in readers:
                reader.far.send(b"x" * 5)
                sent += 5
            await asyncio.sleep(0.001)
        await settle(0.1)
        looks = [look for reader in readers for look in reader.looks]
        assert sum(count for count, _ in looks) == sent
        assert sent / 0.5 > BUSY_RATE, "this machine is too slow for the test"
        assert len(looks) < sent / 5 * 0.8
