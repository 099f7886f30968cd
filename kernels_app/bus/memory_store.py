"""What the in-memory wire keeps: one store a name a process, used from any thread."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence

import msgspec

from kernels_app.bus.identifiers import StreamId
from kernels_app.bus.transport import Entry, GroupEntry, Publication, TransportError

Listener = Callable[[bytes | None], None]
IdPair = tuple[int, int]


class _Log(msgspec.Struct):
    ids: list[IdPair] = []
    payloads: list[bytes] = []
    last: IdPair = (0, 0)


class _Group(msgspec.Struct):
    """Position of a consumer group in one stream and what its consumers have not acknowledged."""

    delivered: IdPair = (0, 0)
    pending: dict[str, dict[IdPair, None]] = {}


class _Lease(msgspec.Struct):
    holder: str
    fence: int
    expires_at: float


class MemoryStore:
    """Logs, topics, groups, leases, values and fields behind one lock. Listeners and wakers are
    called with the lock held and must only hand over to their event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._logs: dict[str, _Log] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._wakers: dict[str, list[Callable[[], None]]] = {}
        self._leases: dict[str, _Lease] = {}
        self._fences: dict[str, int] = {}
        self._values: dict[str, tuple[bytes, float | None]] = {}
        self._fields: dict[str, dict[str, bytes]] = {}
        self._is_down = False
        self._connection_number = 1

    def set_down(self, is_down: bool) -> None:
        """While down every call raises TransportError; coming up tells listeners of the interruption."""
        with self._lock:
            was_down, self._is_down = self._is_down, is_down
            if was_down and not is_down:
                self._connection_number += 1
                for listeners in self._listeners.values():
                    for listener in list(listeners):
                        listener(None)
            for wakers in self._wakers.values():
                for wake in list(wakers):
                    wake()

    def connection_number(self) -> int:
        """Another one after each time that the store was down."""
        with self._lock:
            self._check_up()
            return self._connection_number

    def write(self, publications: Sequence[Publication]) -> list[StreamId | None]:
        with self._lock:
            self._check_up()
            results: list[StreamId | None] = []
            for item in publications:
                entry_id = None if item.log is None else self._append(item.log, item.payload, item.entry_id)
                results.append(entry_id)
                if item.topic is not None and (item.log is None or entry_id is not None):
                    for listener in list(self._listeners.get(item.topic, ())):
                        listener(item.payload)
            return results

    def read_log(self, log: str, after: StreamId, count: int | None) -> list[Entry]:
        with self._lock:
            self._check_up()
            kept = self._logs.get(log)
            return [] if kept is None else _entries(kept, _parse(after), count)

    def last_id(self, log: str) -> StreamId | None:
        with self._lock:
            self._check_up()
            kept = self._logs.get(log)
            return None if kept is None or kept.last == (0, 0) else _format(kept.last)

    def trim_log(self, log: str, up_to: StreamId) -> None:
        with self._lock:
            self._check_up()
            kept = self._logs.get(log)
            if kept is not None:
                end = bisect_right(kept.ids, _parse(up_to))
                del kept.ids[:end], kept.payloads[:end]

    def delete_log(self, log: str) -> None:
        with self._lock:
            self._check_up()
            self._logs.pop(log, None)
            for key in [key for key in self._groups if key[0] == log]:
                del self._groups[key]

    def add_waker(self, logs: Sequence[str], wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called when one of the logs grows; returns what ends that."""
        with self._lock:
            for log in logs:
                self._wakers.setdefault(log, []).append(wake)

        def remove() -> None:
            with self._lock:
                for log in logs:
                    self._wakers[log].remove(wake)
                    if not self._wakers[log]:
                        del self._wakers[log]

        return remove

    def read_group(self, streams: Sequence[str], group: str, consumer: str, count: int) -> list[GroupEntry]:
        with self._lock:
            self._check_up()
            for is_again in (True, False):
                found: list[GroupEntry] = []
                for stream in streams:
                    found += self._read_group_stream(stream, group, consumer, count, is_again)
                if found:
                    return found
            return []

    def _read_group_stream(
        self, stream: str, group: str, consumer: str, count: int, is_again: bool
    ) -> list[GroupEntry]:
        position = self._groups.setdefault((stream, group), _Group())
        pending = position.pending.setdefault(consumer, {})
        log = self._logs.setdefault(stream, _Log())
        if not is_again:
            fresh = _entries(log, position.delivered, count)
            for entry in fresh:
                position.delivered = _parse(entry.id)
                pending[position.delivered] = None
            return [GroupEntry(stream, entry.id, entry.payload) for entry in fresh]
        payloads = dict(zip(log.ids, log.payloads, strict=True))
        for pair in [pair for pair in pending if pair not in payloads]:
            del pending[pair]  # trimmed meanwhile
        return [GroupEntry(stream, _format(pair), payloads[pair]) for pair in sorted(pending)[:count]]

    def acknowledge(self, entries: Sequence[GroupEntry], group: str) -> None:
        with self._lock:
            self._check_up()
            for entry in entries:
                pair = _parse(entry.id)
                position = self._groups.get((entry.stream, group))
                if position is not None:
                    for pending in position.pending.values():
                        pending.pop(pair, None)
                log = self._logs.get(entry.stream)
                if log is not None and pair in log.ids:
                    index = log.ids.index(pair)
                    del log.ids[index], log.payloads[index]

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        with self._lock:
            self._check_up()
            self._listeners.setdefault(topic, []).append(listener)

        def remove() -> None:
            with self._lock:
                listeners = self._listeners.get(topic, [])
                if listener in listeners:
                    listeners.remove(listener)
                if not listeners:
                    self._listeners.pop(topic, None)

        return remove

    def acquire_lease(self, key: str, holder: str, ttl_s: float) -> int | None:
        with self._lock:
            self._check_up()
            now = self._clock()
            lease = self._leases.get(key)
            if lease is not None and lease.expires_at > now and lease.holder != holder:
                return None
            fence = max(self._fences.get(key, 0) + 1, int(now))
            self._fences[key] = fence
            self._leases[key] = _Lease(holder, fence, now + ttl_s)
            return fence

    def renew_lease(self, key: str, holder: str, fence: int, ttl_s: float) -> bool:
        with self._lock:
            self._check_up()
            if self._fences.get(key, fence) > fence:
                return False
            now = self._clock()
            lease = self._leases.get(key)
            is_held = lease is not None and lease.expires_at > now
            if lease is not None and is_held and lease.fence >= fence and lease.holder != holder:
                return False
            self._fences[key] = fence
            self._leases[key] = _Lease(holder, fence, now + ttl_s)
            return True

    def release_lease(self, key: str, holder: str, fence: int) -> None:
        with self._lock:
            self._check_up()
            lease = self._leases.get(key)
            if lease is not None and (lease.holder, lease.fence) == (holder, fence):
                del self._leases[key]

    def read_lease(self, key: str) -> int | None:
        with self._lock:
            self._check_up()
            lease = self._leases.get(key)
            return None if lease is None or lease.expires_at <= self._clock() else lease.fence

    def put_value(self, key: str, value: bytes, ttl_s: float | None) -> None:
        with self._lock:
            self._check_up()
            self._values[key] = (value, None if ttl_s is None else self._clock() + ttl_s)

    def get_value(self, key: str) -> bytes | None:
        with self._lock:
            self._check_up()
            value, expires_at = self._values.get(key, (None, None))
            if expires_at is not None and expires_at <= self._clock():
                del self._values[key]
                return None
            return value

    def delete_value(self, key: str) -> None:
        with self._lock:
            self._check_up()
            self._values.pop(key, None)

    def put_field(self, key: str, field: str, value: bytes) -> None:
        with self._lock:
            self._check_up()
            self._fields.setdefault(key, {})[field] = value

    def get_fields(self, key: str) -> dict[str, bytes]:
        with self._lock:
            self._check_up()
            return dict(self._fields.get(key, {}))

    def delete_field(self, key: str, field: str) -> None:
        with self._lock:
            self._check_up()
            self._fields.get(key, {}).pop(field, None)

    def _check_up(self) -> None:
        if self._is_down:
            raise TransportError("The in-memory wire is down.")

    def _append(self, log: str, payload: bytes, entry_id: StreamId | None) -> StreamId | None:
        kept = self._logs.setdefault(log, _Log())
        if entry_id is None:
            milliseconds = max(int(self._clock() * 1000), kept.last[0])
            pair = (milliseconds, kept.last[1] + 1 if milliseconds == kept.last[0] else 0)
        else:
            pair = _parse(entry_id)
            if pair <= kept.last:
                return None
        kept.ids.append(pair)
        kept.payloads.append(payload)
        kept.last = pair
        for wake in list(self._wakers.get(log, ())):
            wake()
        return _format(pair)


def _parse(entry_id: StreamId) -> IdPair:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def _format(pair: IdPair) -> StreamId:
    return StreamId(f"{pair[0]}-{pair[1]}")


def _entries(log: _Log, after: IdPair, count: int | None) -> list[Entry]:
    start = bisect_right(log.ids, after)
    end = None if count is None else start + count
    return [
        Entry(_format(pair), payload)
        for pair, payload in zip(log.ids[start:end], log.payloads[start:end], strict=True)
    ]


_stores: dict[str, MemoryStore] = {}
_stores_lock = threading.Lock()


def memory_store(name: str) -> MemoryStore:
    """The store of this name in this process, made at first use."""
    with _stores_lock:
        return _stores.setdefault(name, MemoryStore())


def forget_memory_store(name: str) -> None:
    """The next `memory_store(name)` starts empty. For tests."""
    with _stores_lock:
        _stores.pop(name, None)
