"""Messages of a kernel's channels as they travel between Jupyter clients, hub and node. Pure.

On the bus a message is always in the form of `v1.kernel.websocket.jupyter.org`: offsets, the name of the channel, then
the kernel's own frames (header, parent header, metadata, content, buffers), untouched. Clients of Jupyter's default
form get the same bytes in another order. Nobody decodes content on the way.

Source: Jupyter Server, "WebSocket protocols" (developer documentation), and what its serialisers put out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import msgspec

V1_PROTOCOL = "v1.kernel.websocket.jupyter.org"
ChannelName = Literal["shell", "iopub", "stdin", "control"]
CHANNEL_NAMES: tuple[ChannelName, ...] = get_args(ChannelName)
# Header, parent header, metadata and content come before the buffers.
JSON_FRAMES = 4
MAX_OFFSETS = 10_000
MAX_BUFFERS = MAX_OFFSETS - JSON_FRAMES - 2

# By number of kernel frames: packs the offsets.
_PACKERS: dict[int, struct.Struct] = {}
_NO_BUFFERS = struct.Struct("<7Q")
_NO_BUFFERS_BYTES = _NO_BUFFERS.size


class InvalidChannelMessage(Exception):
    """Bytes that are no message of a channel. The text says what is wrong, without the content."""


class UnknownChannel(InvalidChannelMessage):
    """A message for a channel that kernels do not have: Jupyter Server ignores it."""


class ClientHeader(msgspec.Struct):
    """What is read of a header, wherever it comes from."""

    msg_id: str
    msg_type: str
    session: str = ""


class _JsonMessage(msgspec.Struct):
    """A message of a client in the default form, its parts as they are."""

    header: msgspec.Raw
    content: msgspec.Raw = msgspec.Raw(b"{}")
    parent_header: msgspec.Raw = msgspec.Raw(b"{}")
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    channel: str | None = None


_header_decoder = msgspec.json.Decoder(ClientHeader)
_message_decoder = msgspec.json.Decoder(_JsonMessage)
_encode_text = msgspec.json.Encoder().encode


def pack_message(channel: str, frames: Sequence[bytes]) -> bytes:
    """A message in the v1 form: `frames` are the kernel's from the header on."""
    name = channel.encode()
    count = len(frames)
    if count == JSON_FRAMES:
        header, parent_header, metadata, content = frames
        first = _NO_BUFFERS_BYTES + len(name)
        second = first + len(header)
        third = second + len(parent_header)
        fourth = third + len(metadata)
        offsets_frame = _NO_BUFFERS.pack(
            JSON_FRAMES + 2, _NO_BUFFERS_BYTES, first, second, third, fourth, fourth + len(content)
        )
        return b"".join((offsets_frame, name, header, parent_header, metadata, content))
    packer = _PACKERS.get(count)
    if packer is None:
        packer = struct.Struct(f"<{count + 3}Q")
        if len(_PACKERS) < 64:
            _PACKERS[count] = packer
    position = 8 * (count + 3)
    offsets = [count + 2, position]
    position += len(name)
    offsets.append(position)
    for frame in frames:
        position += len(frame)
        offsets.append(position)
    return b"".join((packer.pack(*offsets), name, *frames))


def check_message(message: bytes) -> None:
    """Whether the message is one in the v1 form, without taking it apart.

    Raises:
        UnknownChannel, InvalidChannelMessage
    """
    offsets = _offsets(message)
    _channel(message[offsets[0] : offsets[1]].decode("utf-8", "replace"))


def unpack_message(message: bytes) -> tuple[ChannelName, list[bytes]]:
    """Channel and kernel frames of a message in the v1 form.

    Raises:
        InvalidChannelMessage
    """
    offsets = _offsets(message)
    return (
        _channel(message[offsets[0] : offsets[1]].decode("utf-8", "replace")),
        [message[start:end] for start, end in pairwise(offsets[1:])],
    )


