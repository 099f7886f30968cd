"""The in-memory twin of the Redis transport: same behaviour, one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.transport import (
    FROM_START,
    Entry,
    GroupEntry,
    Publication,
    TopicListener,
    TransportError,
)

RETRY_S = 0.02


class MemoryTransport:
    """A Transport for one event loop over a store that other loops and threads may share."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._removals: list[Callable[[], None]] = []
        self._is_closed = False

    async def write(self, publications: Sequence[Publication]) -> list[StreamId | None]:
        return self._open().write(publications)

    async def read_log(
        self, log: str, *, after: StreamId = FROM_START, count: int | None = None
    ) -> list[Entry]:
        return self._open().read_log(log, after, count)

    async def last_id(self, log: str) -> StreamId | None:
        return self._open().last_id(log)

    async def trim_log(self, log: str, *, up_to: StreamId) -> None:
        self._open().trim_log(log, up_to)

    async def delete_log(self, log: str) -> None:
        self._open().delete_log(log)

    async def follow_log(self, log: str, *, after: StreamId) -> AsyncIterator[Entry]:
        position = after
        grown, remove = self._watch([log])
        try:
            while not self._is_closed:
                grown.clear()
                try:
                    entries = self._store.read_log(log, position, None)
                except TransportError:
                    await asyncio.sleep(RETRY_S)
                    continue
                for entry in entries:
                    position = entry.id
                    yield entry
                if not entries:
                    await grown.wait()
        finally:
            remove()

    async def read_group(
        self, streams: Sequence[str], *, group: str, consumer: str, count: int, wait_ms: int
    ) -> list[GroupEntry]:
        grown, remove = self._watch(streams)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000):
                    while True:
                        grown.clear()
                        entries = self._open().read_group(streams, group, consumer, count)
                        if entries or wait_ms <= 0:
                            return entries
                        await grown.wait()
            return []
        finally:
            remove()

    async def acknowledge(self, entries: Sequence[GroupEntry], *, group: str) -> None:
        self._open().acknowledge(entries, group)

    async def subscribe(self, topic: str, listener: TopicListener) -> Callable[[], Awaitable[None]]:
        loop = asyncio.get_running_loop()
        is_listening = True

        def hear(payload: bytes | None) -> None:
            if is_listening:
                listener(payload)

        def hand_over(payload: bytes | None) -> None:
            # The loop may have ended without a word; its subscription ends with it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(hear, payload)

        remove = self._open().subscribe(topic, hand_over)
        self._removals.append(remove)

        async def unsubscribe() -> None:
            nonlocal is_listening
            is_listening = False
            remove()
            if remove in self._removals:
                self._removals.remove(remove)

        return unsubscribe

    def cast(self, topic: str, payload: bytes) -> None:
        self._open().write([Publication(payload, topic=topic)])

    async def ready(self) -> int:
        return self._open().connection_number()

    async def acquire_lease(self, key: str, *, holder: str, ttl_s: float) -> int | None:
        return self._open().acquire_lease(key, holder, ttl_s)

    async def renew_lease(self, key: str, *, holder: str, fence: int, ttl_s: float) -> bool:
        return self._open().renew_lease(key, holder, fence, ttl_s)

    async def release_lease(self, key: str, *, holder: str, fence: int) -> None:
        self._open().release_lease(key, holder, fence)

    async def read_lease(self, key: str) -> int | None:
        return self._open().read_lease(key)

    async def put_value(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        self._open().put_value(key, value, ttl_s)

    async def get_value(self, key: str) -> bytes | None:
        return self._open().get_value(key)

    async def delete_value(self, key: str) -> None:
        self._open().delete_value(key)

    async def put_field(self, key: str, field: str, value: bytes) -> None:
        self._open().put_field(key, field, value)

    async def get_fields(self, key: str) -> dict[str, bytes]:
        return self._open().get_fields(key)

    async def delete_field(self, key: str, field: str) -> None:
        self._open().delete_field(key, field)

    async def close(self) -> None:
        self._is_closed = True
        for remove in self._removals:
            remove()
        self._removals.clear()

    def _open(self) -> MemoryStore:
        if self._is_closed:
            raise TransportError("The transport is closed.")
        return self._store

    def _watch(self, logs: Sequence[str]) -> tuple[asyncio.Event, Callable[[], None]]:
        loop = asyncio.get_running_loop()
        grown = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(grown.set)

        return grown, self._store.add_waker(logs, wake)


class BlockingMemoryTransport:
    """A BlockingTransport over the same store, from any thread."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def write(self, publications: Sequence[Publication]) -> list[StreamId | None]:
        return self._store.write(publications)

    def read_log(self, log: str, *, after: StreamId = FROM_START, count: int | None = None) -> list[Entry]:
        return self._store.read_log(log, after, count)

    def last_id(self, log: str) -> StreamId | None:
        return self._store.last_id(log)

    def log_length(self, log: str) -> int:
        return len(self.read_log(log))

    def trim_log(self, log: str, *, up_to: StreamId) -> None:
        self._store.trim_log(log, up_to)

    def delete_log(self, log: str) -> None:
        self._store.delete_log(log)

    def acquire_lease(self, key: str, *, holder: str, ttl_s: float) -> int | None:
        return self._store.acquire_lease(key, holder, ttl_s)

    def release_lease(self, key: str, *, holder: str, fence: int) -> None:
        self._store.release_lease(key, holder, fence)

    def read_lease(self, key: str) -> int | None:
        return self._store.read_lease(key)

    def put_value(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        self._store.put_value(key, value, ttl_s)

    def get_value(self, key: str) -> bytes | None:
        return self._store.get_value(key)

    def delete_value(self, key: str) -> None:
        self._store.delete_value(key)

    def put_field(self, key: str, field: str, value: bytes) -> None:
        self._store.put_field(key, field, value)

    def get_fields(self, key: str) -> dict[str, bytes]:
        return self._store.get_fields(key)

    def delete_field(self, key: str, field: str) -> None:
        self._store.delete_field(key, field)

    def close(self) -> None:
        """Nothing to close: the store belongs to the process."""
