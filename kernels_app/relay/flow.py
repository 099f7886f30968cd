"""Flow control of one socket: how far its reader is. Servers buffer without a bound and do not tell."""

from __future__ import annotations

import asyncio
from collections import deque

from kernels_app.errors import TooSlow

WINDOW_BYTES = 4 << 20
PING_EVERY_BYTES = 512 << 10
PATIENCE_S = 20.0


class Flow:
    """Counts what was sent against what the reader confirmed by `pong`."""

    def __init__(self) -> None:
        self._sent = 0
        self._confirmed = 0
        self._last_ping_at = 0
        self._pings: deque[tuple[int, int]] = deque()
        self._number = 0
        self._moved = asyncio.Event()

    async def admit(self, size: int) -> int | None:
        """Waits until a frame of this size may be sent; the number of the `ping` to send after it, if one is due.

        Raises:
            TooSlow: the reader confirmed nothing for too long.
        """
        while self._sent - self._confirmed > WINDOW_BYTES:
            self._moved.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._moved.wait()
            except TimeoutError:
                raise TooSlow from None
        self._sent += size
        if self._sent - self._last_ping_at < PING_EVERY_BYTES:
            return None
        self._last_ping_at = self._sent
        self._number += 1
        self._pings.append((self._number, self._sent))
        return self._number

    def confirm(self, number: int) -> None:
        """The reader answered this ping (numbers it was never sent say nothing)."""
        while self._pings and self._pings[0][0] <= number <= self._number:
            self._confirmed = self._pings.popleft()[1]
        self._moved.set()
