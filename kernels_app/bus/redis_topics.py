"""Topics over one Redis connection, kept alive, with every interruption told to the listeners."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from kernels_app.bus.redis_commands import Address
from kernels_app.bus.redis_connection import RedisConnection
from kernels_app.bus.resp import ReplyError
from kernels_app.bus.transport import TopicListener, TransportError

logger = logging.getLogger(__name__)

SUBSCRIBE_TIMEOUT_S = 5.0
PING_INTERVAL_S = 20.0  # finds a half-open connection within two of these
FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0


class RedisTopics:
    """One connection for all topics of a process, opened with the first subscription."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._listeners: dict[str, list[TopicListener]] = {}
        self._confirmations: dict[str, list[asyncio.Future[None]]] = {}
        self._connection: RedisConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard = False

    async def subscribe(self, topic: str, listener: TopicListener) -> Callable[[], Awaitable[None]]:
        """See Transport.subscribe."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners.setdefault(topic, []).append(listener)
        self._confirmations.setdefault(topic, []).append(confirmed)
        if self._connection is not None and self._connection.is_open:
            self._connection.send([("SUBSCRIBE", topic)])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="bus topics")
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await confirmed
        except TimeoutError as error:
            self._remove(topic, listener)
            raise TransportError(f"Topic {topic} could not be subscribed to in time.") from error
        except BaseException:
            self._remove(topic, listener)
            raise

        async def unsubscribe() -> None:
            self._remove(topic, listener)

        return unsubscribe

    async def close(self) -> None:
        self._listeners.clear()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _remove(self, topic: str, listener: TopicListener) -> None:
        listeners = self._listeners.get(topic)
        if listeners is None or listener not in listeners:
            return
        listeners.remove(listener)
        if not listeners:
            del self._listeners[topic]
            if self._connection is not None and self._connection.is_open:
                self._connection.send([("UNSUBSCRIBE", topic)])

    async def _run(self) -> None:
        was_connected = False
        retry_s = FIRST_RETRY_S
        while True:
            try:
                connection = await RedisConnection.open(self._address, self._on_push)
            except TransportError as error:
                if was_connected:
                    logger.info("Topics wait for the message server: %s", error)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
                continue
            retry_s = FIRST_RETRY_S
            self._connection = connection
            try:
                missed_topics = set(self._listeners) if was_connected else set()
                if self._listeners:
                    await self._resubscribe(connection)
                for topic in missed_topics:
                    self._tell(topic, None)
                was_connected = True
                await self._keep_alive(connection)
            except TransportError:
                pass
            finally:
                self._connection = None
                connection.close()

    async def _resubscribe(self, connection: RedisConnection) -> None:
        """Returns when each known topic is confirmed."""
        loop = asyncio.get_running_loop()
        topics = list(self._listeners)
        waiting = [loop.create_future() for _ in topics]
        for topic, future in zip(topics, waiting, strict=True):
            self._confirmations.setdefault(topic, []).append(future)
        connection.send([("SUBSCRIBE", topic) for topic in topics])
        for future in waiting:
            try:
                async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                    await future
            except TimeoutError as error:
                raise TransportError("The topics were not confirmed.") from error

    async def _keep_alive(self, connection: RedisConnection) -> None:
        """Returns when the connection ended or is silent to a PING."""
        while connection.is_open:
            self._heard = False
            try:
                async with asyncio.timeout(PING_INTERVAL_S):
                    await connection.wait_lost()
                return
            except TimeoutError:
                if not self._heard:
                    # The PING of the interval before would have been heard.
                    connection.send([("PING",)])
                    try:
                        async with asyncio.timeout(PING_INTERVAL_S / 4):
                            await connection.wait_lost()
                        return
                    except TimeoutError:
                        if not self._heard:
                            return

    def _on_push(self, reply: object) -> None:
        self._heard = True
        if isinstance(reply, ReplyError):
            logger.warning("The message server refused a topic command: %s", reply)
            return
        match reply:
            case [b"message", bytes(topic), bytes(payload)]:
                self._tell(topic.decode(), payload)
            case [b"subscribe", bytes(topic), _]:
                for future in self._confirmations.pop(topic.decode(), []):
                    if not future.done():
                        future.set_result(None)
            case _:
                pass

    def _tell(self, topic: str, payload: bytes | None) -> None:
        for listener in list(self._listeners.get(topic, ())):
            try:
                listener(payload)
            except Exception:
                # One listener's mistake must not silence the others.
                logger.exception("A listener of topic %s failed.", topic)
