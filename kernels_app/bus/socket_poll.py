"""Waits for many sockets at once, and less often when more goes on.

A kernel sends the messages of one cell one by one, many clients of a web process send one each, and each message would
wake the event loop. So under load the sockets are looked at in ticks, all in one system call; a lone message is read at
once. Who reads answers, which come several together, waits a moment for the rest of them.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

# Between two looks while much goes on: from so many messages a second on.
TICK_S = 0.004  # uvloop counts whole milliseconds
BUSY_RATE = 1000.0
# For what comes right behind a first message, or a question: with little load, all of an answer is there by then.
GATHER_S = 0.001
RATE_PERIOD_S = 0.1

READABLE, WRITABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR, select.EPOLLOUT


class Polled(Protocol):
    """What owns a socket."""

    def on_ready(self, events: int) -> int:
        """The socket is READABLE, WRITABLE or both; 0: this was asked for. How many messages it brought."""
        ...


class SocketPoll:
    """Sockets of one event loop. All methods are called on it.

    `gather_s`: who is expected to send several messages, or has just sent one, is read so much later, and all others
    with it. `busy_rate`: messages a second from which on there are ticks.
    """

    def __init__(self, gather_s: float = 0.0, busy_rate: float = BUSY_RATE) -> None:
        self._gather_s = gather_s
        self._busy_rate = busy_rate
        self._poll = select.epoll()
        # What the event loop watches: to stop and go on is one system call, where the loop would take down and set up.
        self._gate = select.epoll()
        self._gate.register(self._poll.fileno(), 0)
        self._owners: dict[int, Polled] = {}
        self._asking: dict[Polled, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_watched = False  # the event loop calls when a socket is ready; else there is a next look
        self._is_looking = self._is_gathered = self._is_expecting = False
        self._next: asyncio.Handle | None = None
        self._rate = 0.0
        self._looked_s = 0.0
        self.look_number = 0

    def add(self, descriptor: int, owner: Polled) -> None:
        """Has `owner.on_ready` called when there is something to read."""
        self._owners[descriptor] = owner
        self._poll.register(descriptor, select.EPOLLIN)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._gate.fileno(), self._look)
            self._watch()

    def change(self, descriptor: int, *, wants_to_write: bool) -> None:
        self._poll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if wants_to_write else 0))

    def remove(self, descriptor: int) -> None:
        """Call it before the socket is closed."""
        if self._owners.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def ask(self, owner: Polled) -> None:
        """Has `on_ready(0)` called in the next turn of the loop."""
        self._asking[owner] = None
        if not self._is_looking:
            self._look_in(0.0)

    def expect(self) -> None:
        """Several messages are about to come: they need not wake this program one by one."""
        if self._is_looking:
            self._is_expecting = True
        elif self._is_watched and self._gather_s:
            self._look_in(self._gather_s)

    @property
    def is_gathered(self) -> bool:
        """In `on_ready`: what is read now was waited for, so that nothing is to be expected right behind it."""
        return self._is_gathered

    def close(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._gate.fileno())
        if self._next is not None:
            self._next.cancel()
        self._is_watched = False
        self._gate.close()
        self._poll.close()

    def _watch(self) -> None:
        self._is_watched = True
        self._gate.modify(self._poll.fileno(), select.EPOLLIN)

    def _look_in(self, delay_s: float) -> None:
        assert self._loop is not None
        if self._is_watched:
            self._is_watched = False
            self._gate.modify(self._poll.fileno(), 0)
        if self._next is not None:
            self._next.cancel()
        self._next = (
            self._loop.call_later(delay_s, self._look) if delay_s else self._loop.call_soon(self._look)
        )

    def _look(self) -> None:
        self._next = None
        self._is_looking, self._is_gathered = True, not self._is_watched
        self.look_number += 1
        count = 0
        try:
            count = self._serve(self._poll.poll(0))
        finally:
            self._is_looking = False
            self._go_on(count)

    def _serve(self, ready: Sequence[tuple[int, int]]) -> int:
        asking, self._asking = self._asking, {}
        count = 0
        # The last first: an answer brings along what its sender said before it elsewhere.
        for descriptor, events in reversed(ready):
            owner = self._owners.get(descriptor)
            if owner is not None:  # else closed by what came before
                asking.pop(owner, None)
                count += owner.on_ready(events)
        for owner in asking:
            count += owner.on_ready(0)
        return count

    def _go_on(self, count: int) -> None:
        now_s = time.monotonic()
        passed_s = max(now_s - self._looked_s, 1e-4)
        self._rate += (count / passed_s - self._rate) * min(1.0, passed_s / RATE_PERIOD_S)
        self._looked_s = now_s
        is_more_to_come = self._is_expecting or (count > 0 and not self._is_gathered)
        self._is_gathered = self._is_expecting = False
        if self._asking:
            self._look_in(0.0)
        elif count and self._rate >= self._busy_rate:
            self._look_in(TICK_S)
        elif is_more_to_come and self._gather_s:
            self._look_in(self._gather_s)
        elif not self._is_watched:
            self._watch()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, SocketPoll] = WeakKeyDictionary()


def socket_poll_of_this_loop() -> SocketPoll:
    """One for all that share an event loop for as long as it runs."""
    loop = asyncio.get_running_loop()
    poll = _of_loop.get(loop)
    if poll is None:
        poll = _of_loop[loop] = SocketPoll()
    return poll
