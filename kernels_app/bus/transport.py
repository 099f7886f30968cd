"""The shape of the wire: what the Redis transport and its in-memory twin both do.

Logs are ordered and kept until trimmed; topics are live only (a subscriber that was away reads
the log from where it was). Nothing here knows what the payloads are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from kernels_app.bus.identifiers import StreamId

# Before the first entry of any log.
FROM_START = StreamId("0-0")


class Entry(msgspec.Struct, frozen=True):
    """One entry of a log."""

    id: StreamId
    payload: bytes


class GroupEntry(msgspec.Struct, frozen=True):
    """One entry delivered to a consumer group, to be acknowledged."""

    stream: str
    id: StreamId
    payload: bytes


class TransportError(Exception):
    """The wire is not there at the moment (connection lost, server loading). Try again."""


class StaleSequence(Exception):
    """An explicit entry id was not above the log's last one: this entry is there already."""


class Publication(msgspec.Struct, frozen=True):
    """One thing to write, in a pipeline: to a log, to a topic, or both at once."""

    payload: bytes
    log: str | None = None
    entry_id: StreamId | None = None  # None: the transport gives one
    topic: str | None = None


# Called for each message of a topic, in order, on the event loop; must not block. Called with None
# after the subscription was interrupted: what was missed must be read from the log.
TopicListener = Callable[[bytes | None], None]


class Transport(Protocol):
    """All coroutines raise TransportError when the wire is down; cancelling one leaves it usable."""

    async def write(self, publications: Sequence[Publication]) -> list[StreamId | None]:
        """Write all, in order, in one round trip; the ids given to log entries (None for topics
        and for entries refused because their explicit id is not above the log's last: those are
        not published on their topic either)."""
        ...

    async def read_log(
        self, log: str, *, after: StreamId = FROM_START, count: int | None = None
    ) -> list[Entry]:
        """Entries after `after`, oldest first."""
        ...

    async def last_id(self, log: str) -> StreamId | None:
        """Id of the newest entry ever written to the log that it still knows; None when absent."""
        ...

    async def trim_log(self, log: str, *, up_to: StreamId) -> None:
        """Forget entries with ids up to and including `up_to`."""
        ...

    async def delete_log(self, log: str) -> None: ...

    def follow_log(self, log: str, *, after: StreamId) -> AsyncIterator[Entry]:
        """Entries as they come, waiting for more; survives interruptions of the wire."""
        ...

    async def read_group(
        self, streams: Sequence[str], *, group: str, consumer: str, count: int, wait_ms: int
    ) -> list[GroupEntry]:
        """Entries for this consumer; first those it got before and never acknowledged."""
        ...

    async def acknowledge(self, entries: Sequence[GroupEntry], *, group: str) -> None:
        """Acknowledge, and forget the entries."""
        ...

    async def subscribe(self, topic: str, listener: TopicListener) -> Callable[[], Awaitable[None]]:
        """Listen to a topic; returns what ends it. Once it returns, nothing published later is missed
        (short of an interruption, which the listener is told by None)."""
        ...

    def cast(self, topic: str, payload: bytes) -> None:
        """Publish now, waiting for nothing: no reply tells whether it arrived, and what was cast is lost when the
        connection is lost with it (`ready` tells). Casts to a topic arrive in order, among those of a
        sender. Raises TransportError when there is no connection (call `ready`); then nothing was sent."""
        ...

    async def ready(self) -> int:
        """Returns when `cast` has a connection: its number, another one each time that casts may have been lost."""
        ...

    async def acquire_lease(self, key: str, *, holder: str, ttl_s: float) -> int | None:
        """A new fencing number, larger than any before for this key; None while another holds it."""
        ...

    async def renew_lease(self, key: str, *, holder: str, fence: int, ttl_s: float) -> bool:
        """False when the lease is not ours any more."""
        ...

    async def release_lease(self, key: str, *, holder: str, fence: int) -> None: ...

    async def read_lease(self, key: str) -> int | None:
        """The fencing number of who holds the lease now; None when nobody does."""
        ...

    async def put_value(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None: ...

    async def get_value(self, key: str) -> bytes | None: ...

    async def delete_value(self, key: str) -> None: ...

    async def put_field(self, key: str, field: str, value: bytes) -> None: ...

    async def get_fields(self, key: str) -> dict[str, bytes]: ...

    async def delete_field(self, key: str, field: str) -> None: ...

    async def close(self) -> None: ...


class BlockingTransport(Protocol):
    """What views and tasks need of the wire, synchronously, from any thread. Raises TransportError."""

    def write(self, publications: Sequence[Publication]) -> list[StreamId | None]: ...

    def read_log(
        self, log: str, *, after: StreamId = FROM_START, count: int | None = None
    ) -> list[Entry]: ...

    def last_id(self, log: str) -> StreamId | None: ...

    def log_length(self, log: str) -> int:
        """How many entries the log holds."""
        ...

    def trim_log(self, log: str, *, up_to: StreamId) -> None: ...

    def delete_log(self, log: str) -> None: ...

    def acquire_lease(self, key: str, *, holder: str, ttl_s: float) -> int | None: ...

    def release_lease(self, key: str, *, holder: str, fence: int) -> None: ...

    def read_lease(self, key: str) -> int | None:
        """The fencing number of who holds the lease now; None when nobody does."""
        ...

    def put_value(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None: ...

    def get_value(self, key: str) -> bytes | None: ...

    def delete_value(self, key: str) -> None: ...

    def put_field(self, key: str, field: str, value: bytes) -> None: ...

    def get_fields(self, key: str) -> dict[str, bytes]: ...

    def delete_field(self, key: str, field: str) -> None: ...

    def close(self) -> None: ...
