"""Frames of the document socket."""

from __future__ import annotations

import json

import pytest

from kernels_app.bus.identifiers import StreamId
from notebooks_app.sync import frames
from notebooks_app.sync.varint import BadEncoding


@pytest.mark.parametrize(
    "frame", [b"", b"\x00{}", b"\x02", b"\x03\x00\x00", b"\x04", b"\x08\x00", b"\xf1" + b"4403"]
)
def test_what_a_client_may_not_send_is_refused(frame: bytes) -> None:
    with pytest.raises(BadEncoding):
        frames.decode_client_frame(frame)


def test_client_frames_are_decoded() -> None:
    assert frames.decode_client_frame(b"\x01\x00") == frames.SyncRequest(b"\x00")
    assert frames.decode_client_frame(b"\x03\x00\x00\x01\x02ab") == frames.ClientUpdate(258, b"ab")
    assert frames.decode_client_frame(b"\x06xy") == frames.AwarenessFrame(b"xy")
    assert frames.decode_client_frame(b"\x08\x00\x00\x00\x07") == frames.Echo(7)


def test_server_frames_have_the_documented_bytes() -> None:
    hello = frames.Hello(
        epoch="e", role="editor", client_prefix="00", stream_id=StreamId("1-0"), max_update_bytes=9
    )
    assert frames.encode_hello(hello)[:1] == b"\x00"
    assert json.loads(frames.encode_hello(hello)[1:]) == {
        "epoch": "e",
        "role": "editor",
        "client_prefix": "00",
        "stream_id": "1-0",
        "max_update_bytes": 9,
    }
    assert frames.encode_sync(state_vector=b"sv", update=b"up") == b"\x02\x00\x00\x00\x02svup"
    assert frames.encode_ack(5, StreamId("12-3")) == b"\x04\x00\x00\x00\x0512-3"
    assert frames.encode_durable(StreamId("12-3")) == b"\x0512-3"
    assert frames.encode_echo(1) == b"\x08\x00\x00\x00\x01"
    refused = frames.encode_refused(2, code="viewer", message="no")
    assert refused[:5] == b"\x07\x00\x00\x00\x02"
    assert json.loads(refused[5:]) == {"code": "viewer", "message": "no", "details": {}}


def test_the_log_holds_updates_only() -> None:
    message = frames.encode_topic_message(b"12345678", frames.encode_update(b"u"))
    assert frames.logged_update(message) == b"u"
    assert frames.decode_topic_message(message).sender == b"12345678"
    for bad in (b"", b"12345678", frames.encode_topic_message(b"12345678", frames.encode_echo(1))):
        with pytest.raises(BadEncoding):
            frames.logged_update(bad)
