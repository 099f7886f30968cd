"""The document socket: live editing of one notebook. Frames: docs/reference/documents.md.

It holds nothing but its connection: documents are in the database and on the wire, so any web process
serves anyone, and one more person at a notebook costs a subscription and two small queues.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar
from urllib.parse import parse_qs

import structlog
from channels.db import database_sync_to_async
from django.db import DatabaseError

from kernels_app.bus.identifiers import DocumentId, StreamId, update_log, update_topic
from kernels_app.bus.transport import Entry, Transport, TransportError
from notebooks_app.access import document_and_role_for
from notebooks_app.consumers.document_peers import Presence
from notebooks_app.consumers.outgoing import Outgoing
from notebooks_app.errors import HubError, NotFound, TooLarge, Unavailable, WrongEpoch
from notebooks_app.models import Document, Role
from notebooks_app.services.documents_versions import note_left
from notebooks_app.sync import frames
from notebooks_app.sync.awareness import decode_awareness
from notebooks_app.sync.limits import MAX_DOCUMENT_BYTES, MAX_STATE_VECTOR_BYTES, MAX_UPDATE_BYTES
from notebooks_app.sync.replica import BadUpdate, encode_since, load_tolerantly, state_vector_of
from notebooks_app.sync.update_check import check_update
from notebooks_app.sync.update_log import (
    note_publication,
    topic_publication,
    update_publications,
    updates_in,
    written_at_s,
)
from notebooks_app.sync.varint import BadEncoding
from notebooks_app.wire import hub_transport
from zasper_hub.accounts.errors import CODES, TooMany
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.sockets import HubConsumer
from zasper_hub.accounts.tokens import Scope

log = structlog.get_logger(__name__)

# Frames of one client that wait for the wire; a client that sends more at once is no person.
MAX_WAITING_FRAMES = 2_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
# Updates written together: one round trip for all that came in the meantime.
MAX_BATCH = 100
CHECK_IN_THREAD_BYTES = 64 * 1024  # parsing more would hold up the event loop
WaitingFrame = frames.SyncRequest | frames.ClientUpdate | frames.AwarenessFrame
HUB_CLOSE_CODES = frozenset(meaning.close_code for meaning in CODES.values())
STALE_ENTRY_S = 30  # the recorder has long had what is older, unless its note was lost
CLEAN_UP_S = 2.0


class DocumentConsumer(HubConsumer):
    """One connection of one person to one live document."""

    need: ClassVar[Need] = Need.VIEWER
    token_scope: ClassVar[Scope] = Scope.READ
    max_frame_bytes: ClassVar[int] = 16 * 1024 * 1024

    _transport: Transport
    _document_id: DocumentId
    _epoch: str
    _role: Role

    async def prepare(self) -> None:
        self._sender = os.urandom(frames.SENDER_BYTES)
        self._presence = Presence(self._sender)
        self._waiting: deque[WaitingFrame] = deque()
        self._waiting_bytes = 0
        self._is_closing = False
        self._work = asyncio.Event()
        self._must_say_hello = True
        self._has_asked = False
        self._has_written = False
        self._document_bytes = 0
        self._end_subscription: Callable[[], Awaitable[None]] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._handling: asyncio.Task[None] | None = None
        self._outgoing = Outgoing(self._send_frame, person=self.user.pk)
        document, self._role = await self._look_up()
        self._document_id = DocumentId(str(document.pk))
        self._epoch = document.epoch
        self._transport = await hub_transport()

    async def opened(self) -> None:
        wanted = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("epoch", [self._epoch])
        if wanted[0] != self._epoch:
            raise WrongEpoch
        try:
            self._end_subscription = await self._transport.subscribe(
                update_topic(self._document_id), self._on_topic
            )
        except TransportError as error:
            raise Unavailable from error
        self._work.set()
        self._sending = asyncio.create_task(self._ending_in_order(self._outgoing.run()))
        self._handling = asyncio.create_task(self._ending_in_order(self._handle_waiting()))

    async def received(self, frame: str | bytes) -> None:
        try:
            if isinstance(frame, str):
                raise BadEncoding("frames are binary")
            decoded = frames.decode_client_frame(frame)
        except BadEncoding as error:
            self._refuse_frame(0, "malformed", f"The message is not understood: {error}.")
            return
        if isinstance(decoded, frames.Echo):
            self._outgoing.echoed(decoded.number)
            return
        self._waiting_bytes += _payload_bytes(decoded)
        if len(self._waiting) >= MAX_WAITING_FRAMES or self._waiting_bytes > MAX_WAITING_BYTES:
            raise TooMany("Changes come faster than they can be saved.")
        self._waiting.append(decoded)
        self._work.set()

    async def closed(self, close_code: int) -> None:
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(CLEAN_UP_S):
                if self._handling is not None and close_code not in HUB_CLOSE_CODES:
                    # A page that is left sends its last changes and goes: they count.
                    self._is_closing = True
                    self._work.set()
                    await asyncio.wait([self._handling])
                if self._end_subscription is not None:
                    await self._end_subscription()
                goodbye = self._presence.goodbye()
                if goodbye is not None:
                    await self._publish(frames.encode_awareness(goodbye))
        tasks = [task for task in (self._sending, self._handling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._has_written:
            with suppress(DatabaseError):  # only a version is lost
                await database_sync_to_async(note_left)(self._document_id, self.user)

    async def access_rechecked(self) -> None:
        _, role = await self._look_up()
        if role != self._role:
            self._role = role
            self._must_say_hello = True
            self._work.set()

    # Out

    async def _send_frame(self, frame: bytes) -> None:
        await self.send(bytes_data=frame)

    def _refuse_frame(self, number: int, code: str, message: str = "", **details: object) -> None:
        text = message or CODES[code].default_message
        self._outgoing.put(frames.encode_refused(number, code=code, message=text, details=dict(details)))

    def _on_topic(self, message: bytes | None) -> None:
        """Called by the transport for what is published about this document; must not block."""
        if message is None:
            # Interrupted: what was missed comes with a new sync, and so does what the wire lost.
            self._must_say_hello = True
            self._work.set()
            return
        try:
            heard = frames.decode_topic_message(message)
            if heard.kind == frames.Kind.AWARENESS:
                if self._presence.admits(heard.sender, heard.frame[1:]):
                    self._outgoing.put(heard.frame)
                return
        except BadEncoding:
            return
        if heard.kind == frames.ASK_AWARENESS:
            if heard.sender != self._sender and self._presence.own_update is not None:
                self._presence.must_tell = True
                self._work.set()
        elif heard.kind == frames.CLOSE:
            self._outgoing.fail(NotFound())
        elif heard.sender != self._sender:
            self._document_bytes += len(heard.frame) if heard.kind == frames.Kind.UPDATE else 0
            self._outgoing.put(heard.frame)

    # In

    async def _ending_in_order(self, work: Awaitable[None]) -> None:
        """Runs one of the two tasks; whatever ends it early ends the socket."""
        try:
            await work
        except HubError as error:
            await self.close_with(error)
        except TransportError:
            await self.close_with(Unavailable())
        except Exception:
            log.exception("document_socket_crashed", document_id=self._document_id)
            await self.close_with(HubError())

    async def _handle_waiting(self) -> None:
        while not self._is_closing:
            await self._work.wait()
            self._work.clear()
            if self._must_say_hello:
                self._must_say_hello = False
                await self._say_hello()
            while self._waiting:
                await self._handle_next()
            await self._tell_presence()

    async def _handle_next(self) -> None:
        match self._waiting[0]:
            case frames.SyncRequest(state_vector=state_vector):
                self._take_next()
                await self._answer_sync(state_vector)
            case frames.AwarenessFrame(update=update):
                self._take_next()
                self._take_awareness(update)
            case frames.ClientUpdate():
                await self._take_updates()

    def _take_next(self) -> WaitingFrame:
        frame = self._waiting.popleft()
        self._waiting_bytes -= _payload_bytes(frame)
        return frame

    async def _say_hello(self) -> None:
        document, self._role = await self._look_up()
        if document.epoch != self._epoch:
            raise WrongEpoch
        hello = frames.Hello(
            epoch=self._epoch,
            role=self._role if self._may_write else Role.VIEWER,
            client_prefix=self._sender.hex(),
            stream_id=StreamId(document.snapshot_stream_id),
            max_update_bytes=MAX_UPDATE_BYTES,
        )
        self._outgoing.put(frames.encode_hello(hello))

    async def _answer_sync(self, state_vector: bytes) -> None:
        if len(state_vector) > MAX_STATE_VECTOR_BYTES:
            self._refuse_frame(0, "too_large", "The state vector is too large.")
            return
        # The log before the row: what is trimmed in between is in the row then.
        entries = await self._transport.read_log(update_log(self._document_id, self._epoch))
        try:
            frame, self._document_bytes = await database_sync_to_async(_sync_frame)(
                self._document_id, self._epoch, entries, state_vector
            )
        except BadUpdate:
            self._refuse_frame(0, "malformed", "The state vector is not understood.")
            return
        self._outgoing.put(frame)
        publications = []
        if entries and time.time() - written_at_s(entries[0].id) > STALE_ENTRY_S:
            publications.append(note_publication(self._document_id, self._epoch))
        if not self._has_asked:
            self._has_asked = True
            ask = bytes([frames.ASK_AWARENESS])
            publications.append(topic_publication(self._document_id, self._sender, ask))
        if publications:
            await self._transport.write(publications)

    async def _take_updates(self) -> None:
        """Writes the updates at the front of the queue, all in one round trip, and acknowledges them."""
        numbers: list[int] = []
        updates: list[bytes] = []
        while self._waiting and len(updates) < MAX_BATCH:
            frame = self._waiting[0]
            if not isinstance(frame, frames.ClientUpdate):
                break
            self._take_next()
            if await self._accepts(frame):
                numbers.append(frame.number)
                updates.append(frame.update)
        if not updates:
            return
        publications = update_publications(self._document_id, self._epoch, updates, sender=self._sender)
        ids = await self._transport.write(publications)
        self._has_written = True
        for number, stream_id in zip(numbers, ids[:-1], strict=True):
            assert stream_id is not None
            self._outgoing.put(frames.encode_ack(number, stream_id))

    async def _accepts(self, frame: frames.ClientUpdate) -> bool:
        """Whether an update may be written; if not, its sender is told why."""
        number, update = frame.number, frame.update
        if self._role.rank < Role.EDITOR.rank:
            self._refuse_frame(number, "viewer")
            return False
        if not self._may_write:
            scope = Scope.WRITE.value
            message = f"The API token does not have the scope this needs: {scope}."
            self._refuse_frame(number, "wrong_scope", message, scope=scope)
            return False
        if len(update) > MAX_UPDATE_BYTES:
            self._refuse_frame(number, "too_large", max_bytes=MAX_UPDATE_BYTES)
            return False
        try:
            if len(update) > CHECK_IN_THREAD_BYTES:
                await asyncio.to_thread(check_update, update)
            else:
                check_update(update)
        except BadEncoding as error:
            self._refuse_frame(number, "malformed", f"The change cannot be taken: {error}.")
            return False
        if self._document_bytes + len(update) > MAX_DOCUMENT_BYTES:
            # What was deleted counts no more once it is compacted.
            self._document_bytes = await database_sync_to_async(_snapshot_bytes)(self._document_id)
            if self._document_bytes + len(update) > MAX_DOCUMENT_BYTES:
                self._refuse_frame(
                    number,
                    "too_large",
                    f"A notebook may have {MAX_DOCUMENT_BYTES // 1024**2} MB of cells. Remove some first.",
                    max_bytes=MAX_DOCUMENT_BYTES,
                )
                return False
        self._document_bytes += len(update)
        return True

    # Who is here

    def _take_awareness(self, update: bytes) -> None:
        try:
            states = decode_awareness(update)
        except BadEncoding as error:
            self._refuse_frame(0, "malformed", f"The presence is not understood: {error}.")
            return
        self._presence.take(states, username=self.user.username, display_name=self.user.shown_name)

    async def _tell_presence(self) -> None:
        if self._presence.must_tell and self._presence.own_update is not None:
            self._presence.must_tell = False
            await self._publish(frames.encode_awareness(self._presence.own_update))

    async def _publish(self, frame: bytes) -> None:
        await self._transport.write([topic_publication(self._document_id, self._sender, frame)])

    @property
    def _may_write(self) -> bool:
        """Whether this sign-in allows edits, of whoever may edit: a token may be limited to reading."""
        scopes = self.caller.scopes
        return scopes is None or Scope.WRITE in scopes

    async def _look_up(self) -> tuple[Document, Role]:
        row: tuple[Document, Role] = await database_sync_to_async(document_and_role_for)(
            self.user, str(self.route_parameters["document_id"])
        )
        return row


def _payload_bytes(frame: WaitingFrame) -> int:
    return len(frame.state_vector if isinstance(frame, frames.SyncRequest) else frame.update)


def _sync_frame(
    document_id: DocumentId, epoch: str, entries: list[Entry], state_vector: bytes
) -> tuple[bytes, int]:
    """The `sync` frame for a client with that state, and how large the document is."""
    row = Document.objects.filter(pk=document_id).values_list("snapshot", "epoch").first()
    if row is None:
        raise NotFound
    if row[1] != epoch:
        raise WrongEpoch
    snapshot, updates = bytes(row[0]), updates_in(entries)
    replica, _ = load_tolerantly(snapshot, updates)
    update = encode_since(replica, state_vector)
    frame = frames.encode_sync(state_vector=state_vector_of(replica), update=update)
    if len(frame) > DocumentConsumer.max_frame_bytes:
        raise TooLarge("This notebook has grown too large to be opened.")
    return frame, len(snapshot) + sum(map(len, updates))


def _snapshot_bytes(document_id: DocumentId) -> int:
    row = Document.objects.filter(pk=document_id).values_list("snapshot", flat=True).first()
    return len(row) if row is not None else 0
