"""Frames of the WebSocket protocol, server's side: just what a busy relay needs. Pure.

Source: RFC 6455, section 5 (Data Framing).
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import NamedTuple

TEXT = 0x1
BINARY = 0x2
PING = 0x9
PONG = 0xA
_FIN = 0x80
_MASKED = 0x80
_CONTROL = 0x8

_short = struct.Struct("!BB").pack
_medium = struct.Struct("!BBH").pack
_long = struct.Struct("!BBQ").pack


def frame_head(opcode: int, size_bytes: int) -> bytes:
    """What goes before the payload of a whole, unmasked message."""
    if size_bytes < 126:
        return _short(_FIN | opcode, size_bytes)
    if size_bytes < 65536:
        return _medium(_FIN | opcode, 126, size_bytes)
    return _long(_FIN | opcode, 127, size_bytes)


def unmask(payload: bytes, key: bytes) -> bytes:
    """The payload of a client's frame. `key` has four bytes."""
    size = len(payload)
    if not size:
        return b""
    repeated = (key * (size // 4 + 1))[:size]
    value = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return value.to_bytes(size, "little")


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """A whole message as a client sends it; the key is zero, which leaves the payload as it is."""
    head = bytearray(frame_head(opcode, len(payload)))
    head[1] |= _MASKED
    return bytes(head) + bytes(4) + payload


class Kind(Enum):
    TEXT = "text"
    BINARY = "binary"
    PONG = "pong"
    # A ping or close: the whole frame as it came, for who speaks the protocol.
    CONTROL = "control"
    # Nothing more is read here: all that is left, as it came (a message in pieces, one that is too long, nonsense).
    REST = "rest"


class Received(NamedTuple):
    kind: Kind
    data: bytes


_KINDS = {_FIN | TEXT: Kind.TEXT, _FIN | BINARY: Kind.BINARY, _FIN | PONG: Kind.PONG}


class FrameReader:
    """Whole messages out of a client's bytes, however they are cut. Whatever is unusual is handed back as it came."""

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._needed = 2

    def feed(self, data: bytes) -> list[Received]:
        """What `data` completes, in order. After a REST it must not be called again."""
        if self._pieces:
            self._pieces.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return []
            data = b"".join(self._pieces)
            self._pieces = []
        found: list[Received] = []
        position, size = 0, len(data)
        self._needed = 2
        while size - position >= 2:
            first, second = data[position], data[position + 1]
            length, start = second & 0x7F, position + 2
            if length == 126:
                if size < position + 4:
                    self._needed = 4
                    break
                length, start = int.from_bytes(data[position + 2 : position + 4], "big"), position + 4
            elif length == 127:
                if size < position + 10:
                    self._needed = 10
                    break
                length, start = int.from_bytes(data[position + 2 : position + 10], "big"), position + 10
            kind = _KINDS.get(first)
            if first & _CONTROL:
                if start > position + 2 or first & 0x70 or not first & _FIN:
                    kind = None  # control messages are short and whole
                elif kind is None:
                    kind = Kind.CONTROL
            if kind is None or not second & _MASKED or length > self._max_message_bytes:
                found.append(Received(Kind.REST, data[position:]))
                return found
            end = start + 4 + length
            if end > size:
                self._needed = end - position
                break
            if kind is Kind.CONTROL:
                found.append(Received(kind, data[position:end]))
            else:
                found.append(Received(kind, unmask(data[start + 4 : end], data[start : start + 4])))
            position = end
        if position < size:
            self._pieces = [data[position:]] if position else [data]
            self._size = size - position
        return found
