"""One subscription a document and web process, shared by all sockets at the document."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from uuid import UUID
from weakref import WeakKeyDictionary

from kernels_app.bus.identifiers import DocumentId, run_topic
from kernels_app.bus.operations import ROWS_REPLACED
from kernels_app.bus.transport import Transport
from kernels_app.relay.recent import RecentBatches

_BATCH_START = b'{"type":"ops"'
MAX_COMM_BYTES = 4 << 20  # waiting for one socket


class Listener:
    """What one socket waits on. `woken` is set when there is, or may be, something new."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.is_overrun = False
        self.needs_snapshot = False
        self.was_interrupted = False
        self._frames: deque[bytes] = deque()
        self._size_bytes = 0

    def put(self, frame: bytes) -> None:
        """A frame that is not in the log (a comm message): kept here until it is taken."""
        self._size_bytes += len(frame)
        if self._size_bytes > MAX_COMM_BYTES:
            self.is_overrun = True
        else:
            self._frames.append(frame)
        self.woken.set()

    def take(self) -> list[bytes]:
        frames = list(self._frames)
        self._frames.clear()
        self._size_bytes = 0
        return frames


class DocumentFeed:
    """What goes by on a document's topic, for the sockets of this process."""

    def __init__(self, document_id: UUID) -> None:
        self.document_id = document_id
        self.recent = RecentBatches()
        self.listeners: set[Listener] = set()

    def hear(self, payload: bytes | None) -> None:
        """Called for each message of the topic, on the event loop; with None after an interruption."""
        if payload is None:
            self.recent.forget()
            for listener in self.listeners:
                listener.was_interrupted = True
        elif payload == ROWS_REPLACED:
            for listener in self.listeners:
                listener.needs_snapshot = True
                listener.woken.set()
            return
        elif not payload.startswith(_BATCH_START):
            for listener in self.listeners:
                listener.put(payload)
            return
        elif not self.recent.add(payload):
            return
        for listener in self.listeners:
            listener.woken.set()


class Relay:
    """The feeds of one event loop."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._feeds: dict[UUID, tuple[DocumentFeed, Callable[[], Awaitable[None]]]] = {}
        self._changing = asyncio.Lock()

    async def attach(self, document_id: UUID) -> tuple[DocumentFeed, Listener]:
        """The document's feed: nothing that is published from now on is missed (`detach` when done).

        Raises:
            TransportError
        """
        listener = Listener()
        async with self._changing:
            known = self._feeds.get(document_id)
            if known is None:
                feed = DocumentFeed(document_id)
                topic = run_topic(DocumentId(str(document_id)))
                known = (feed, await self.transport.subscribe(topic, feed.hear))
                self._feeds[document_id] = known
            known[0].listeners.add(listener)
        return known[0], listener

    async def detach(self, feed: DocumentFeed, listener: Listener) -> None:
        async with self._changing:
            feed.listeners.discard(listener)
            known = self._feeds.get(feed.document_id)
            if feed.listeners or known is None or known[0] is not feed:
                return
            del self._feeds[feed.document_id]
            await known[1]()

    @property
    def feed_count(self) -> int:
        return len(self._feeds)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = WeakKeyDictionary()


def relay_of_this_loop(transport: Transport) -> Relay:
    loop = asyncio.get_running_loop()
    relay = _of_loop.get(loop)
    if relay is None or relay.transport is not transport:
        relay = _of_loop[loop] = Relay(transport)
    return relay