def _offsets(message: bytes) -> tuple[int, ...]:
    if len(message) < 8:
        raise InvalidChannelMessage("The message is cut off.")
    count = int.from_bytes(message[:8], "little")
    if not JSON_FRAMES + 2 <= count <= MAX_OFFSETS:
        raise InvalidChannelMessage("The number of offsets is wrong.")
    start = 8 * (count + 1)
    if len(message) < start:
        raise InvalidChannelMessage("The offsets are cut off.")
    offsets = struct.unpack_from(f"<{count}Q", message, 8)
    if offsets[0] != start or offsets[-1] != len(message):
        raise InvalidChannelMessage("The offsets do not fit the message.")
    for before, after in pairwise(offsets):
        if after < before:
            raise InvalidChannelMessage("The offsets are out of order.")
    return offsets


def to_json_form(message: bytes) -> str | bytes:
    """A message of ours (v1 form) as Jupyter's default form has it: text, or binary when it has buffers."""
    channel, frames = unpack_message(message)
    header, parent_header, metadata, content = frames[:JSON_FRAMES]
    buffers = frames[JSON_FRAMES:]
    known = _header_decoder.decode(header)
    text = b"".join(
        (
            b'{"header":', header,
            b',"msg_id":', _encode_text(known.msg_id),
            b',"msg_type":', _encode_text(known.msg_type),
            b',"parent_header":', parent_header,
            b',"metadata":', metadata,
            b',"content":', content,
            b',"channel":"', channel.encode(), b'"',
            b"}" if buffers else b',"buffers":[]}',
        )
    )  # fmt: skip
    if not buffers:
        # A kernel may send what is no UTF-8; as text it would end the socket.
        return text.decode("utf-8", "replace")
    count = len(buffers) + 1
    offsets = [4 * (count + 1)]
    position = offsets[0] + len(text)
    for buffer in buffers:
        offsets.append(position)
        position += len(buffer)
    return b"".join((struct.pack(f"!{count + 1}I", count, *offsets), text, *buffers))


def from_json_form(message: str | bytes) -> bytes:
    """A client's message in the default form (text, or binary with buffers), in the v1 form. Without a channel: shell.

    Raises:
        UnknownChannel, InvalidChannelMessage
    """
    buffers: list[bytes] = []
    if isinstance(message, bytes):
        message, buffers = _split_binary(message)
    try:
        parts = _message_decoder.decode(message)
        frames = [
            bytes(parts.header),
            bytes(parts.parent_header),
            bytes(parts.metadata),
            bytes(parts.content),
        ]
        channel = "shell" if parts.channel is None else parts.channel
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Clients in Python send NaN and lone surrogates, which strict JSON does not have.
        channel, frames = _decode_loosely(message)
    for index in (1, 2):
        if frames[index] == b"null":
            frames[index] = b"{}"
    return pack_message(_channel(channel), [*frames, *buffers])


def header_of(frame: bytes) -> ClientHeader:
    """Raises InvalidChannelMessage when it is none."""
    try:
        return _header_decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidChannelMessage("The header has no msg_id or no msg_type.") from error


def _channel(name: str) -> ChannelName:
    if name not in CHANNEL_NAMES:
        raise UnknownChannel("There is no such channel.")
    return name


def _split_binary(message: bytes) -> tuple[bytes, list[bytes]]:
    if len(message) < 8:
        raise InvalidChannelMessage("The message is cut off.")
    count = int.from_bytes(message[:4], "big")
    if not 1 <= count <= MAX_BUFFERS or len(message) < 4 * (count + 1):
        raise InvalidChannelMessage("The number of buffers is wrong.")
    offsets = [*struct.unpack_from(f"!{count}I", message, 4), len(message)]
    if offsets[0] != 4 * (count + 1) or any(after < before for before, after in pairwise(offsets)):
        raise InvalidChannelMessage("The offsets do not fit the message.")
    parts = [message[start:end] for start, end in pairwise(offsets)]
    return parts[0], parts[1:]


def _decode_loosely(message: str | bytes) -> tuple[str, list[bytes]]:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise InvalidChannelMessage("The message is not JSON.") from error
    if not isinstance(value, dict) or not isinstance(value.get("header"), dict):
        raise InvalidChannelMessage("The message has no header.")
    channel = value.get("channel")
    if channel is None:
        channel = "shell"
    if not isinstance(channel, str):
        raise UnknownChannel("There is no such channel.")
    return channel, [
        json.dumps(value.get(name) or {}).encode()
        for name in ("header", "parent_header", "metadata", "content")
    ]
