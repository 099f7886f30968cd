"""The update log of a live document: how updates get on the wire, and what is on it.

An update is one write: to the log, to the topic the document's sockets listen to, and a note to the
recorder that there is something to compact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycrdt import Doc

from kernels_app.bus.envelopes import DocumentNote, encode
from kernels_app.bus.identifiers import (
    DOCUMENTS_STREAM,
    DocumentId,
    StreamId,
    update_log,
    update_topic,
)
from kernels_app.bus.transport import Entry, Publication
from notebooks_app.models import Document
from notebooks_app.sync.frames import (
    SERVER_SENDER,
    encode_durable,
    encode_topic_message,
    encode_update,
    logged_update,
)
from notebooks_app.sync.replica import load_tolerantly
from notebooks_app.sync.varint import BadEncoding
from notebooks_app.wire import blocking_transport

NO_ENTRY = StreamId("0-0")


def update_publications(
    document_id: DocumentId, epoch: str, updates: Sequence[bytes], *, sender: bytes = SERVER_SENDER
) -> list[Publication]:
    """What to write for these updates. The log's ids are the results of all but the last publication."""
    log, topic = update_log(document_id, epoch), update_topic(document_id)
    publications = [
        Publication(encode_topic_message(sender, encode_update(update)), log=log, topic=topic)
        for update in updates
    ]
    return [*publications, note_publication(document_id, epoch)]


def note_publication(document_id: DocumentId, epoch: str) -> Publication:
    """Tells the recorder that the log has entries. It reads them all: no id is named."""
    note = DocumentNote(document_id=document_id, epoch=epoch, stream_id=NO_ENTRY)
    return Publication(encode(note), log=DOCUMENTS_STREAM)


def durable_publication(document_id: DocumentId, stream_id: StreamId) -> Publication:
    message = encode_topic_message(SERVER_SENDER, encode_durable(stream_id))
    return Publication(message, topic=update_topic(document_id))


def topic_publication(document_id: DocumentId, sender: bytes, frame: bytes) -> Publication:
    """For live listeners only: awareness and the like."""
    return Publication(encode_topic_message(sender, frame), topic=update_topic(document_id))


def update_in(entry: Entry) -> bytes | None:
    """The update of a log entry; None for an entry that is none (nobody writes such)."""
    try:
        return logged_update(entry.payload)
    except BadEncoding:
        return None


def updates_in(entries: Sequence[Entry]) -> list[bytes]:
    return [update for entry in entries if (update := update_in(entry)) is not None]


def written_at_s(stream_id: StreamId) -> float:
    """When the entry was written, by the wire's clock: seconds since 1970."""
    return int(stream_id.partition("-")[0]) / 1000


def document_key(document: Document) -> DocumentId:
    """The document's id as the bus has it."""
    return DocumentId(str(document.pk))


def load_live(document: Document, entries: Sequence[Entry] | None = None) -> Doc[Any]:
    """The document as it is now: its snapshot with the update log in it.

    The log is read before the snapshot: an entry that is trimmed in between is in the snapshot then.
    Give `entries` when they have been read already. Raises TransportError.
    """
    if entries is None:
        entries = blocking_transport().read_log(update_log(document_key(document), document.epoch))
    snapshot = Document.objects.values_list("snapshot", flat=True).get(pk=document.pk)
    replica, _ = load_tolerantly(bytes(snapshot), updates_in(entries))
    return replica
