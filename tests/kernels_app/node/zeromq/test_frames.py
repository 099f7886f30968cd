from __future__ import annotations

import json

import pytest

from kernels_app.node.zeromq.frames import DELIMITER, InvalidMessage, MessageParser, build_message
from kernels_app.node.zeromq.signing import Signer

SIGNER = Signer(b"key")
PARSER = MessageParser(SIGNER)


def built(**changes: bytes) -> list[bytes]:
    content = changes.get("content", b'{"code":"1"}')
    return build_message(
        "execute_request",
        content,
        msg_id="m1",
        session_id="s1",
        date="2030-01-01T00:00:00+00:00",
        signer=SIGNER,
        parent_header=changes.get("parent_header", b"{}"),
    )


def test_signatures_are_those_of_the_wire_protocol() -> None:
    # From Python's own hmac, over the concatenation: what jupyter_client's Session checks.
    import hashlib
    import hmac

    frames = [b"{}", b"{}", b"{}", b'{"x": 1}']
    expected = hmac.new(b"key", b"".join(frames), hashlib.sha256).hexdigest().encode()
    assert SIGNER.sign(frames) == expected
    assert SIGNER.sign(frames) == expected  # the keyed state is not used up
    assert SIGNER.is_valid(expected, frames)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"x"],
        [DELIMITER],
        [DELIMITER, b"sig", b"{}", b"{}", b"{}"],
        [DELIMITER, b"", b"{}", b"{}", b"{}", b"{}"],
        [DELIMITER, b"\xff" * 64, b"{}", b"{}", b"{}", b"{}"],
        [DELIMITER, SIGNER.sign([b"[]"] * 4), b"[]", b"[]", b"[]", b"[]"],
        [DELIMITER, SIGNER.sign([b"{", b"{}", b"{}", b"{}"]), b"{", b"{}", b"{}", b"{}"],
        [DELIMITER, Signer(b"other").sign([b"{}"] * 4), b"{}", b"{}", b"{}", b"{}"],
    ],
)
def test_what_is_no_message_of_this_kernel_is_refused(frames: list[bytes]) -> None:
    with pytest.raises(InvalidMessage):
        PARSER.parse(frames)


@pytest.mark.parametrize("position", range(1, 6))
def test_a_changed_frame_is_refused(position: int) -> None:
    frames = built()
    frames[position] += b" "
    with pytest.raises(InvalidMessage, match="signature"):
        PARSER.parse(frames)


def test_content_that_is_no_object_is_refused_when_it_is_asked_for() -> None:
    message = PARSER.parse(built(content=b"[1]"))
    with pytest.raises(InvalidMessage):
        message.content()
    message = PARSER.parse(built(content=b"{" * 100_000))
    with pytest.raises(InvalidMessage):
        message.content()


def test_a_message_comes_back_with_its_parent_and_buffers() -> None:
    parent = json.dumps({"msg_id": "p1", "msg_type": "execute_request", "unknown": 1}).encode()
    frames = [b"identity", b"topic", *built(parent_header=parent), b"buffer 1", b"\x00"]
    message = PARSER.parse(frames)
    assert (message.msg_type, message.msg_id, message.parent_id) == ("execute_request", "m1", "p1")
    assert message.content() == {"code": "1"}
    assert message.metadata() == {}
    assert message.buffers == [b"buffer 1", b"\x00"]
    assert json.loads(message.header)["session"] == "s1"


def test_python_kernels_nan_and_lone_surrogates_are_read() -> None:
    message = PARSER.parse(built(content=b'{"x": NaN, "y": "\\ud800"}'))
    content = message.content()
    assert content["x"] != content["x"]
    assert content["y"] == "\ud800"


def test_each_message_has_the_parent_it_came_with() -> None:
    parser = MessageParser(SIGNER)
    for parent_id in ("p1", "p1", "", "p2", "p1"):
        parent = json.dumps({"msg_id": parent_id}).encode() if parent_id else b"{}"
        assert parser.parse(built(parent_header=parent)).parent_id == parent_id
    with pytest.raises(InvalidMessage):
        parser.parse(built(parent_header=b"["))
    assert parser.parse(built(parent_header=b'{"msg_id": "p1"}')).parent_id == "p1"
