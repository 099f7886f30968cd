"""Opening: one row a file, with what came in it; what is no notebook is refused with its reason."""

from __future__ import annotations

import base64
import json
import threading
import tracemalloc
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from kernels_app.bus.memory_store import memory_store
from notebooks_app.errors import NotANotebook, NotebookTooLarge, NotebookTooOld, NotFound, Unavailable
from notebooks_app.models import CellOutput, Document
from notebooks_app.notebook_format import MAX_NOTEBOOK_BYTES
from notebooks_app.services import documents as services
from notebooks_app.services.documents import (
    notebook_bytes,
    open_document,
    read_live_notebook,
    read_whole_notebook,
)
from notebooks_app.storage.project_files import project_folder
from notebooks_app.sync.shape import read_shape, seed
from notebooks_app.sync.update_log import load_live
from tests.cast import Cast, make_cast
from tests.notebooks_app.sync.documents import (
    PATH,
    cell,
    make_document,
    notebook_json,
    open_it,
    read_file,
    write_file,
)

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

LARGE_PICTURE = base64.b64encode(bytes(range(256)) * 200).decode()


def place_of(cast: Cast, path: str = PATH) -> Path:
    return settings.DATA_DIR / project_folder(cast.project.pk) / path


def test_opening_makes_the_row_once(cast: Cast) -> None:
    document = make_document(cast)
    assert open_it(cast).pk == document.pk
    assert Document.objects.count() == 1
    assert len(document.epoch) == 16
    assert document.dirty_since is None
    assert [one.source for one in read_shape(load_live(document)).cells] == ["x = 1\n", "y = 2"]


def test_another_spelling_of_the_path_is_the_same_document(cast: Cast) -> None:
    document = make_document(cast)
    assert open_it(cast, "work/study.ipynb/").pk == document.pk
    assert Document.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_that_open_at_the_same_moment_get_the_same_document(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = make_cast()
    write_file(cast, notebook_json(cell("a", "1")))
    both_have_read = threading.Barrier(2, timeout=10)

    def wait_for_the_other(*arguments: object) -> bytes:
        both_have_read.wait()
        return seed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(services, "seed", wait_for_the_other)
    found: list[Document] = []

    def open_and_leave() -> None:
        try:
            found.append(open_it(cast))
        finally:
            connection.close()

    threads = [threading.Thread(target=open_and_leave) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({(document.pk, document.epoch) for document in found}) == 1
    assert len(found) == 2
    assert Document.objects.count() == 1


def test_outputs_that_came_with_the_file_become_the_cells_own(cast: Cast) -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "hello\n"},
        {"output_type": "display_data", "data": {"image/png": LARGE_PICTURE}, "metadata": {}},
    ]
    document = make_document(
        cast, cell("a", "1", outputs=outputs, execution_count=7), cell("b", "2"), cell("m", "# T", "markdown")
    )
    row = CellOutput.objects.get(document=document)
    assert (row.cell_id, row.execution_count, row.state) == ("a", 7, "idle")
    assert row.outputs[0] == outputs[0]
    assert "blobs" in row.outputs[1], "a large picture is a blob"
    whole = read_whole_notebook(document)
    assert whole.cells[0].outputs == outputs
    assert whole.cells[0].execution_count == 7


def test_what_came_in_the_file_comes_out_of_it_byte_by_byte(cast: Cast) -> None:
    write_file(
        cast,
        notebook_json(
            cell(
                "a",
                "é😀\n",
                metadata={"one": 1, "float": 1.0, "huge": 2**60, "deep": {"x": [1.5, None, True]}},
            ),
            cell("m", "![x](attachment:x.png)", "markdown", attachments={"x.png": {"image/png": PICTURE}}),
            cell("r", "raw", "raw", unknown={"field": 2.0}),
            kernelspec={"name": "python3", "display_name": "Python 3"},
            custom={"version": 3.0},
        ),
    )
    document = open_it(cast)
    assert notebook_bytes(document) == read_file(cast)


def test_a_notebook_without_cell_ids_gets_some_inside_and_none_in_its_file(cast: Cast) -> None:
    document = make_document(cast, cell("", "1"), cell("", "2"), minor=4)
    ids = [one.id for one in read_shape(load_live(document)).cells]
    assert all(ids)
    assert len(set(ids)) == 2
    assert notebook_bytes(document) == read_file(cast)


def test_code_cells_and_metadata_are_read_for_a_run(cast: Cast) -> None:
    write_file(
        cast,
        notebook_json(
            cell("b", "2"), cell("m", "text", "markdown"), cell("a", "1"), kernelspec={"name": "deno"}
        ),
    )
    live = read_live_notebook(open_it(cast))
    assert [(one.cell_id, one.source) for one in live.code_cells] == [("b", "2"), ("a", "1")]
    assert live.metadata["kernelspec"]["name"] == "deno"


# Bad input


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotANotebook),
        (b"not json", NotANotebook),
        (b"[]", NotANotebook),
        (b'{"cells": 5, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', NotANotebook),
        (b"[" * 100_000, NotANotebook),
        (
            json.dumps({"nbformat": 3, "nbformat_minor": 0, "worksheets": [], "metadata": {}}).encode(),
            NotebookTooOld,
        ),
    ],
)
def test_what_is_no_notebook_is_refused_with_its_reason(
    cast: Cast, data: bytes, error: type[Exception]
) -> None:
    write_file(cast, data)
    with pytest.raises(error):
        open_it(cast)
    assert not Document.objects.exists()


@pytest.mark.parametrize(
    "path", ["absent.ipynb", "../x.ipynb", "work", "", "a\0b", ".hidden.ipynb", "/etc/passwd"]
)
def test_a_path_that_is_no_file_is_refused(cast: Cast, path: str) -> None:
    make_document(cast)
    with pytest.raises((NotFound, NotANotebook)) as caught:
        open_it(cast, path)
    assert str(settings.DATA_DIR) not in str(caught.value)
    assert Document.objects.count() == 1


def test_100_mb_are_refused_with_memory_flat(cast: Cast) -> None:
    write_file(cast, b"{}")
    with place_of(cast).open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    tracemalloc.start()
    with pytest.raises(NotebookTooLarge):
        open_it(cast)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
    assert not Document.objects.exists()
    assert MAX_NOTEBOOK_BYTES < 100 * 1024 * 1024


def test_cells_too_large_to_edit_together_are_refused(cast: Cast) -> None:
    write_file(cast, notebook_json(cell("a", "x" * 15_000_000)))
    with pytest.raises(NotebookTooLarge):
        open_it(cast)


def test_a_wire_that_is_down_is_a_clear_error(cast: Cast) -> None:
    document = make_document(cast)
    write_file(cast, notebook_json(cell("a", "changed")))
    memory_store("tests").set_down(True)
    try:
        with pytest.raises(Unavailable):
            open_it(cast)
    finally:
        memory_store("tests").set_down(False)
    assert open_document(user=cast.alice, project=cast.project, path=PATH).pk == document.pk
