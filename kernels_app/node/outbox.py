"""What a node says to the hub beside outputs: events, answers and comm messages, in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from kernels_app.bus.envelopes import AnyEvent, AnyMail, encode
from kernels_app.bus.identifiers import EVENTS_STREAM, Mailbox, mailbox_stream
from kernels_app.bus.transport import Publication, Transport, TransportError

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0
# Someone waits for an answer or watches a widget; after this they have asked again.
MAIL_LIFE_MS = 10_000
# Full of mail that is still fresh: the oldest goes. Events are few and never go.
MAX_MAIL_BYTES = 32 * 1024 * 1024
WRITE_COUNT = 200


class Outbox:
    """Events are kept until written, whatever it takes; mail only while it is of use."""

    def __init__(self, transport: Transport, clock_ms: Callable[[], int]) -> None:
        self._transport = transport
        self._clock_ms = clock_ms
        self._events: deque[Publication] = deque()
        self._mail: deque[tuple[int, Publication]] = deque()
        self._mail_bytes = 0
        self._wake = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def event(self, event: AnyEvent) -> None:
        self._events.append(Publication(encode(event), log=EVENTS_STREAM))
        self._woken()

    def mail(self, mailbox: Mailbox, mail: AnyMail) -> None:
        self._add_mail(Publication(encode(mail), log=mailbox_stream(mailbox)))

    def publish(self, topic: str, payload: bytes) -> None:
        """To live listeners of a topic, not logged."""
        self._add_mail(Publication(payload, topic=topic))

    async def flush(self) -> None:
        """Returns when all is written. Give it a deadline."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Writes until cancelled."""
        retry_s = FIRST_RETRY_S
        while True:
            self._drop_stale_mail()
            events = list(self._events)[:WRITE_COUNT]
            mail = list(self._mail)[:WRITE_COUNT]
            if not events and not mail:
                self._is_empty.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await self._transport.write(events + [publication for _, publication in mail])
            except TransportError as error:
                if retry_s == FIRST_RETRY_S:
                    logger.warning("What the node has to say waits for the wire: %s", error)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)
                continue
            retry_s = FIRST_RETRY_S
            for _ in events:
                self._events.popleft()
            written = {id(publication) for _, publication in mail}
            while self._mail and id(self._mail[0][1]) in written:
                self._pop_mail()

    def _add_mail(self, publication: Publication) -> None:
        self._mail.append((self._clock_ms(), publication))
        self._mail_bytes += len(publication.payload)
        while self._mail_bytes > MAX_MAIL_BYTES and len(self._mail) > 1:
            self._pop_mail()
        self._woken()

    def _drop_stale_mail(self) -> None:
        oldest_ms = self._clock_ms() - MAIL_LIFE_MS
        while self._mail and self._mail[0][0] < oldest_ms:
            self._pop_mail()

    def _pop_mail(self) -> None:
        _, publication = self._mail.popleft()
        self._mail_bytes -= len(publication.payload)

    def _woken(self) -> None:
        self._is_empty.clear()
        self._wake.set()
