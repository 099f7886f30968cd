"""Kernel messages from and to the frames of the wire protocol. Pure.

Source: Jupyter messaging 5.4, The Wire Protocol.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from kernels_app.node.zeromq.signing import Signer

DELIMITER = b"<IDS|MSG>"
PROTOCOL_VERSION = "5.4"
SIGNED_FRAMES = 4


class InvalidMessage(Exception):
    """Frames that are no message of this kernel: wrong shape, wrong signature or no JSON."""


class Header(msgspec.Struct, frozen=True):
    msg_id: str = ""
    msg_type: str = ""


class _Status(msgspec.Struct):
    execution_state: str = ""


class KernelMessage(msgspec.Struct, frozen=True, gc=False):
    """One message as it came. Header and parent are parsed; content is parsed by who needs it."""

    msg_type: str
    msg_id: str
    parent_id: str
    header: bytes
    metadata_frame: bytes
    content_frame: bytes
    buffers: list[bytes] = []
    parent_frame: bytes = b"{}"

    def content(self) -> dict[str, Any]:
        """Raises InvalidMessage when it is not a JSON object."""
        return _object(self.content_frame)

    def metadata(self) -> dict[str, Any]:
        if self.metadata_frame == b"{}":
            return {}  # of nearly all messages
        return _object(self.metadata_frame)

    def execution_state(self) -> str:
        """Of a status message. Raises InvalidMessage when it is not a JSON object with a text of this name."""
        try:
            return _status_decoder.decode(self.content_frame).execution_state
        except msgspec.DecodeError:
            raise InvalidMessage("A status message is not what it should be.") from None

    @property
    def size_bytes(self) -> int:
        return len(self.content_frame) + len(self.metadata_frame) + sum(map(len, self.buffers))


_header_decoder = msgspec.json.Decoder(Header)
_any_decoder = msgspec.json.Decoder()
_status_decoder = msgspec.json.Decoder(_Status)


def _object(frame: bytes) -> dict[str, Any]:
    try:
        value = _any_decoder.decode(frame)
    except msgspec.DecodeError:
        # Python kernels send NaN and lone surrogates, which strict JSON does not have.
        try:
            value = json.loads(frame)
        except (ValueError, RecursionError) as error:
            raise InvalidMessage("A frame is not JSON.") from error
    if not isinstance(value, dict):
        raise InvalidMessage("A frame is not a JSON object.")
    return value


def _header(frame: bytes) -> Header:
    try:
        return _header_decoder.decode(frame)
    except msgspec.DecodeError as error:
        raise InvalidMessage("A header is not what it should be.") from error


class MessageParser:
    """Reads the messages of one kernel, which carry its signature."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        # The header that messages of the last while answer: all of one cell have the same.
        self._parent_frame = b"{}"
        self._parent_id = ""

    def parse(self, frames: Sequence[bytes]) -> KernelMessage:
        """Raises InvalidMessage."""
        try:
            start = frames.index(DELIMITER) + 1
        except ValueError as error:
            raise InvalidMessage("The delimiter is missing.") from error
        if len(frames) < start + 1 + SIGNED_FRAMES:
            raise InvalidMessage("Frames are missing.")
        signed = frames[start + 1 : start + 1 + SIGNED_FRAMES]
        if not self._signer.is_valid(frames[start], signed):
            raise InvalidMessage("The signature is wrong.")
        header_frame, parent_frame, metadata_frame, content_frame = signed
        header = _header(header_frame)
        if parent_frame != self._parent_frame:
            self._parent_id = "" if parent_frame == b"{}" else _header(parent_frame).msg_id
            self._parent_frame = parent_frame
        return KernelMessage(
            msg_type=header.msg_type,
            msg_id=header.msg_id,
            parent_id=self._parent_id,
            header=header_frame,
            metadata_frame=metadata_frame,
            content_frame=content_frame,
            buffers=list(frames[start + 1 + SIGNED_FRAMES :]),
            parent_frame=parent_frame,
        )


def build_message(
    msg_type: str,
    content: bytes,
    *,
    msg_id: str,
    session_id: str,
    date: str,
    signer: Signer,
    parent_header: bytes = b"{}",
    metadata: bytes = b"{}",
    buffers: Sequence[bytes] = (),
) -> list[bytes]:
    """Signed frames. `content`, `metadata` and `parent_header` are JSON; `date` is ISO 8601."""
    header = msgspec.json.encode(
        {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "username": "hub",
            "session": session_id,
            "date": date,
            "version": PROTOCOL_VERSION,
        }
    )
    signed = [header, parent_header, metadata, content]
    return [DELIMITER, signer.sign(signed), *signed, *buffers]
