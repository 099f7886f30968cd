"""A socket past its ASGI server, over a server's side that keeps what it is given."""

from __future__ import annotations

from collections.abc import Callable

from kernels_app.relay.direct_socket import FLOOD_COUNT, DirectSocket
from kernels_app.relay.web_frames import PING, PONG, TEXT, frame_head, masked_frame


class RecordingSide:
    def __init__(self) -> None:
        self.written = b""
        self.passed_on: list[bytes] = []
        self.receive: Callable[[bytes], None] = lambda data: None
        self.was_given_back = False
        self.is_closing = False
        self.linger_s = 0.0
        self.is_paused = False

    def is_open(self) -> bool:
        return not self.is_closing

    def write(self, parts: list[bytes]) -> None:
        self.written += b"".join(parts)

    def waiting_bytes(self) -> int:
        return 0

    def pass_on(self, data: bytes) -> None:
        self.passed_on.append(data)

    def take_over(self, receive: Callable[[bytes], None], drained: Callable[[], None]) -> None:
        self.receive = receive

    def give_back(self) -> None:
        self.was_given_back = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def linger(self, seconds: float) -> None:
        self.linger_s = seconds

    def frames(self) -> list[tuple[int, bytes]]:
        """What was written since the last call: opcode and payload."""
        found, data = [], self.written
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            found.append((data[0] & 0xF, data[start : start + size]))
            data = data[start + size :]
        self.written = b""
        return found


def connected() -> tuple[DirectSocket, RecordingSide, list[tuple[bool, bytes]]]:
    side = RecordingSide()
    heard: list[tuple[bool, bytes]] = []

    def hear(is_text: bool, payload: bytes) -> None:
        heard.append((is_text, payload))

    return (
        DirectSocket(side, on_message=hear, on_drained=lambda: None, max_message_bytes=1000),
        side,
        heard,
    )


async def test_a_client_that_answers_is_known_to_have_the_message_before_the_ping() -> None:
    socket, side, _ = connected()
    socket.send([(1, b"one"), (2, "two")])
    (first, one), (ping, question), (second, two) = side.frames()
    assert (first, one, ping, second, two) == (2, b"one", PING, TEXT, b"two")
    assert (socket.certain, socket.likely) == (-1, -1)
    side.receive(masked_frame(PONG, question))
    assert (socket.certain, socket.likely) == (1, 2)
    socket.settle()
    [(_, question)] = side.frames()
    side.receive(masked_frame(PONG, question))
    assert (socket.certain, socket.likely) == (2, 2)
    socket.settle()
    assert side.frames() == []


async def test_in_a_flood_each_message_has_its_ping() -> None:
    socket, side, _ = connected()
    socket.send([(number, b"line") for number in range(1, FLOOD_COUNT + 2)])
    assert [opcode for opcode, _ in side.frames()] == [PING, 2] * (FLOOD_COUNT + 1)


async def test_answers_that_were_never_asked_for_say_nothing() -> None:
    socket, side, _ = connected()
    socket.send([(5, b"five")])
    [(_, question), _] = side.frames()
    forged = question[:12] + (10**9).to_bytes(8, "big")
    side.receive(masked_frame(PONG, forged))
    assert (socket.certain, socket.likely) == (-1, -1)


async def test_answers_to_the_servers_own_pings_reach_the_server() -> None:
    _, side, _ = connected()
    answer = masked_frame(PONG, b"abcd")
    side.receive(answer)
    assert side.passed_on == [answer]


async def test_messages_are_heard_and_the_unusual_goes_to_the_server() -> None:
    _, side, heard = connected()
    closing = masked_frame(0x8, b"\x03\xe8")
    side.receive(masked_frame(TEXT, b"text") + masked_frame(2, b"bytes") + closing)
    assert heard == [(True, b"text"), (False, b"bytes")]
    assert (side.passed_on, side.was_given_back) == ([closing], False)
    too_long = masked_frame(2, bytes(1001))
    side.receive(too_long)
    assert (side.passed_on[-1], side.was_given_back) == (too_long, True)
    side.receive(frame_head(TEXT, 0))
    assert side.passed_on[-1] == frame_head(TEXT, 0)


async def test_what_a_client_reads_while_it_is_being_closed_counts_and_what_it_says_does_not() -> None:
    socket, side, heard = connected()
    socket.send([(1, "a"), (2, "b")])
    socket.linger(7.0)
    assert side.linger_s == 7.0
    pings = [payload for opcode, payload in side.frames() if opcode == PING]
    side.is_closing = True
    assert socket.certain < 2
    side.receive(masked_frame(TEXT, b"no more"))
    side.receive(b"".join(masked_frame(PONG, payload) for payload in pings))
    assert (socket.certain, heard, side.passed_on) == (2, [], [])
    socket.linger(9.0)  # too late: nothing is written behind the closing frame
    assert (side.frames(), side.linger_s) == ([], 7.0)
