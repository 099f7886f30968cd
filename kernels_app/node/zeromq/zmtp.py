"""ZeroMQ's wire protocol, as much of it as one end of a kernel's unix socket needs. Pure.

Source: ZMTP 3.0 (ZeroMQ RFC 23), security mechanism NULL; libzmq 4 speaks it with every peer that names this version.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from kernels_app.node.zeromq.incoming import MAX_FRAMES, MAX_MESSAGE_BYTES

_MORE, _LONG, _COMMAND = 0x01, 0x02, 0x04
_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_MECHANISM = b"NULL".ljust(20, b"\0")
# Signature, version 3.0, mechanism, "not a server", filler.
GREETING = _SIGNATURE + b"\x03\x00" + _MECHANISM + bytes(32)
# A subscription to everything is a message of one byte.
SUBSCRIPTION = b"\x00\x01\x01"
# Their names, and what a ping carries, are some bytes.
MAX_COMMAND_BYTES = 4096

_short = struct.Struct("!BB").pack
_long = struct.Struct("!BQ").pack


class BrokenPeer(Exception):
    """Bytes that are not this protocol, or a version or mechanism that is not spoken here."""


class MessageTooLarge(BrokenPeer):
    """A message has more bytes, or frames, than one may have."""


def ready_command(socket_type: str, identity: bytes = b"") -> bytes:
    """What follows the greeting. `socket_type` is ours: `DEALER`, `SUB`."""
    body = b"\x05READY" + _property(b"Socket-Type", socket_type.encode())
    if identity:
        body += _property(b"Identity", identity)
    return _short(_COMMAND, len(body)) + body


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


def pack_message(parts: Sequence[bytes]) -> bytes:
    """One message of these frames."""
    found: list[bytes] = []
    last = len(parts) - 1
    for index, part in enumerate(parts):
        flags, size = (_MORE if index < last else 0), len(part)
        found.append(_short(flags, size) if size < 256 else _long(flags | _LONG, size))
        found.append(part)
    return b"".join(found)


class MessageReader:
    """Messages out of a peer's bytes, however they are cut.

    `is_ready`: the peer has said that it is; libzmq takes no message before. `replies` collects what the protocol wants
    answered.
    """

    def __init__(self) -> None:
        self.is_ready = False
        self.replies: list[bytes] = []
        self._is_greeted = False
        self._frames: list[bytes] = []
        self._frames_bytes = 0
        self._rest = bytearray()  # of a frame that is not whole; as long as what came, whatever was announced
        self._needed = len(GREETING)

    @property
    def held_bytes(self) -> int:
        """What is here of a message that is not whole."""
        return self._frames_bytes + len(self._rest)

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The messages that `data` completes, each as its frames. Raises BrokenPeer; then it is of no further use."""
        if self._rest or not self._is_greeted:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
            self._rest = bytearray()
        position, size = 0, len(data)
        if not self._is_greeted:
            _check_greeting(data)
            self._is_greeted = True
            position = len(GREETING)
        messages: list[list[bytes]] = []
        frames, frames_bytes = self._frames, self._frames_bytes
        needed = 2
        while size - position >= 2:
            flags = data[position]
            if flags & _LONG:
                start = position + 9
                if start > size:
                    needed = 9
                    break
                length = int.from_bytes(data[position + 1 : start], "big")
            else:
                start, length = position + 2, data[position + 1]
            if flags & _COMMAND:
                if length > MAX_COMMAND_BYTES:
                    raise BrokenPeer(f"A command of {length} bytes.")
            elif frames_bytes + length > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(f"A message of {frames_bytes + length} bytes.")
            end = start + length
            if end > size:
                needed = end - position
                break
            position = end
            if flags & _COMMAND:
                self._hear_command(data[start:end])
                continue
            frames.append(data[start:end])
            if flags & _MORE:
                frames_bytes += length
                if len(frames) >= MAX_FRAMES:
                    raise MessageTooLarge(f"A message of more than {MAX_FRAMES} frames.")
            else:
                messages.append(frames)
                frames, frames_bytes = [], 0
        self._frames, self._frames_bytes = frames, frames_bytes
        self._needed = needed
        self._rest += data[position:]
        return messages

    def _hear_command(self, body: bytes) -> None:
        if body.startswith(b"\x05READY"):
            self.is_ready = True
        elif body.startswith(b"\x04PING"):
            # Behind the name and two bytes of "time to live" is what the answer repeats.
            answer = b"\x04PONG" + body[7:]
            self.replies.append(_short(_COMMAND, len(answer)) + answer)
        elif body.startswith(b"\x05ERROR"):
            raise BrokenPeer("The kernel's socket refused: " + repr(body[7:][:100]))


def _check_greeting(data: bytes) -> None:
    if data[0] != 0xFF or not data[9] & 1 or data[10] < 3:
        raise BrokenPeer("The kernel's socket speaks no version 3 of ZeroMQ's protocol.")
    if data[12:32] != _MECHANISM:
        raise BrokenPeer("The kernel's socket wants a security mechanism.")
