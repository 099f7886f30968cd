"""Frames of Jupyter's kernel channels in both formats, as far as a client that counts needs them (pure).

Source: jupyter_server, "WebSocket kernel wire protocols": the default JSON format and
v1.kernel.websocket.jupyter.org.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any, Literal

import msgspec

WireFormat = Literal["json", "v1"]
SUBPROTOCOLS: dict[WireFormat, list[str]] = {"json": [], "v1": ["v1.kernel.websocket.jupyter.org"]}


class Header(msgspec.Struct):
    """What a header is counted by; a parent header may be empty."""

    msg_id: str = ""
    msg_type: str = ""


class Status(msgspec.Struct):
    execution_state: str = ""


class JsonMessage(msgspec.Struct):
    channel: str
    header: Header
    parent_header: Header = msgspec.field(default_factory=Header)
    content: Status = msgspec.field(default_factory=Status)


class Received(msgspec.Struct, frozen=True):
    """One message of the kernel: `kind` is its type, for a status `busy`, `idle` or `starting`."""

    msg_id: str
    parent_id: str
    kind: str


_HEADER = msgspec.json.Decoder(Header)
_STATUS = msgspec.json.Decoder(Status)
_JSON = msgspec.json.Decoder(JsonMessage)
_ENCODER = msgspec.json.Encoder()
# How many offsets, then where channel, header, parent header, metadata and content begin, and what is behind them.
_OFFSETS = struct.Struct("<7Q")


def execute_request(msg_id: str, kernel_session: str, code: str, wire_format: WireFormat) -> str | bytes:
    """A frame that asks for one execution."""
    header = {
        "msg_id": msg_id,
        "msg_type": "execute_request",
        "session": kernel_session,
        "username": "bench",
        "version": "5.4",
        "date": "2026-01-01T00:00:00.000000Z",
    }
    content: dict[str, Any] = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    if wire_format == "json":
        message = {
            "channel": "shell",
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "buffers": [],
        }
        return _ENCODER.encode(message).decode()
    return v1_frame("shell", [_ENCODER.encode(part) for part in (header, {}, {}, content)])


def v1_frame(channel: str, parts: list[bytes]) -> bytes:
    """uint64 number of offsets, the offsets, the channel's name, the parts."""
    blocks = [channel.encode(), *parts]
    position = 8 * (len(blocks) + 2)
    offsets = [position]
    for block in blocks:
        position += len(block)
        offsets.append(position)
    head = b"".join(number.to_bytes(8, "little") for number in (len(offsets), *offsets))
    return head + b"".join(blocks)


def v1_parts(frame: bytes) -> list[bytes]:
    """The parts of a frame: channel, header, parent header, metadata, content, buffers."""
    count = int.from_bytes(frame[:8], "little")
    offsets = [int.from_bytes(frame[8 * n : 8 * n + 8], "little") for n in range(1, count + 1)]
    return [frame[start:end] for start, end in itertools.pairwise(offsets)]


def received(frame: str | bytes) -> Received:
    """What a frame of the server says; the default format sends text, or bytes when it has buffers."""
    if isinstance(frame, str):
        message = _JSON.decode(frame)
        kind = message.header.msg_type
        if kind == "status":
            kind = message.content.execution_state
        return Received(message.header.msg_id, message.parent_header.msg_id, kind)
    _, _, header_at, parent_at, metadata_at, content_at, end = _OFFSETS.unpack_from(frame)
    view = memoryview(frame)
    header = _HEADER.decode(view[header_at:parent_at])
    parent = _HEADER.decode(view[parent_at:metadata_at])
    kind = header.msg_type
    if kind == "status":
        kind = _STATUS.decode(view[content_at:end]).execution_state
    return Received(header.msg_id, parent.msg_id, kind)
