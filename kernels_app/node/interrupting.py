"""The signal that interrupts a kernel, once more where it came too early.

A kernel that takes up a request prepares for the signal a moment later; what comes before that moment it never
notices. So a signal that was sent before a request began, or right after, is sent again while the kernel is still busy
with that very request. One that is sent later is sent once: code may catch it, and have something to put in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# A request that began at most so long ago may not have noticed.
EARLY_S = 0.25
AGAIN_S = 0.5
MAX_REPEAT_COUNT = 3
# Requests under way at the same time: one of the shell, a few of the control channel.
MAX_BUSY_COUNT = 16

CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


class Interrupts:
    """Of one kernel. `awaited_id` gives the id of the request that it was sent and may not have taken up yet, or ""."""

    def __init__(
        self,
        *,
        send_signal: Callable[[], None],
        awaited_id: Callable[[], str],
        clock_s: Callable[[], float],
        call_later: CallLater,
    ) -> None:
        self._send_signal = send_signal
        self._awaited_id = awaited_id
        self._clock_s = clock_s
        self._call_later = call_later
        self._busy_since_s: dict[str, float] = {}
        self._request_id = ""
        self._left_count = 0
        self._timer: asyncio.TimerHandle | None = None

    def interrupt(self) -> None:
        self.forget_repeats()
        self._send_signal()
        busy_id = next(iter(self._busy_since_s), "")
        request_id = busy_id or self._awaited_id()
        is_early = not busy_id or self._clock_s() - self._busy_since_s[busy_id] < EARLY_S
        if request_id and is_early:
            self._request_id, self._left_count = request_id, MAX_REPEAT_COUNT
            self._timer = self._call_later(AGAIN_S, self._repeat)

    def on_busy(self, request_id: str) -> None:
        self._busy_since_s.setdefault(request_id, self._clock_s())
        if len(self._busy_since_s) > MAX_BUSY_COUNT:
            del self._busy_since_s[next(iter(self._busy_since_s))]

    def on_idle(self, request_id: str) -> None:
        self._busy_since_s.pop(request_id, None)
        self.on_end(request_id)

    def on_end(self, request_id: str) -> None:
        """The request was answered, or ended with an error: it noticed."""
        if request_id == self._request_id:
            self.forget_repeats()

    def forget(self) -> None:
        """The kernel's process is another one from now on."""
        self.forget_repeats()
        self._busy_since_s.clear()

    def forget_repeats(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._request_id = None, ""

    def _repeat(self) -> None:
        self._left_count -= 1
        if self._request_id in self._busy_since_s:
            self._send_signal()
        elif self._busy_since_s or self._awaited_id() != self._request_id:
            self.forget_repeats()  # busy with something else, which nobody wants to interrupt
            return
        if self._left_count:
            self._timer = self._call_later(AGAIN_S, self._repeat)
        else:
            self.forget_repeats()
