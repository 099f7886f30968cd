"""One connection to the server: commands are sent at once and answered in order."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from kernels_app.bus.redis_commands import Address, Command, checked
from kernels_app.bus.resp import ProtocolError, ReplyParser, encode_command
from kernels_app.bus.transport import TransportError

CONNECT_TIMEOUT_S = 3.0
# A server that does not answer for this long is taken for gone; its AOF rewrite blocks for less.
REPLY_TIMEOUT_S = 15.0


class _Pipeline:
    """Commands sent together, and the replies that came so far."""

    __slots__ = ("count", "done", "replies")

    def __init__(self, count: int, done: asyncio.Future[list[object]]) -> None:
        self.count = count
        self.replies: list[object] = []
        self.done = done


class RedisConnection(asyncio.Protocol):
    """Sends without waiting for earlier replies; many tasks may share one connection.

    With `on_push`, replies that nobody waits for (messages of topics) go there.
    """

    def __init__(self, on_push: Callable[[object], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = ReplyParser()
        self._waiting: deque[_Pipeline] = deque()
        self._transport: asyncio.Transport | None = None
        self._on_push = on_push
        self._lost: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    async def open(cls, address: Address, on_push: Callable[[object], None] | None = None) -> RedisConnection:
        """A connection that has said who it is. Raises TransportError."""
        loop = asyncio.get_running_loop()
        connection: RedisConnection | None = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if address.path is not None:
                    _, connection = await loop.create_unix_connection(lambda: cls(on_push), address.path)
                else:
                    _, connection = await loop.create_connection(
                        lambda: cls(on_push),
                        address.host,
                        address.port,
                        ssl=ssl.create_default_context() if address.is_tls else None,
                    )
                for reply in await connection.request([*address.greeting(), ("PING",)]):
                    checked(reply)
        except (OSError, TimeoutError) as error:
            if connection is not None:
                connection.close()
            raise TransportError(f"The message server does not answer: {error}") from error
        except TransportError as error:
            if connection is not None:
                connection.close()
            raise TransportError(f"The message server refused the connection: {error}") from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._lost.done()

    def send(self, commands: Sequence[Command]) -> None:
        """Without waiting for replies: for a connection with `on_push`, and commands that have none."""
        if not self.is_open or self._transport is None:
            raise TransportError("The connection to the message server is closed.")
        self._transport.write(b"".join([encode_command(command) for command in commands]))

    async def request(
        self, commands: Sequence[Command], *, timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[object]:
        """The replies, in order, errors as values. Raises TransportError.

        When cancelled, the replies still come and are dropped; the connection stays usable.
        """
        self.send(commands)
        if not commands:
            return []
        pipeline = _Pipeline(len(commands), self._loop.create_future())
        self._waiting.append(pipeline)
        timer = self._loop.call_later(timeout_s, self._give_up, timeout_s)
        try:
            return await pipeline.done
        finally:
            timer.cancel()

    def _give_up(self, timeout_s: float) -> None:
        self._fail(None, f"The message server did not answer in {timeout_s:.0f} s.")
        self.close()

    async def wait_lost(self) -> None:
        """Returns when the connection ended."""
        await asyncio.shield(self._lost)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._fail(None)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's, only of its shape.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._parser.feed(data)
        except ProtocolError as error:
            if self._transport is not None:
                self._transport.abort()
            self._fail(error)
            return
        for reply in replies:
            if self._waiting:
                pipeline = self._waiting[0]
                pipeline.replies.append(reply)
                if len(pipeline.replies) == pipeline.count:
                    self._waiting.popleft()
                    if not pipeline.done.done():  # else nobody waits any more
                        pipeline.done.set_result(pipeline.replies)
            elif self._on_push is not None:
                self._on_push(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc)

    def _fail(
        self, cause: Exception | None, message: str = "The connection to the message server was lost."
    ) -> None:
        if not self._lost.done():
            self._lost.set_result(None)
        while self._waiting:
            future = self._waiting.popleft().done
            if not future.done():
                error = TransportError(message)
                error.__cause__ = cause
                future.set_exception(error)
                # Nobody may be waiting any more; that is not worth a log line.
                future.exception()
