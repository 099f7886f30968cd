"""What an attendant and its node agree on: names in the folder between them, and frames on the line. Pure.

Frames, both ways: 4 bytes length of what follows, 1 byte kind, parts of 4 bytes length and content each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

LAUNCH_NAME = "launch.json"
SOCKET_NAME = "node"

# Kinds of frames. The first four carry a kernel message's frames, from the delimiter on.
SHELL, IOPUB, STDIN, CONTROL = b"s", b"i", b"t", b"c"
STARTED = b"S"  # one part: the kernel's process runs; JSON {} or {"errno": …, "filename": …}
UNKNOWN_RUN = b"U"  # one part: a run that was sent again is known, but what it said is not kept any more
CHANNELS = {SHELL: "shell", IOPUB: "iopub", STDIN: "stdin", CONTROL: "control"}
# Of a message of a kernel, as of a frame of the line: more ends it. A text printed at once may have as much.
MAX_FRAME_BYTES = 512 * 1024 * 1024
MAX_PARTS = 1000


class BrokenLine(Exception):
    """Bytes that are no frames."""


class FrameTooLarge(BrokenLine):
    """A frame has more bytes, or parts, than one may have."""


def pack(kind: bytes, parts: Sequence[bytes]) -> bytes:
    body = b"".join([kind, *(struct.pack(">I", len(part)) + part for part in parts)])
    return struct.pack(">I", len(body)) + body


class Unpacker:
    """Feed it bytes as they come; iterate over whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def held_bytes(self) -> int:
        """What is here and not iterated over."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def frames(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Raises BrokenLine."""
        start = 0
        try:
            while len(self._buffer) - start >= 4:
                (length,) = struct.unpack_from(">I", self._buffer, start)
                if length > MAX_FRAME_BYTES:
                    raise FrameTooLarge(f"A frame of {length} bytes.")
                if not length:
                    raise BrokenLine("A frame without a kind.")
                if len(self._buffer) - start < 4 + length:
                    return
                with memoryview(self._buffer) as view, view[start + 4 : start + 4 + length] as piece:
                    body = bytes(piece)
                start += 4 + length
                yield body[:1], _parts(body)
        finally:
            del self._buffer[:start]


def _parts(body: bytes) -> list[bytes]:
    parts: list[bytes] = []
    position = 1
    while position < len(body):
        if len(parts) == MAX_PARTS:
            raise FrameTooLarge(f"A frame of more than {MAX_PARTS} parts.")
        if len(body) - position < 4:
            raise BrokenLine("A part without its length.")
        (length,) = struct.unpack_from(">I", body, position)
        position += 4
        if len(body) - position < length:
            raise BrokenLine("A part that ends early.")
        parts.append(body[position : position + length])
        position += length
    return parts
