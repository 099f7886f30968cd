from __future__ import annotations

import os
import random

import pytest

from kernels_app.relay.web_frames import (
    BINARY,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Kind,
    Received,
    frame_head,
    unmask,
)


def client_frame(opcode: int, payload: bytes, *, key: bytes | None = None) -> bytes:
    """A whole frame as a client sends it."""
    mask = os.urandom(4) if key is None else key
    head = bytearray(frame_head(opcode, len(payload)))
    head[1] |= 0x80
    return bytes(head) + mask + unmask(payload, mask)


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65535, 65536, 200_000])
def test_a_message_of_any_size_is_read(size: int) -> None:
    payload = os.urandom(size)
    assert FrameReader(1 << 20).feed(client_frame(BINARY, payload)) == [Received(Kind.BINARY, payload)]


def test_the_example_of_the_standard_is_read() -> None:
    # RFC 6455, 5.7: a single-frame masked text message "Hello".
    assert FrameReader(100).feed(bytes.fromhex("818537fa213d7f9f4d5158")) == [Received(Kind.TEXT, b"Hello")]


def test_however_the_bytes_are_cut_the_messages_are_the_same() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(50):
        wanted: list[Received] = []
        stream = b""
        for _ in range(20):
            payload = chance.randbytes(chance.choice([0, 5, 125, 126, 1000, 70_000]))
            opcode, kind = chance.choice([(TEXT, Kind.TEXT), (BINARY, Kind.BINARY)])
            wanted.append(Received(kind, payload))
            stream += client_frame(opcode, payload)
        reader, found, position = FrameReader(1 << 20), [], 0
        while position < len(stream):
            step = chance.choice([1, 2, 3, 7, 100, 5000, 100_000])
            found += reader.feed(stream[position : position + step])
            position += step
        assert found == wanted, seed


def test_answers_to_pings_are_told_and_pings_are_handed_on_whole() -> None:
    ping = client_frame(PING, b"x")
    found = FrameReader(100).feed(client_frame(PONG, b"mine") + ping + client_frame(TEXT, b"t"))
    assert found == [
        Received(Kind.PONG, b"mine"),
        Received(Kind.CONTROL, ping),
        Received(Kind.TEXT, b"t"),
    ]


@pytest.mark.parametrize(
    "unusual",
    [
        b"\x01" + client_frame(TEXT, b"part")[1:],  # a message in pieces
        b"\xc1" + client_frame(TEXT, b"compressed")[1:],
        frame_head(TEXT, 4) + b"abcd",  # not masked
        client_frame(TEXT, b"x" * 101),  # longer than allowed
        client_frame(0x3, b"unknown"),
        b"\x89\xff" + b"\x00" * 12,  # a ping of a length that no ping may have
    ],
    ids=["in pieces", "compressed", "not masked", "too long", "unknown kind", "long ping"],
)
def test_whatever_is_unusual_is_handed_back_with_all_that_follows(unusual: bytes) -> None:
    follows = client_frame(TEXT, b"later")
    found = FrameReader(100).feed(client_frame(TEXT, b"before") + unusual + follows)
    assert found == [Received(Kind.TEXT, b"before"), Received(Kind.REST, unusual + follows)]


def test_a_huge_message_in_small_pieces_is_read_in_linear_time() -> None:
    payload = bytes(16 << 20)
    frame = client_frame(BINARY, payload)
    reader, found = FrameReader(1 << 30), []
    for position in range(0, len(frame), 4096):
        found += reader.feed(frame[position : position + 4096])
    assert found == [Received(Kind.BINARY, payload)]
