"""What the load client reads and writes, in both formats."""

from __future__ import annotations

import json

from bench.channel_frames import execute_request, received, v1_frame, v1_parts


def kernel_parts(kind: str, content: dict[str, object]) -> list[bytes]:
    header = {"msg_id": "k_1", "msg_type": kind, "session": "k", "date": "2026-01-01T00:00:00Z"}
    parent = {"msg_id": "c_7", "msg_type": "execute_request"}
    return [json.dumps(part).encode() for part in (header, parent, {}, content)]


def test_a_v1_frame_gives_its_parts_back_empty_ones_too() -> None:
    parts = [b"{}", b"", b"\x00\xff" * 1000, b"{}", b"buffer"]
    assert v1_parts(v1_frame("iopub", parts)) == [b"iopub", *parts]


def test_a_request_says_the_same_in_both_formats() -> None:
    as_text = execute_request("c_7", "c", "5", "json")
    as_frame = execute_request("c_7", "c", "5", "v1")
    assert isinstance(as_text, str)
    assert isinstance(as_frame, bytes)
    message = json.loads(as_text)
    channel, header, parent, metadata, content = v1_parts(as_frame)
    assert channel == message["channel"].encode()
    assert json.loads(header) == message["header"]
    assert (json.loads(parent), json.loads(metadata)) == ({}, {})
    assert json.loads(content) == message["content"]


def test_a_message_is_read_alike_in_both_formats() -> None:
    parts = kernel_parts("stream", {"name": "stdout", "text": "1"})
    header, parent, metadata, content = map(json.loads, parts)
    text = json.dumps(
        {
            "channel": "iopub",
            "header": header,
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
            "buffers": [],
        }
    )
    assert received(text) == received(v1_frame("iopub", parts))
    assert received(text).kind == "stream"
    assert received(text).parent_id == "c_7"


def test_a_status_is_told_by_its_state() -> None:
    frame = v1_frame("iopub", kernel_parts("status", {"execution_state": "idle"}))
    assert received(frame).kind == "idle"
