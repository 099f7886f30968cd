"""The synchronous part of the wire over Redis, for views and tasks."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from typing import cast

from kernels_app.bus import redis_commands as commands
from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.redis_commands import Address, Command, checked
from kernels_app.bus.redis_connection import CONNECT_TIMEOUT_S, REPLY_TIMEOUT_S
from kernels_app.bus.resp import ProtocolError, ReplyParser, encode_command
from kernels_app.bus.transport import FROM_START, Entry, Publication, TransportError


class BlockingRedisTransport:
    """A BlockingTransport that any thread may use; connections are lent to one call at a time."""

    MAX_IDLE = 8

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()

    def write(self, publications: Sequence[Publication]) -> list[StreamId | None]:
        if not publications:
            return []
        return commands.write_results(publications, self._request(commands.write_commands(publications)))

    def read_log(self, log: str, *, after: StreamId = FROM_START, count: int | None = None) -> list[Entry]:
        return commands.as_entries(self._one(commands.range_command(log, after, count)))

    def last_id(self, log: str) -> StreamId | None:
        [reply] = self._request([commands.last_id_command(log)])
        return commands.last_id_result(reply)

    def log_length(self, log: str) -> int:
        return int(cast(int, self._one(("XLEN", log))))

    def trim_log(self, log: str, *, up_to: StreamId) -> None:
        self._one(commands.trim_command(log, up_to))

    def delete_log(self, log: str) -> None:
        self._one(("DEL", log))

    def acquire_lease(self, key: str, *, holder: str, ttl_s: float) -> int | None:
        reply = self._one(commands.lease_command(commands.ACQUIRE_LEASE, key, holder, round(ttl_s * 1000)))
        return None if reply is None else int(cast(bytes, reply))

    def release_lease(self, key: str, *, holder: str, fence: int) -> None:
        self._one(commands.lease_command(commands.RELEASE_LEASE, key, holder, fence))

    def read_lease(self, key: str) -> int | None:
        fence = commands.as_value(self._one(("HGET", key, "fence")))
        return None if fence is None else int(fence)

    def put_value(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        self._one(commands.put_command(key, value, ttl_s))

    def get_value(self, key: str) -> bytes | None:
        return commands.as_value(self._one(("GET", key)))

    def delete_value(self, key: str) -> None:
        self._one(("DEL", key))

    def put_field(self, key: str, field: str, value: bytes) -> None:
        self._one(("HSET", key, field, value))

    def get_fields(self, key: str) -> dict[str, bytes]:
        return commands.as_fields(self._one(("HGETALL", key)))

    def delete_field(self, key: str, field: str) -> None:
        self._one(("HDEL", key, field))

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _one(self, command: Command) -> object:
        [reply] = self._request([command])
        return checked(reply)

    def _request(self, pipeline: Sequence[Command]) -> list[object]:
        connection = self._borrow()
        try:
            replies = connection.request(pipeline)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < self.MAX_IDLE:
                self._idle.append(connection)
                return replies
        connection.close()
        return replies

    def _borrow(self) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(self._address)
            if connection.is_fresh():
                return connection
            connection.close()


class _Connection:
    def __init__(self, address: Address) -> None:
        self._parser = ReplyParser()
        self._socket = _connected(address)
        try:
            for reply in self.request([*address.greeting(), ("PING",)]):
                checked(reply)
        except TransportError as error:
            self.close()
            raise TransportError(f"The message server refused the connection: {error}") from error

    def is_fresh(self) -> bool:
        """False when the server closed it while it was idle (nothing is owed, so nothing is readable)."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, ValueError):  # TLS sockets cannot be peeked at: take a new one
            return False
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(REPLY_TIMEOUT_S)
        return False

    def request(self, pipeline: Sequence[Command]) -> list[object]:
        replies: list[object] = []
        try:
            self._socket.sendall(b"".join([encode_command(command) for command in pipeline]))
            while len(replies) < len(pipeline):
                data = self._socket.recv(1 << 18)
                if not data:
                    raise TransportError("The connection to the message server was lost.")
                replies += self._parser.feed(data)
        except (OSError, ProtocolError) as error:
            raise TransportError(f"The connection to the message server was lost: {error}") from error
        return replies

    def close(self) -> None:
        self._socket.close()


def _connected(address: Address) -> socket.socket:
    try:
        if address.path is not None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(CONNECT_TIMEOUT_S)
            try:
                made.connect(address.path)
            except OSError:
                made.close()
                raise
        else:
            made = socket.create_connection((address.host, address.port), timeout=CONNECT_TIMEOUT_S)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.is_tls:
                made = ssl.create_default_context().wrap_socket(made, server_hostname=address.host)
    except OSError as error:
        raise TransportError(f"The message server does not answer: {error}") from error
    made.settimeout(REPLY_TIMEOUT_S)
    return made
