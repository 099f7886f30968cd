"""Hub API: large payloads of a document's outputs, and the whole text of its long ones."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any, BinaryIO
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router

from notebooks_app.access import document_for
from notebooks_app.api.downloads import IMAGE_TYPES, bytes_response, chunks_of
from notebooks_app.errors import NotFound
from notebooks_app.models import BlobReference, CellOutput, Document
from notebooks_app.notebook_format import BlobMissing
from notebooks_app.services.blobs import is_on_the_way, load_any_blob
from notebooks_app.storage.blobs import open_blob
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["documents"])

READS = needs(Need.VIEWER, Scope.READ, allows_query_token=True)


@router.get("/documents/{uuid:document_id}/blobs/{str:sha256}", auth=READS)
def get_blob(
    request: HttpRequest, document_id: UUID, sha256: str, type: str = "", download: str = ""
) -> HttpResponseBase:
    """A payload. Served as `type` when that is an image, else as an attachment; `download` gives it a name."""
    document = document_for(caller_of(request).user, document_id)
    stream, size_bytes = _opened(document, sha256)
    is_image = type in IMAGE_TYPES
    response = bytes_response(
        chunks_of(stream, size_bytes),
        content_type=type if is_image else "application/octet-stream",
        name=download[:200] or sha256[:12],
        as_attachment=bool(download) or not is_image,
        size_bytes=size_bytes,
    )
    response.source = stream
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["ETag"] = f'"{sha256}"'
    return response


@router.get("/documents/{uuid:document_id}/text", auth=READS)
def get_text(request: HttpRequest, document_id: UUID, cell_id: str, index: int) -> HttpResponseBase:
    """The whole text of a stream output, as a file."""
    document = document_for(caller_of(request).user, document_id)
    row = CellOutput.objects.filter(document=document, cell_id=cell_id).first()
    outputs: list[dict[str, Any]] = row.outputs if row is not None else []
    if not 0 <= index < len(outputs) or outputs[index].get("output_type") != "stream":
        raise NotFound("That output is not there any more.")
    return bytes_response(
        _text_chunks(outputs[index]),
        content_type="text/plain",
        name=f"output-{cell_id[:40]}-{index + 1}.txt",
        as_attachment=True,
        size_bytes=None,
    )


def _opened(document: Document, sha256: str) -> tuple[BinaryIO, int]:
    is_referred = BlobReference.objects.filter(document=document, blob_id=sha256).exists()
    if not is_referred and not is_on_the_way(document.pk, sha256):
        raise NotFound("There is no such payload.")
    stream = open_blob(sha256)
    if stream is None:
        try:
            data = load_any_blob(sha256)
        except BlobMissing as error:
            raise NotFound("There is no such payload (any more).") from error
        return io.BytesIO(data), len(data)
    size_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return stream, size_bytes


async def _text_chunks(output: dict[str, Any]) -> AsyncIterator[bytes]:
    chunks = output.get("chunks") or []
    if not chunks:
        yield f"{output.get('text', '')}{output.get('tail') or ''}".encode()
        return
    for chunk in chunks:
        try:
            yield await asyncio.to_thread(load_any_blob, chunk["sha256"])
        except BlobMissing:
            yield f"\n… {chunk['size_bytes']:,} bytes are not kept any more …\n".encode()
    if output.get("limit_reached"):
        yield "\n… the output went on beyond what this hub keeps …\n".encode()
