"""A WebSocket's bytes, past the ASGI server that accepted it.

ASGI has no word for "how much is not sent yet", for pings with an answer, or for many messages at once, and servers
spend most of a small message's cost on their own bookkeeping. So once a socket is accepted, its messages are written
to the server's own transport and read from it; handshake, pings, closing and all that is unusual stay the server's.
A server that is not known here, or a connection that needs more (compression, TLS inside Twisted), is used by ASGI.

*What a client has.* Before a message a ping goes out that names it and the one before. A client's protocol
implementation answers a ping when it comes to it: then the client has the message before for certain, and, if it
reads one frame after the other, takes the next one in the same step. So it is known what a client has read, without a
word from the client.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any

from kernels_app.relay.server_sides import ServerSide, server_side_of
from kernels_app.relay.web_frames import BINARY, PING, PONG, TEXT, FrameReader, Kind, frame_head, masked_frame

# A ping of ours: nobody else's has this length and start; then the numbers of the messages before and after it.
_PING = struct.Struct("!4sQQ")
_MARK = b"zhub"
_PING_HEAD = frame_head(PING, _PING.size)
# In a flood each message has its ping, so that a reader that stalls and returns gets each message once.
FLOOD_COUNT = 12  # at once
FLOOD_PERIOD_S = 0.25
FLOOD_PERIOD_COUNT = 250
# A client that has not answered for so long is behind: it may stop at any message.
ANSWER_S = 0.02


class DirectSocket:
    """`on_message(is_text, payload)` and `on_drained()` are called on the event loop."""

    def __init__(
        self,
        server: ServerSide,
        *,
        on_message: Callable[[bool, bytes], None],
        on_drained: Callable[[], None],
        max_message_bytes: int,
    ) -> None:
        self._server = server
        self._on_message = on_message
        self._reader: FrameReader | None = FrameReader(max_message_bytes)
        self._max_message_bytes = max_message_bytes
        self._clock = asyncio.get_running_loop().time
        self._written = -1
        self._pinged = -1  # the message behind the last ping
        self._pinged_s = 0.0
        self._certain = -1
        self._likely = -1
        self._period_s = 0.0
        self._period_count = 0
        server.take_over(self._receive, on_drained)

    @property
    def certain(self) -> int:
        """Number of the last message that the client has for certain; -1: none yet."""
        return self._certain

    @property
    def likely(self) -> int:
        """Number of the last message that it has if it closed the connection by itself, in good order."""
        return max(self._likely, self._certain)

    def waiting_bytes(self) -> int:
        return self._server.waiting_bytes()

    def send(self, messages: Sequence[tuple[int, str | bytes]]) -> None:
        """Numbered messages, text or binary, in order."""
        if not messages or not self._server.is_open():
            return
        parts: list[bytes] = []
        is_answered = self._likely >= self._pinged
        now_s = self._clock()
        is_each_pinged = self._is_flood(len(messages), now_s) or (
            not is_answered and now_s - self._pinged_s > ANSWER_S
        )
        last = len(messages) - 1
        for index, (number, message) in enumerate(messages):
            if isinstance(message, str):
                payload, opcode = message.encode(), TEXT
            else:
                payload, opcode = message, BINARY
            if is_each_pinged or (is_answered and index == last):
                parts.append(self._ping(self._written, number))
            parts.append(frame_head(opcode, len(payload)))
            parts.append(payload)
            self._written = max(self._written, number)
        self._server.write(parts)

    def _is_flood(self, count: int, now_s: float) -> bool:
        if now_s - self._period_s > FLOOD_PERIOD_S:
            # What a flood was a moment ago still is one.
            self._period_count = self._period_count // 2 if now_s - self._period_s < 1.0 else 0
            self._period_s = now_s
        self._period_count += count
        return count > FLOOD_COUNT or self._period_count > FLOOD_PERIOD_COUNT

    def settle(self) -> None:
        """Asks whether the last message arrived, if that is not known. Called now and then."""
        if self._certain < self._written and self._likely >= self._pinged and self._server.is_open():
            self._server.write([self._ping(self._written, self._written)])

    def pause_reading(self) -> None:
        """The client's next messages wait in its socket, and its answers with them, until `resume_reading`."""
        self._server.pause_reading()

    def resume_reading(self) -> None:
        self._server.resume_reading()

    def linger(self, seconds: float) -> None:
        """Before the connection is closed: a client that comes to read again within so long gets what was written,
        and what it has is known."""
        if self._server.is_open():
            self._server.write([self._ping(self._written, self._written)])
            self._server.linger(seconds)

    def _ping(self, before: int, after: int) -> bytes:
        self._pinged = max(after, 0)
        self._pinged_s = self._clock()
        return _PING_HEAD + _PING.pack(_MARK, max(before, 0), self._pinged)

    def _receive(self, data: bytes) -> None:
        if self._reader is None:
            self._server.pass_on(data)
            return
        for kind, payload in self._reader.feed(data):
            if kind is Kind.BINARY or kind is Kind.TEXT:
                if self._server.is_open():  # one that is being closed says nothing more, but answers pings
                    self._on_message(kind is Kind.TEXT, payload)
            elif kind is Kind.PONG:
                self._hear_pong(payload)
            else:
                if kind is Kind.REST:
                    self._reader = None
                    self._server.give_back()
                self._server.pass_on(payload)

    def _hear_pong(self, payload: bytes) -> None:
        if len(payload) != _PING.size or payload[:4] != _MARK:
            # To a ping of the server's own, which ends the connection when it is not answered.
            self._server.pass_on(masked_frame(PONG, payload))
            return
        _, before, after = _PING.unpack(payload)
        if before <= after <= self._pinged:
            self._certain = max(self._certain, before)
            self._likely = max(self._likely, after)


def direct_socket(
    send: Any,
    *,
    on_message: Callable[[bool, bytes], None],
    on_drained: Callable[[], None],
    max_message_bytes: int,
) -> DirectSocket | None:
    """The connection behind an ASGI `send`, before it is accepted; None where only ASGI will do."""
    server = server_side_of(send)
    if server is None:
        return None
    return DirectSocket(
        server, on_message=on_message, on_drained=on_drained, max_message_bytes=max_message_bytes
    )
