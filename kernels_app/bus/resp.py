"""The Redis serialisation protocol, version 2: commands to bytes, bytes to replies. Pure.

Source of the rules: the protocol specification at redis.io ("RESP protocol spec").
"""

from __future__ import annotations

from collections.abc import Iterable

from kernels_app.bus.transport import TransportError

Argument = bytes | str | int

# What the server may send in one bulk string before it is taken for a broken stream.
MAX_BULK_BYTES = 512 * 1024 * 1024


class ProtocolError(Exception):
    """The stream of replies cannot be understood; the connection is of no further use."""


class ReplyError(TransportError):
    """The server refused one command. `code` is the first word (`WRONGTYPE`, `NOGROUP`, …).

    A TransportError: what a server says while it is replaced is not known in advance, and ends no loop over the wire.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.split(" ", 1)[0]


def encode_command(arguments: Iterable[Argument]) -> bytes:
    """One command as an array of bulk strings."""
    parts: list[bytes] = []
    count = 0
    for argument in arguments:
        if isinstance(argument, bytes):
            value = argument
        elif isinstance(argument, str):
            value = argument.encode()
        else:
            value = b"%d" % argument
        parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
        count += 1
    return b"*%d\r\n%b" % (count, b"".join(parts))


class _Incomplete(Exception):
    """More bytes are needed."""


class ReplyParser:
    """Replies out of a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        # How many bytes must be there before another attempt can succeed: keeps a 50 MB value that
        # arrives in small pieces from being looked at again for each piece.
        self._needed = 1
        self._pieces: list[bytes] = []
        self._piece_bytes = 0

    def feed(self, data: bytes) -> list[object]:
        """The replies that `data` completes. Raises ProtocolError."""
        self._pieces.append(data)
        self._piece_bytes += len(data)
        if self._piece_bytes < self._needed:
            return []
        self._buffer = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        replies: list[object] = []
        done = 0
        while done < len(self._buffer):
            self._position = done
            self._needed = 0
            try:
                replies.append(self._read())
            except _Incomplete:
                break
            done = self._position
        rest = self._buffer[done:]
        self._needed = max(self._needed - done, len(rest) + 1)
        self._pieces = [rest] if rest else []
        self._piece_bytes = len(rest)
        self._buffer = b""
        return replies

    def _line(self) -> bytes:
        end = self._buffer.find(b"\r\n", self._position)
        if end < 0:
            raise _Incomplete
        line = self._buffer[self._position : end]
        self._position = end + 2
        return line

    def _read(self) -> object:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            size = _integer(rest)
            if size < 0:
                return None
            if size > MAX_BULK_BYTES:
                raise ProtocolError(f"a bulk string of {size} bytes")
            end = self._position + size
            if end + 2 > len(self._buffer):
                self._needed = end + 2
                raise _Incomplete
            value = self._buffer[self._position : end]
            self._position = end + 2
            return value
        if kind == b":":
            return _integer(rest)
        if kind == b"+":
            return rest
        if kind == b"*":
            count = _integer(rest)
            return None if count < 0 else [self._read() for _ in range(count)]
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "replace"))
        raise ProtocolError(f"a reply that starts with {line[:20]!r}")


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ProtocolError(f"not a number: {text[:20]!r}") from error
