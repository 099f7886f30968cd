"""The wire over Redis or Valkey: streams for logs, publish/subscribe for topics, keys for leases."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import cast

from kernels_app.bus import redis_commands as commands
from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.redis_commands import Address, Command, checked
from kernels_app.bus.redis_connection import REPLY_TIMEOUT_S, RedisConnection
from kernels_app.bus.redis_topics import FIRST_RETRY_S, LAST_RETRY_S, RedisTopics
from kernels_app.bus.resp import ReplyError
from kernels_app.bus.transport import (
    FROM_START,
    Entry,
    GroupEntry,
    Publication,
    TopicListener,
    TransportError,
)

logger = logging.getLogger(__name__)

FOLLOW_WAIT_MS = 10_000
FOLLOW_COUNT = 500


class RedisTransport:
    """A Transport for one event loop. One connection carries all that does not wait; each waiting
    reader has its own. Nothing is tried again silently: what failed raises TransportError."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: RedisConnection | None = None
        self._connection_count = 0
        self._connecting = asyncio.Lock()
        self._topics = RedisTopics(address)
        self._idle_readers: list[RedisConnection] = []
        # Entries given to a consumer that it has not acknowledged, by (group, consumer); None when
        # the server may know of more than we do (first read, or a read that was cut off).
        self._unacknowledged: dict[tuple[str, str], set[tuple[str, StreamId]] | None] = {}
        self._is_closed = False

    async def write(self, publications: Sequence[Publication]) -> list[StreamId | None]:
        if not publications:
            return []
        replies = await self._request(commands.write_commands(publications))
        return commands.write_results(publications, replies)

    async def read_log(
        self, log: str, *, after: StreamId = FROM_START, count: int | None = None
    ) -> list[Entry]:
        return commands.as_entries(await self._one(commands.range_command(log, after, count)))

    async def last_id(self, log: str) -> StreamId | None:
        [reply] = await self._request([commands.last_id_command(log)])
        return commands.last_id_result(reply)

    async def trim_log(self, log: str, *, up_to: StreamId) -> None:
        await self._one(commands.trim_command(log, up_to))

    async def delete_log(self, log: str) -> None:
        await self._one(("DEL", log))

    async def follow_log(self, log: str, *, after: StreamId) -> AsyncIterator[Entry]:
        position = after
        retry_s = FIRST_RETRY_S
        while True:
            command: Command = (
                "XREAD", "COUNT", FOLLOW_COUNT, "BLOCK", FOLLOW_WAIT_MS, "STREAMS", log, position,
            )  # fmt: skip
            try:
                reply = checked(await self._wait_for(command, FOLLOW_WAIT_MS))
            except TransportError as error:
                if self._is_closed:
                    return
                logger.info("A reader of %s waits for the message server: %s", log, error)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
                continue
            retry_s = FIRST_RETRY_S
            for _, items in commands.as_streams(reply):
                for entry in commands.as_entries(items):
                    position = entry.id
                    yield entry

    async def read_group(
        self, streams: Sequence[str], *, group: str, consumer: str, count: int, wait_ms: int
    ) -> list[GroupEntry]:
        owner = (group, consumer)
        if self._unacknowledged.get(owner) is None or self._unacknowledged[owner]:
            earlier = await self._read_group(streams, owner, "0", count, 0)
            if earlier:
                return earlier
            self._unacknowledged[owner] = set()
        return await self._read_group(streams, owner, ">", count, wait_ms)

    async def _read_group(
        self, streams: Sequence[str], owner: tuple[str, str], start: str, count: int, wait_ms: int
    ) -> list[GroupEntry]:
        block: Command = ("BLOCK", wait_ms) if wait_ms > 0 else ()
        command: Command = (
            "XREADGROUP", "GROUP", *owner, "COUNT", count, *block,
            "STREAMS", *streams, *([start] * len(streams)),
        )  # fmt: skip
        known = self._unacknowledged.get(owner)
        self._unacknowledged[owner] = None  # until the reply is in our hands
        reply = await self._wait_for(command, wait_ms)
        if isinstance(reply, ReplyError) and reply.code == "NOGROUP":
            await self._make_groups(streams, owner[0])
            reply = await self._wait_for(command, wait_ms)
        entries, forgotten = commands.as_group_entries(checked(reply))
        if forgotten:
            await self.acknowledge(forgotten, group=owner[0])
        if start == ">" and known is not None:
            known.update((entry.stream, entry.id) for entry in entries)
            self._unacknowledged[owner] = known
        return entries

    async def _make_groups(self, streams: Sequence[str], group: str) -> None:
        for reply in await self._request(
            [("XGROUP", "CREATE", stream, group, "0", "MKSTREAM") for stream in streams]
        ):
            if not (isinstance(reply, ReplyError) and reply.code == "BUSYGROUP"):
                checked(reply)

    async def acknowledge(self, entries: Sequence[GroupEntry], *, group: str) -> None:
        ids_by_stream: dict[str, list[StreamId]] = {}
        for entry in entries:
            ids_by_stream.setdefault(entry.stream, []).append(entry.id)
        pipeline: list[Command] = []
        for stream, ids in ids_by_stream.items():
            pipeline += [("XACK", stream, group, *ids), ("XDEL", stream, *ids)]
        for reply in await self._request(pipeline):
            checked(reply)
        for (owner_group, _), known in self._unacknowledged.items():
            if owner_group == group and known is not None:
                known.difference_update((entry.stream, entry.id) for entry in entries)

    async def subscribe(self, topic: str, listener: TopicListener) -> Callable[[], Awaitable[None]]:
        return await self._topics.subscribe(topic, listener)

    def cast(self, topic: str, payload: bytes) -> None:
        if self._connection is None:
            raise TransportError("There is no connection to the message server yet.")
        self._connection.send(commands.cast_commands(topic, payload))

    async def ready(self) -> int:
        if self._connection is None or not self._connection.is_open:
            await self._connect()
        return self._connection_count

    async def acquire_lease(self, key: str, *, holder: str, ttl_s: float) -> int | None:
        reply = await self._one(
            commands.lease_command(commands.ACQUIRE_LEASE, key, holder, round(ttl_s * 1000))
        )
        return None if reply is None else int(cast(bytes, reply))

    async def renew_lease(self, key: str, *, holder: str, fence: int, ttl_s: float) -> bool:
        reply = await self._one(
            commands.lease_command(commands.RENEW_LEASE, key, holder, round(ttl_s * 1000), fence)
        )
        return reply == 1

    async def release_lease(self, key: str, *, holder: str, fence: int) -> None:
        await self._one(commands.lease_command(commands.RELEASE_LEASE, key, holder, fence))

    async def read_lease(self, key: str) -> int | None:
        fence = commands.as_value(await self._one(("HGET", key, "fence")))
        return None if fence is None else int(fence)

    async def put_value(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        await self._one(commands.put_command(key, value, ttl_s))

    async def get_value(self, key: str) -> bytes | None:
        return commands.as_value(await self._one(("GET", key)))

    async def delete_value(self, key: str) -> None:
        await self._one(("DEL", key))

    async def put_field(self, key: str, field: str, value: bytes) -> None:
        await self._one(("HSET", key, field, value))

    async def get_fields(self, key: str) -> dict[str, bytes]:
        return commands.as_fields(await self._one(("HGETALL", key)))

    async def delete_field(self, key: str, field: str) -> None:
        await self._one(("HDEL", key, field))

    async def close(self) -> None:
        self._is_closed = True
        await self._topics.close()
        for connection in [self._connection, *self._idle_readers]:
            if connection is not None:
                connection.close()
        self._idle_readers.clear()
        await asyncio.sleep(0)  # lets the event loop close the sockets

    async def _one(self, command: Command) -> object:
        [reply] = await self._request([command])
        return checked(reply)

    async def _request(self, pipeline: Sequence[Command]) -> list[object]:
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await self._connect()
        return await connection.request(pipeline)

    async def _connect(self) -> RedisConnection:
        async with self._connecting:
            if self._is_closed:
                raise TransportError("The transport is closed.")
            if self._connection is None or not self._connection.is_open:
                self._connection = await RedisConnection.open(self._address)
                self._connection_count += 1
            return self._connection

    async def _wait_for(self, command: Command, wait_ms: int) -> object:
        """The reply of a command that may wait, on a connection of its own."""
        if self._is_closed:
            raise TransportError("The transport is closed.")
        connection = None
        while self._idle_readers and connection is None:
            candidate = self._idle_readers.pop()
            connection = candidate if candidate.is_open else None
        if connection is None:
            connection = await RedisConnection.open(self._address)
        try:
            [reply] = await connection.request([command], timeout_s=wait_ms / 1000 + REPLY_TIMEOUT_S)
        except BaseException:
            # The command may wait on: only closing the connection takes it back.
            connection.close()
            raise
        if self._is_closed:
            connection.close()
        else:
            self._idle_readers.append(connection)
        return reply
