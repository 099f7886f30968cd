"""Payloads and whole texts: who gets them, and as what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from kernels_app.bus.identifiers import CellId, DocumentId, RunId, blob_key, run_log
from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.operations import BlobRef, Display, Stream, encode_batch
from kernels_app.bus.transport import Publication
from notebooks_app.models import CellOutput, Document
from notebooks_app.services.blobs import store_document_blob
from notebooks_app.storage.blobs import delete_blob
from notebooks_app.wire import blocking_transport
from tests.cast import Cast, headers_of
from tests.notebooks_app.files.test_files_api import body, error_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture(autouse=True)
def empty_wire() -> Iterator[None]:
    forget_memory_store("tests")
    yield
    memory_store("tests").set_down(False)


@pytest.fixture
def document(cast: Cast) -> Document:
    return Document.objects.create(project=cast.project, path="a.ipynb", epoch="e")


@pytest.fixture
def carol(cast: Cast) -> Client:
    return Client(headers=headers_of(cast.carol))


def blob_url(document: Document, sha256: str, query: str = "") -> str:
    return f"/api/hub/v1/documents/{document.pk}/blobs/{sha256}{query}"


def test_a_picture_is_served_as_itself_and_for_ever(carol: Client, document: Document) -> None:
    sha256 = store_document_blob(document.pk, PNG)["sha256"]
    response = carol.get(blob_url(document, sha256, "?type=image/png"))
    assert body(response) == PNG
    assert response["Content-Type"] == "image/png"
    assert "Content-Disposition" not in response or response["Content-Disposition"].startswith("inline")
    assert "immutable" in response["Cache-Control"]
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?type=text/html",
        "?type=application/javascript",
        "?type=image/png%0d%0aX-Evil:1",
        "?type=image/svg%2bxml&download=a",
    ],
)
def test_whatever_is_no_picture_is_an_attachment(carol: Client, document: Document, query: str) -> None:
    sha256 = store_document_blob(document.pk, b"<script>alert(1)</script>")["sha256"]
    response = carol.get(blob_url(document, sha256, query))
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    if "svg" not in query:
        assert response["Content-Type"] == "application/octet-stream"


def test_a_blob_of_another_document_is_not_there(carol: Client, cast: Cast, document: Document) -> None:
    other = Document.objects.create(project=cast.project, path="b.ipynb", epoch="e")
    sha256 = store_document_blob(other.pk, PNG)["sha256"]
    error_of(carol.get(blob_url(document, sha256)), 404, "not_found")
    mallory = Client(headers=headers_of(cast.mallory))
    error_of(mallory.get(blob_url(other, sha256)), 404, "not_found")


@pytest.mark.parametrize("sha256", ["0" * 64, "x", "..", "A" * 64, "0" * 63, "%2e%2e%2fhub.sqlite3"])
def test_what_is_no_blob_is_not_there(carol: Client, document: Document, sha256: str) -> None:
    error_of(carol.get(blob_url(document, sha256)), 404, "not_found")


def test_a_blob_that_is_still_on_the_wire_is_served_to_its_document_only(
    carol: Client, cast: Cast, document: Document
) -> None:
    other = Document.objects.create(project=cast.project, path="b.ipynb", epoch="e")
    sha256 = hashlib.sha256(PNG).hexdigest()
    wire = blocking_transport()
    wire.put_value(blob_key(sha256), PNG, ttl_s=60)
    error_of(carol.get(blob_url(document, sha256)), 404, "not_found")
    log = run_log(DocumentId(str(document.pk)))
    printed = Stream(seq=1, at=0, cell_id=CellId("c"), run_id=RunId("r"), index=0, name="stdout", text=sha256)
    wire.write([Publication(payload=encode_batch([printed]), log=log)])
    wire.write([Publication(payload=b'{"no batch": "%s"}' % sha256.encode(), log=log)])
    error_of(carol.get(blob_url(document, sha256)), 404, "not_found")
    shown = Display(
        seq=2,
        at=0,
        cell_id=CellId("c"),
        run_id=RunId("r"),
        index=1,
        output_type="display_data",
        data={},
        metadata={},
        blobs={"image/png": BlobRef(sha256, len(PNG))},
    )
    wire.write([Publication(payload=encode_batch([shown]), log=log)])
    assert body(carol.get(blob_url(document, sha256, "?type=image/png"))) == PNG
    error_of(carol.get(blob_url(other, sha256)), 404, "not_found")


def test_when_the_wire_is_down_a_stored_blob_is_served_all_the_same(
    carol: Client, document: Document
) -> None:
    sha256 = store_document_blob(document.pk, PNG)["sha256"]
    memory_store("tests").set_down(True)
    assert body(carol.get(blob_url(document, sha256))) == PNG
    error_of(carol.get(blob_url(document, "0" * 64)), 404, "not_found")


def text_of(carol: Client, document: Document, index: Any = 0, cell_id: str = "c1") -> Any:
    return carol.get(f"/api/hub/v1/documents/{document.pk}/text", {"cell_id": cell_id, "index": index})


def output(document: Document, **fields: Any) -> None:
    CellOutput.objects.create(
        document=document, cell_id="c1", outputs=[{"output_type": "stream", "name": "stdout", **fields}]
    )


def test_the_whole_text_of_a_long_output_is_its_chunks_in_order(carol: Client, document: Document) -> None:
    pieces = ["line é\n" * 1000, "second\n", "last"]
    chunks = [store_document_blob(document.pk, piece.encode()) for piece in pieces]
    output(document, text="line", tail="last", omitted=9, chunks=chunks)
    response = text_of(carol, document)
    assert body(response).decode() == "".join(pieces)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment")


def test_a_short_text_is_served_from_the_row(carol: Client, document: Document) -> None:
    output(document, text="short\n")
    assert body(text_of(carol, document)) == b"short\n"


def test_what_is_missing_of_a_text_is_said_in_it(carol: Client, document: Document) -> None:
    chunk = store_document_blob(document.pk, b"gone")
    delete_blob(chunk["sha256"], untouched_for_s=-1)
    rest = store_document_blob(document.pk, b"kept")
    output(document, text="", omitted=1, chunks=[chunk, rest], limit_reached=True)
    assert body(text_of(carol, document)).decode() == (
        "\n… 4 bytes are not kept any more …\nkept\n… the output went on beyond what this hub keeps …\n"
    )


def test_an_output_that_is_no_text_is_not_there(carol: Client, document: Document) -> None:
    output(document, text="x")
    for index, cell_id in ((1, "c1"), (-1, "c1"), (0, "c2")):
        error_of(text_of(carol, document, index, cell_id), 404, "not_found")
    error_of(text_of(carol, document, "x"), 422, "invalid")
