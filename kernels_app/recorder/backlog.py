"""What a recorder looks for that no note tells it: logs that are ahead of the rows, exports that were due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from kernels_app.bus.envelopes import DocumentNote, RunNote, encode
from kernels_app.bus.identifiers import DOCUMENTS_STREAM, RUNS_STREAM, DocumentId, StreamId, update_log
from kernels_app.bus.transport import Publication, Transport
from kernels_app.models import LIVE_STATES
from kernels_app.selectors.kernels import UNFINISHED_STATES
from notebooks_app.models import Document

RECENT = timedelta(minutes=15)  # somewhat longer than logs are kept


def dirty_documents() -> list[UUID]:
    """Documents with changes that are not in their file."""
    return list(Document.objects.exclude(dirty_since=None).values_list("pk", flat=True))


def log_positions(*, everything: bool) -> list[tuple[UUID, int]]:
    """`(document, log_seq)` of those that something may have been written for; of all that ever ran, at start."""
    documents = Document.objects.filter(log_generation__gt=0)
    if not everything:
        documents = documents.filter(
            Q(kernels__state__in=LIVE_STATES)
            | Q(runs__state__in=UNFINISHED_STATES)
            | Q(changed_at__gt=timezone.now() - RECENT)
        ).distinct()
    return list(documents.values_list("pk", "log_seq"))


def update_positions(*, everything: bool) -> list[tuple[UUID, str, str]]:
    """`(document, epoch, snapshot_stream_id)` of those that are or were open lately; of all, at start."""
    documents: Iterable[tuple[UUID, str, str]]
    recent = Document.objects.all()
    if not everything:
        since = timezone.now() - RECENT
        recent = recent.filter(Q(changed_at__gt=since) | Q(last_opened_at__gt=since))
    documents = recent.values_list("pk", "epoch", "snapshot_stream_id")
    return list(documents)


async def is_update_log_ahead(transport: Transport, document_id: UUID, epoch: str, stream_id: str) -> bool:
    """Whether the document's update log has entries that its snapshot lacks."""
    key = update_log(DocumentId(str(document_id)), epoch)
    return bool(await transport.read_log(key, after=StreamId(stream_id), count=1))


async def write_run_note(transport: Transport, document_id: UUID) -> None:
    note = RunNote(document_id=DocumentId(str(document_id)), seq=0)
    await transport.write([Publication(encode(note), log=RUNS_STREAM)])


async def write_document_note(transport: Transport, document_id: UUID, epoch: str) -> None:
    note = DocumentNote(document_id=DocumentId(str(document_id)), epoch=epoch, stream_id=StreamId("0-0"))
    await transport.write([Publication(encode(note), log=DOCUMENTS_STREAM)])
