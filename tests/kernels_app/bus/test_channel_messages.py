"""Both forms of a channel's message, against what Jupyter Server's own serialisers put out."""

from __future__ import annotations

import json
import random
import struct

import pytest

from kernels_app.bus.channel_messages import (
    CHANNEL_NAMES,
    InvalidChannelMessage,
    UnknownChannel,
    check_message,
    from_json_form,
    header_of,
    pack_message,
    to_json_form,
    unpack_message,
)

HEADER = b'{"msg_id": "m1", "msg_type": "stream", "session": "s"}'
FRAMES = [HEADER, b'{"msg_id": "p"}', b"{}", b'{"text": "hi"}']
# Jupyter Server 2.21, serialize_msg_to_ws_v1(["{}", "{}", "{}", "{}"], "iopub")
EMPTY_V1 = (
    bytes.fromhex(
        "0600000000000000380000000000000 03d000000000000003f00000000000000"
        "410000000000000043000000000000004500000000000000".replace(" ", "")
    )
    + b"iopub{}{}{}{}"
)


def test_the_v1_form_is_that_of_jupyter_server() -> None:
    assert pack_message("iopub", [b"{}"] * 4) == EMPTY_V1
    assert unpack_message(EMPTY_V1) == ("iopub", [b"{}"] * 4)


def test_a_message_with_buffers_comes_back_as_it_went() -> None:
    frames = [*FRAMES, b"", b"\x00\xff" * 100, b"x"]
    assert unpack_message(pack_message("shell", frames)) == ("shell", frames)


def test_any_message_survives_both_forms() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(300):
        parts = [
            {"msg_id": f"m{chance.random()}", "msg_type": "x_request", "session": "é\u2028"},
            {},
            {"a": [1, None, True]},
            {"text": "".join(chance.choice('a"\\\né😀\u0000') for _ in range(chance.randrange(40)))},
        ]
        frames = [json.dumps(part, ensure_ascii=chance.random() < 0.5).encode() for part in parts]
        buffers = [chance.randbytes(chance.randrange(50)) for _ in range(chance.choice([0, 0, 1, 3]))]
        channel = chance.choice(CHANNEL_NAMES)
        message = pack_message(channel, [*frames, *buffers])
        assert unpack_message(message) == (channel, [*frames, *buffers]), seed
        assert from_json_form(to_json_form(message)) == message, seed


def test_the_default_form_is_text_with_all_fields_that_clients_read() -> None:
    form = to_json_form(pack_message("iopub", FRAMES))
    assert isinstance(form, str)
    assert json.loads(form) == {
        "header": json.loads(HEADER),
        "msg_id": "m1",
        "msg_type": "stream",
        "parent_header": {"msg_id": "p"},
        "metadata": {},
        "content": {"text": "hi"},
        "channel": "iopub",
        "buffers": [],
    }


def test_with_buffers_the_default_form_is_binary_with_big_endian_offsets() -> None:
    form = to_json_form(pack_message("iopub", [*FRAMES, b"abc", b"de"]))
    assert isinstance(form, bytes)
    count, *offsets = struct.unpack_from("!4I", form)
    assert count == 3
    assert json.loads(form[offsets[0] : offsets[1]])["content"] == {"text": "hi"}
    assert (form[offsets[1] : offsets[2]], form[offsets[2] :]) == (b"abc", b"de")


def test_text_that_is_no_utf8_does_not_end_the_socket() -> None:
    form = to_json_form(pack_message("iopub", [HEADER, b"{}", b"{}", b'{"text": "\xff\xfe"}']))
    assert isinstance(form, str)
    assert json.loads(form)["content"] == {"text": "\ufffd\ufffd"}


def test_what_clients_leave_out_is_filled_in() -> None:
    message = from_json_form('{"header": {"msg_id": "a", "msg_type": "b"}, "metadata": null}')
    assert unpack_message(message) == ("shell", [b'{"msg_id": "a", "msg_type": "b"}', b"{}", b"{}", b"{}"])


def test_nan_of_a_python_client_passes() -> None:
    form = '{"header": {"msg_id": "a", "msg_type": "b"}, "content": {"x": NaN}, "channel": "control"}'
    channel, frames = unpack_message(from_json_form(form))
    assert channel == "control"
    assert frames[3] == b'{"x": NaN}'


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x00" * 7,
        b"\x00" * 64,
        b"\xff" * 64,
        EMPTY_V1[:-1],
        EMPTY_V1 + b"x",
        EMPTY_V1.replace(b"iopub", b"iopuB"),
        struct.pack("<7Q", 6, 56, 40, 61, 63, 65, 67) + b"iopub{}{}{}",
        struct.pack("<Q", 1 << 60) + b"x" * 100,
    ],
)
def test_bytes_that_are_no_message_are_refused(bad: bytes) -> None:
    with pytest.raises(InvalidChannelMessage):
        unpack_message(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "[]",
        "nonsense",
        "{}",
        '{"header": 1}',
        '{"header": {}, "channel": "nowhere"}',
        '{"header": {}, "channel": 5}',
        '{"header": {}, "channel": ""}',
        '{"header": {}, "channel": "nowhere", "content": NaN}',
        b"",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\x00\x00\x00\x08{}",
        struct.pack("!3I", 2, 12, 500) + b"{}",
        struct.pack("!3I", 2, 8, 12) + b"{}",
        "[" * 100_000,
    ],
)
def test_forms_that_are_no_message_are_refused(bad: str | bytes) -> None:
    def read() -> None:
        header_of(unpack_message(from_json_form(bad))[1][0])

    with pytest.raises(InvalidChannelMessage):
        read()


@pytest.mark.parametrize("channel", ["5", '""', '"iopuB"', "[]"])
def test_a_channel_that_there_is_not_is_told_from_nonsense(channel: str) -> None:
    with pytest.raises(UnknownChannel):
        from_json_form(f'{{"header": {{"msg_id": "a", "msg_type": "b"}}, "channel": {channel}}}')
    with pytest.raises(UnknownChannel):
        check_message(EMPTY_V1.replace(b"iopub", b"iopuB"))


@pytest.mark.parametrize("rest", ["", ', "channel": null', ', "channel": null, "content": {"x": NaN}'])
def test_a_message_without_a_channel_is_for_the_shell(rest: str) -> None:
    message = from_json_form(f'{{"header": {{"msg_id": "a", "msg_type": "b"}}{rest}}}')
    assert unpack_message(message)[0] == "shell"


def test_random_bytes_are_refused_or_parsed_but_never_crash() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        data = bytearray(EMPTY_V1)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            unpack_message(bytes(data))
        except InvalidChannelMessage:
            continue
