"""Reading and writing lib0's variable-length numbers and strings, with bounds. Pure.

The encoding is that of the npm package lib0 (encoding.writeVarUint, writeVarString): seven bits a byte,
lowest first.
"""

from __future__ import annotations

MAX_SAFE_INTEGER = 2**53 - 1  # what a JavaScript number holds exactly


class BadEncoding(ValueError):
    """The bytes are not what they should be. The message says what was wrong, without their content."""


def write_uint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(128 | (number & 127))
        number >>= 7
    out.append(number)
    return bytes(out)


def write_bytes(data: bytes) -> bytes:
    return write_uint(len(data)) + data


class Reader:
    """Reads from the front of `data`; every method raises BadEncoding when it cannot."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def is_at_end(self) -> bool:
        return self.position >= len(self.data)

    @property
    def remaining_bytes(self) -> int:
        return len(self.data) - self.position

    def byte(self) -> int:
        try:
            value = self.data[self.position]
        except IndexError:
            raise BadEncoding("it ends too early") from None
        self.position += 1
        return value

    def uint(self, limit: int = MAX_SAFE_INTEGER) -> int:
        """A number from 0 to `limit`."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if value > limit:
                raise BadEncoding("a number is too large")
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise BadEncoding("a number is too long")

    def take(self, size_bytes: int) -> bytes:
        if size_bytes > self.remaining_bytes:
            raise BadEncoding("it ends too early")
        start = self.position
        self.position += size_bytes
        return self.data[start : self.position]

    def sized_bytes(self) -> bytes:
        return self.take(self.uint())

    def string(self) -> str:
        try:
            return self.sized_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise BadEncoding("a text is not UTF-8") from None
