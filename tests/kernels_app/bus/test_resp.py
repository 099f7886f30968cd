from __future__ import annotations

import random

import pytest

from kernels_app.bus.redis_commands import Address, checked, parse_address
from kernels_app.bus.resp import ProtocolError, ReplyError, ReplyParser, encode_command
from kernels_app.bus.transport import TransportError

STREAM = (
    b"+OK\r\n:42\r\n:-7\r\n$5\r\nhe\r\no\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n+x\r\n-NOGROUP no such group\r\n$3\r\nend\r\n"
)
EXPECTED: list[object] = [b"OK", 42, -7, b"he\r\no", b"", None, None, [], [b"a", [1, None], b"x"]]


@pytest.mark.parametrize(
    "data", [b"hello\r\n", b"$x\r\n", b":1x\r\n", b"$99999999999\r\n", b"\r\n", b"*x\r\n"]
)
def test_what_is_no_reply_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ReplyParser().feed(data)


def test_replies_come_out_however_the_stream_is_cut() -> None:
    seed = random.randrange(1 << 32)
    source = random.Random(seed)
    for _ in range(300):
        parser = ReplyParser()
        rest, replies = STREAM, []
        while rest:
            size = source.choice((1, 2, 5, 20, 1000))
            replies += parser.feed(rest[:size])
            rest = rest[size:]
        assert replies[:-2] == EXPECTED, f"seed {seed}"
        assert isinstance(replies[-2], ReplyError)
        assert replies[-2].code == "NOGROUP"
        assert replies[-1] == b"end"


def test_a_large_value_in_small_pieces_is_read_in_time_linear_in_its_size() -> None:
    parser = ReplyParser()
    value = b"x" * 20_000_000
    data = b"$%d\r\n%b\r\n+OK\r\n" % (len(value), value)
    replies: list[object] = []
    for start in range(0, len(data), 4096):
        replies += parser.feed(data[start : start + 4096])
    assert replies == [value, b"OK"]


def test_commands_are_arrays_of_bulk_strings() -> None:
    assert encode_command(("SET", b"k\r\n", 12, "ä")) == (
        b"*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n12\r\n$2\r\n\xc3\xa4\r\n"
    )


@pytest.mark.parametrize("url", ["", "http://x", "redis://h:port", "redis://h/x", "unix", "memory:/x"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"Redis address"):
        parse_address(url)


def test_a_wrong_address_does_not_show_its_password() -> None:
    with pytest.raises(ValueError, match=r"not a number") as caught:
        parse_address("redis://:hunter2@host:notaport")
    assert "hunter2" not in str(caught.value)


def test_addresses_are_read() -> None:
    assert parse_address("unix:///run/v.sock?db=2") == Address(path="/run/v.sock", database=2)
    assert parse_address("redis://h") == Address(host="h")
    assert parse_address("rediss://u:p%40ss@h:7000/3") == Address(
        host="h", port=7000, database=3, username="u", password="p@ss", is_tls=True
    )
    assert parse_address("redis://u:p@h/3").greeting() == [("AUTH", "u", "p"), ("SELECT", 3)]
    assert parse_address("redis://:p@h").greeting() == [("AUTH", "p")]


@pytest.mark.parametrize(
    "text",
    [
        "LOADING something",
        "OOM something",
        "MISCONF something",
        "READONLY something",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "NOREPLICAS Not enough good replicas to write.",
        "ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -READONLY You can't write.",
        "ERR Error running script (call to f_1): @user_script:2: -OOM command not allowed",
    ],
)
def test_what_passes_by_is_the_wire_not_being_there(text: str) -> None:
    with pytest.raises(TransportError) as caught:
        checked(ReplyError(text))
    assert not isinstance(caught.value, ReplyError)


def test_our_own_mistake_is_not_tried_again() -> None:
    with pytest.raises(ReplyError):
        checked(ReplyError("WRONGTYPE Operation against a key"))
    with pytest.raises(ReplyError):
        checked(ReplyError("ERR Error running script (call to f_1): @user_script:2: WRONGTYPE READS"))
