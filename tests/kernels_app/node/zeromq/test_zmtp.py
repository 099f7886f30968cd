"""ZeroMQ's wire protocol: the frames of a peer, however they are cut, and what is refused."""

from __future__ import annotations

import pytest

from kernels_app.node.zeromq.zmtp import (
    GREETING,
    BrokenPeer,
    MessageReader,
    pack_message,
    ready_command,
)

MESSAGES = [[b"topic", b"", b"x" * 255], [b"y" * 256], [b"z" * 70_000, b"end"]]
STREAM = GREETING + ready_command("PUB") + b"".join(map(pack_message, MESSAGES))


@pytest.mark.parametrize("step", [1, 2, 9, 63, 64, 65, 4096, len(STREAM)])
def test_messages_come_whole_however_their_bytes_are_cut(step: int) -> None:
    reader = MessageReader()
    heard: list[list[bytes]] = []
    for start in range(0, len(STREAM), step):
        heard += reader.feed(STREAM[start : start + step])
    assert heard == MESSAGES
    assert reader.is_ready


def test_a_peer_is_not_ready_before_it_says_so() -> None:
    reader = MessageReader()
    assert reader.feed(GREETING) == []
    assert not reader.is_ready
    reader.feed(ready_command("ROUTER"))
    assert reader.is_ready


def test_a_ping_is_answered_with_what_it_carries() -> None:
    reader = MessageReader()
    ping = b"\x04PING\x00\x0acontext"
    reader.feed(GREETING + ready_command("PUB") + bytes([4, len(ping)]) + ping)
    assert reader.replies == [bytes([4, 12]) + b"\x04PONGcontext"]


def test_the_identity_is_a_property_of_the_greeting() -> None:
    assert b"\x08Identity\x00\x00\x00\x04abcd" in ready_command("DEALER", b"abcd")
    assert b"Identity" not in ready_command("SUB")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("no signature", b"GET / HTTP/1.1\r\n".ljust(64, b"x")),
        ("version 2", GREETING[:10] + b"\x01" + GREETING[11:]),
        ("another mechanism", GREETING[:12] + b"CURVE".ljust(20, b"\0") + GREETING[32:]),
        ("an error", GREETING + b"\x04\x0a\x05ERROR\x03bad"),
    ],
)
def test_a_peer_that_speaks_otherwise_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(BrokenPeer):
        MessageReader().feed(data)
