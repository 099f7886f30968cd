"""What waits to be sent over one WebSocket, bounded whatever the web server does.

A server may buffer without limit what its client does not read (Daphne does), so what counts is what the
client has confirmed: after so many bytes an echo frame is sent, which it sends back.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from notebooks_app.errors import HubError
from notebooks_app.sync.frames import encode_echo
from zasper_hub.accounts.errors import TooSlow

ECHO_EVERY_BYTES = 256 * 1024
# One whole document and then some: what a client over a slow line may have in front of it.
MAX_UNREAD_BYTES = 32 * 1024 * 1024
# Over all sockets of one person in this process.
MAX_UNREAD_BYTES_OF_PERSON = 3 * MAX_UNREAD_BYTES

_unread_of_person: Counter[object] = Counter()


class Outgoing:
    """A queue of frames and the loop that sends them."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        *,
        person: object,
        max_unread_bytes: int = MAX_UNREAD_BYTES,
    ) -> None:
        """`person`: whose socket it is, as a key; what all sockets of one have unread is bounded too."""
        self._send = send
        self._person = person
        self._max_unread_bytes = max_unread_bytes
        self._frames: deque[bytes] = deque()
        self._has_work = asyncio.Event()
        self._error: HubError | None = None
        self._put_bytes = 0
        self._confirmed_bytes = 0
        self._last_echo_bytes = 0
        self._echo_number = 0
        # Number of each echo that is out, and how much had been put before it.
        self._echoes: deque[tuple[int, int]] = deque()

    def put(self, frame: bytes) -> None:
        """Never waits. What the client leaves unread too long ends the loop with TooSlow."""
        if self._error is not None:
            return
        self._frames.append(frame)
        self._put_bytes += len(frame)
        _unread_of_person[self._person] += len(frame)
        if self._put_bytes - self._last_echo_bytes >= ECHO_EVERY_BYTES:
            self._last_echo_bytes = self._put_bytes
            self._echo_number = (self._echo_number + 1) & 0xFFFFFFFF
            self._echoes.append((self._echo_number, self._put_bytes))
            self._frames.append(encode_echo(self._echo_number))
        is_too_much = self._put_bytes - self._confirmed_bytes > self._max_unread_bytes
        if is_too_much or _unread_of_person[self._person] > MAX_UNREAD_BYTES_OF_PERSON:
            self.fail(TooSlow())
        self._has_work.set()

    def fail(self, error: HubError) -> None:
        """Ends the loop with this error; what waits is not sent any more."""
        self._error = self._error or error
        self._frames.clear()
        self._has_work.set()

    def echoed(self, number: int) -> None:
        """The client has read everything before that echo. A number that is not out is ignored."""
        while self._echoes and any(out == number for out, _ in self._echoes):
            out, confirmed_bytes = self._echoes.popleft()
            self._confirm(confirmed_bytes)
            if out == number:
                break

    async def run(self) -> None:
        """Sends what is put, in order, until cancelled. Raises the error given to `fail`."""
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                while self._frames:
                    await self._send(self._frames.popleft())
                if self._error is not None:
                    raise self._error
        finally:
            self._confirm(self._put_bytes)
            self._error = self._error or TooSlow()  # nothing is put any more

    def _confirm(self, confirmed_bytes: int) -> None:
        _unread_of_person[self._person] -= confirmed_bytes - self._confirmed_bytes
        self._confirmed_bytes = confirmed_bytes
        if _unread_of_person[self._person] <= 0:
            del _unread_of_person[self._person]
