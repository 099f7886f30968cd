"""Requests take turns when many come at once.

Two hundred requests at a time, each on a thread of its own, would all be answered late: their threads wait for each
other at every step. A few at a time, in the order they came, are answered one after the other, and sooner all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from zasper_hub.base_path import HEALTH_PATHS

Application = Callable[[Any, Any, Any], Awaitable[None]]

# Enough to fill a processor while some of them wait for the database.
AT_ONCE = 8
# What takes longer waits for something: a large body, a kernel, another server. It does not count any more.
COUNTED_S = 0.5


class RequestTurns:
    """An ASGI application that lets `at_once` requests of `application` run, others behind them in their order."""

    def __init__(
        self, application: Application, *, at_once: int = AT_ONCE, counted_s: float = COUNTED_S
    ) -> None:
        self.application = application
        self._free = at_once
        self._counted_s = counted_s
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].removeprefix(scope.get("root_path", "")) in HEALTH_PATHS:
            # Asked by what looks after the programs: never behind people's requests.
            await self.application(scope, receive, send)
            return
        turn = await self._turn()
        try:
            await self.application(scope, receive, send)
        finally:
            turn.end()

    async def _turn(self) -> _Turn:
        if self._free > 0:
            self._free -= 1
        else:
            given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(given)
            try:
                await given
            except asyncio.CancelledError:
                if given.done() and not given.cancelled():
                    self._pass_on()  # it was given just now
                raise
        return _Turn(self._pass_on, self._counted_s)

    def _pass_on(self) -> None:
        while self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return
        self._free += 1


class _Turn:
    """Ends once: with its request, or when that takes long."""

    def __init__(self, pass_on: Callable[[], None], counted_s: float) -> None:
        self._pass_on: Callable[[], None] | None = pass_on
        self._timer = asyncio.get_running_loop().call_later(counted_s, self.end)

    def end(self) -> None:
        self._timer.cancel()
        pass_on, self._pass_on = self._pass_on, None
        if pass_on is not None:
            pass_on()
