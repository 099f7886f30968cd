"""Waits for many sockets at once, and less often when more goes on.

A kernel sends the messages of one cell one by one, many clients of a web process send one each, and each message would
wake the event loop. So under load the sockets are looked at in ticks, all in one system call; a lone message is read at
once. Who reads answers, which come several together, waits a moment for the rest of them.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Iterable, Sequence
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

    `gather_s`: who is expected to send several messages, or has just sent one, is read so much later.
    """

    def __init__(self, gather_s: float = 0.0) -> None:
        self._gather_s = gather_s
        self._poll = select.epoll()
        self._owners: dict[int, Polled] = {}
        self._writing: set[int] = set()
        self._quiet: dict[int, None] = {}  # not listened to, until they are read together
        self._asking: dict[Polled, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_watched = False  # the event loop calls when a socket is ready
        self._is_looking = self._is_gathered = False
        self._tick: asyncio.Handle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._rate = 0.0
        self._looked_s = 0.0

    def add(self, descriptor: int, owner: Polled) -> None:
        """Has `owner.on_ready` called when there is something to read."""
        self._owners[descriptor] = owner
        self._poll.register(descriptor, select.EPOLLIN)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._watch()

    def change(self, descriptor: int, *, wants_to_write: bool) -> None:
        (self._writing.add if wants_to_write else self._writing.discard)(descriptor)
        self._listen_to(descriptor)

    def remove(self, descriptor: int) -> None:
        """Call it before the socket is closed."""
        if self._owners.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)
            self._writing.discard(descriptor)
            self._quiet.pop(descriptor, None)

    def ask(self, owner: Polled) -> None:
        """Has `on_ready(0)` called in the next turn of the loop."""
        self._asking[owner] = None
        if not self._is_looking:
            self._look_in(0.0)

    def expect(self, descriptors: Iterable[int]) -> None:
        """Several messages are about to come there: they need not wake this program one by one."""
        if not self._gather_s or not self._is_watched or self._loop is None:
            return
        for descriptor in descriptors:
            if descriptor in self._owners and descriptor not in self._quiet:
                self._quiet[descriptor] = None
                self._listen_to(descriptor)
        if self._gathering is None:
            # While much goes on, answers to others are read with them.
            wait_s = TICK_S if self._rate >= BUSY_RATE else self._gather_s
            self._gathering = self._loop.call_later(wait_s, self._read_quiet)

    @property
    def is_gathered(self) -> bool:
        """In `on_ready`: what is read now was waited for, so that nothing is to be expected right behind it."""
        return self._is_gathered

    def close(self) -> None:
        if self._is_watched and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._poll.fileno())
        for handle in (self._tick, self._gathering):
            if handle is not None:
                handle.cancel()
        self._is_watched = False
        self._poll.close()

    def _listen_to(self, descriptor: int) -> None:
        reads = 0 if descriptor in self._quiet else select.EPOLLIN
        self._poll.modify(descriptor, reads | (select.EPOLLOUT if descriptor in self._writing else 0))

    def _watch(self) -> None:
        assert self._loop is not None
        self._is_watched = True
        self._loop.add_reader(self._poll.fileno(), self._look)

    def _look_in(self, delay_s: float) -> None:
        assert self._loop is not None
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_reader(self._poll.fileno())
        if self._tick is not None:
            self._tick.cancel()
        self._tick = (
            self._loop.call_later(delay_s, self._look) if delay_s else self._loop.call_soon(self._look)
        )

    def _look(self) -> None:
        self._tick = None
        self._serve(self._poll.poll(0), is_gathered=not self._is_watched)

    def _read_quiet(self) -> None:
        self._gathering = None
        quiet, self._quiet = self._quiet, {}
        for descriptor in quiet:
            self._listen_to(descriptor)
        self._serve([(descriptor, READABLE) for descriptor in quiet], is_gathered=True)

    def _serve(self, ready: Sequence[tuple[int, int]], *, is_gathered: bool) -> None:
        self._is_looking, self._is_gathered = True, is_gathered
        asking, self._asking = self._asking, {}
        total = 0
        spoken = []
        try:
            for descriptor, events in ready:
                owner = self._owners.get(descriptor)
                if owner is not None:  # else closed by what came before
                    asking.pop(owner, None)
                    count = owner.on_ready(events)
                    if count:
                        spoken.append(descriptor)
                        total += count
            for owner in asking:
                total += owner.on_ready(0)
        finally:
            self._is_looking = self._is_gathered = False
            self._go_on(total, [] if is_gathered else spoken)

    def _go_on(self, count: int, spoken: Sequence[int]) -> None:
        now_s = time.monotonic()
        passed_s = max(now_s - self._looked_s, 1e-4)
        self._rate += (count / passed_s - self._rate) * min(1.0, passed_s / RATE_PERIOD_S)
        self._looked_s = now_s
        if self._asking:
            self._look_in(0.0)
        elif count and self._rate >= BUSY_RATE:
            self._look_in(TICK_S)
        else:
            if self._tick is None and not self._is_watched:
                self._watch()
            if spoken:
                self.expect(spoken)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, SocketPoll] = WeakKeyDictionary()


def socket_poll_of_this_loop() -> SocketPoll:
    """One for all that share an event loop for as long as it runs."""
    loop = asyncio.get_running_loop()
    poll = _of_loop.get(loop)
    if poll is None:
        poll = _of_loop[loop] = SocketPoll()
    return poll
