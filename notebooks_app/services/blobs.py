"""Blobs and the documents they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.db import transaction
from django.utils import timezone

from kernels_app.bus.identifiers import DocumentId, blob_key, run_log
from kernels_app.bus.operations import blobs_of, decode_batch
from kernels_app.bus.transport import TransportError
from notebooks_app.models import Blob, BlobReference, CellOutput, Document, Version
from notebooks_app.notebook_format import BlobMissing, blobs_in
from notebooks_app.storage import blobs
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

# A day: longer than any run of the recorder between storing a blob and committing the row that names it.
ORPHAN_AGE = timedelta(days=1)


def refer_to_blobs(document_id: UUID | str, sizes: Mapping[str, int]) -> None:
    """Makes stored blobs (SHA-256 → bytes) the document's. Call it in the transaction of the rows that name them."""
    if not sizes:
        return
    Blob.objects.bulk_create(
        [Blob(sha256=sha256, size_bytes=size_bytes) for sha256, size_bytes in sizes.items()],
        ignore_conflicts=True,
    )
    BlobReference.objects.bulk_create(
        [BlobReference(blob_id=sha256, document_id=document_id) for sha256 in sizes],
        update_conflicts=True,
        update_fields=["seen_at"],
        unique_fields=["blob", "document"],
    )


def store_document_blob(document_id: UUID | str, data: bytes) -> dict[str, Any]:
    """Keeps bytes for a document: `{"sha256", "size_bytes"}`. Raises DiskFull."""
    sha256 = blobs.store_blob(data)
    refer_to_blobs(document_id, {sha256: len(data)})
    return {"sha256": sha256, "size_bytes": len(data)}


def load_any_blob(sha256: str) -> bytes:
    """A blob, from the store or, when the recorder has not moved it there yet, from the wire. Raises BlobMissing."""
    data = blobs.load_blob(sha256)
    if data is None:
        try:
            data = blocking_transport().get_value(blob_key(sha256))
        except TransportError as error:
            log.warning("blob_not_looked_up", sha256=sha256)
            raise BlobMissing(sha256) from error
    if data is None:
        raise BlobMissing(sha256)
    return data


def is_on_the_way(document_id: UUID, sha256: str) -> bool:
    """Whether an operation of the document's output log names the blob: its row comes with the recorder."""
    try:
        entries = blocking_transport().read_log(run_log(DocumentId(str(document_id))))
    except TransportError:
        return False
    # The text alone says nothing: whoever knows a SHA-256 can print it.
    return any(sha256.encode() in entry.payload and _names(entry.payload, sha256) for entry in entries)


def _names(payload: bytes, sha256: str) -> bool:
    try:
        return sha256 in blobs_of(decode_batch(payload).ops)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return False  # the recorder logs it


def forget_unused_blobs() -> int:
    """Drops references that nothing in their document names any more, and blobs without any; how many blobs.

    Only what nobody named for ORPHAN_AGE: between a look and a deletion, a row may come.
    """
    cutoff = timezone.now() - ORPHAN_AGE
    old = BlobReference.objects.filter(seen_at__lt=cutoff)
    for document_id in list(old.values_list("document_id", flat=True).distinct()):
        try:
            _drop_stale_references(document_id, cutoff)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A row that makes no sense keeps the blobs of its document, and nobody else's.
            log.warning("blobs_not_looked_at", document_id=str(document_id), kind=type(error).__name__)
    forgotten = 0
    for sha256 in list(_unreferenced(cutoff)):
        forgotten += _forget(sha256)
    # Stored, but the transaction that would have named them never came.
    for sha256 in blobs.stored_blobs():
        if not Blob.objects.filter(pk=sha256).exists():
            forgotten += blobs.delete_blob(sha256, untouched_for_s=ORPHAN_AGE.total_seconds())
    return forgotten


def _drop_stale_references(document_id: UUID, cutoff: datetime) -> None:
    with transaction.atomic():
        # The recorder locks the document's row too, when it writes outputs.
        Document.objects.select_for_update(no_key=True).filter(pk=document_id).first()
        used = _blobs_used_by(document_id)
        old = BlobReference.objects.filter(document_id=document_id, seen_at__lt=cutoff)
        stale = [reference.pk for reference in old.only("blob_id") if reference.blob_id not in used]
        BlobReference.objects.filter(pk__in=stale, seen_at__lt=cutoff).delete()


def _blobs_used_by(document_id: UUID) -> set[str]:
    used = set(Version.objects.filter(document_id=document_id).values_list("notebook_sha256", flat=True))
    for outputs in CellOutput.objects.filter(document_id=document_id).values_list("outputs", flat=True):
        used |= blobs_in(outputs)
    return used


def _unreferenced(cutoff: Any) -> Any:
    rows = Blob.objects.filter(references=None, created_at__lt=cutoff)
    return rows.values_list("sha256", flat=True).iterator()


def _forget(sha256: str) -> bool:
    """First the row, as long as nothing refers to it; then the bytes, as long as nobody stored them again."""
    with transaction.atomic():
        deleted, _ = Blob.objects.filter(sha256=sha256, references=None).delete()
    return bool(deleted) and blobs.delete_blob(sha256, untouched_for_s=ORPHAN_AGE.total_seconds())
