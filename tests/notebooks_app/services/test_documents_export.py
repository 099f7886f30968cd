"""The file: written when something changed, never over what the hub has not seen, and merged otherwise."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone
from pycrdt import Doc

from notebooks_app.models import CellOutput, Document
from notebooks_app.notebook_format import Cell
from notebooks_app.services import documents_file
from notebooks_app.services.documents import read_whole_notebook
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.shape import cells_of, new_cell, read_shape
from notebooks_app.sync.update_log import load_live
from tests.cast import Cast
from tests.notebooks_app.services.exported_documents import (
    edit,
    export,
    live_sources,
    put_cell,
    reloaded,
    set_source,
)
from tests.notebooks_app.sync.documents import (
    cell,
    file_notebook,
    file_sources,
    make_document,
    names_beside,
    notebook_json,
    open_it,
    read_file,
    write_file,
)


def test_an_edit_reaches_the_file(cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "x = 'é😀漢'\n"))
    assert reloaded(document).dirty_since is not None
    assert export(document)
    assert file_sources(cast) == ["x = 'é😀漢'\n", "y = 2"]
    after = reloaded(document)
    assert after.dirty_since is None
    assert after.export_error == ""
    assert names_beside(cast) == ["study.ipynb"]


def test_a_document_that_did_not_change_is_not_written(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    document = make_document(cast)
    monkeypatch.setattr(ContentStore, "write", None)
    assert export(document)
    edit(document, set_source("a", "other"))
    edit(document, set_source("a", "x = 1\n"))
    assert export(document), "edited back to what is in the file"
    assert reloaded(document).dirty_since is None


def test_outputs_are_in_the_file(cast: Cast) -> None:
    document = make_document(cast)
    CellOutput.objects.create(
        document=document,
        cell_id="a",
        execution_count=3,
        outputs=[{"output_type": "stream", "name": "stdout", "text": "1\n"}],
    )
    Document.objects.filter(pk=document.pk).update(dirty_since=timezone.now(), changed_at=timezone.now())
    assert export(document)
    first = file_notebook(cast).cells[0]
    assert first.outputs == [{"output_type": "stream", "name": "stdout", "text": "1\n"}]
    assert first.execution_count == 3


def test_what_changes_while_the_file_is_written_stays_dirty(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "first"))
    write = ContentStore.write

    def slow_write(*arguments: Any, **options: Any) -> Any:
        written = write(*arguments, **options)
        edit(document, set_source("a", "second"))
        return written

    with monkeypatch.context() as patch:
        patch.setattr(ContentStore, "write", slow_write)
        assert not export(document)
    assert file_sources(cast)[0] == "first"
    assert reloaded(document).dirty_since is not None
    assert export(document)
    assert file_sources(cast)[0] == "second"


# Changed outside


def test_changes_on_both_sides_are_merged_by_cell(cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "ours = 1\n"))
    write_file(
        cast, notebook_json(cell("a", "x = 1\n"), cell("n", "new outside"), cell("b", "theirs = 2"), tag=1)
    )
    assert export(document)
    compact(str(document.pk))
    assert export(document)
    assert file_sources(cast) == live_sources(document) == ["ours = 1\n", "new outside", "theirs = 2"]
    assert file_notebook(cast).metadata == {"tag": 1}
    assert names_beside(cast) == ["study.ipynb"]


def test_different_lines_of_one_cell_are_merged(cast: Cast) -> None:
    document = make_document(cast, cell("a", "1 é\n2\n3 😀\n4\n5\n"))
    edit(document, set_source("a", "1 é ours\n2\n3 😀\n4\n5\n"))
    write_file(cast, notebook_json(cell("a", "1 é\n2\n3 😀\n4\n5 theirs 漢\n")))
    open_it(cast)
    assert live_sources(document) == ["1 é ours\n2\n3 😀\n4\n5 theirs 漢\n"]
    assert names_beside(cast) == ["study.ipynb"]


def test_what_cannot_be_merged_is_kept_beside_the_notebook(cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "ours\n"))
    outside = notebook_json(cell("a", "theirs\n"), cell("b", "y = 3"))
    write_file(cast, outside)
    export(document)
    compact(str(document.pk))
    assert export(document)
    assert file_sources(cast) == ["ours\n", "y = 3"]
    (kept,) = [name for name in names_beside(cast) if name != "study.ipynb"]
    assert kept.startswith("study (changed outside ")
    assert read_file(cast, f"work/{kept}") == outside


def test_a_cell_deleted_outside_goes_unless_it_was_edited_here(cast: Cast) -> None:
    document = make_document(cast, cell("a", "1"), cell("b", "2"), cell("c", "3"))
    edit(document, set_source("b", "edited here"))
    write_file(cast, notebook_json(cell("c", "3")))
    export(document)
    assert live_sources(document) == ["edited here", "3"]


def test_a_cell_deleted_here_and_edited_outside_is_kept_beside(cast: Cast) -> None:
    document = make_document(cast, cell("a", "1"), cell("b", "2"))

    def delete(replica: Doc[Any]) -> None:
        del cells_of(replica)["b"]

    edit(document, delete)
    write_file(cast, notebook_json(cell("a", "1"), cell("b", "edited outside")))
    export(document)
    assert live_sources(document) == ["1"]
    assert len(names_beside(cast)) == 2


def test_cells_moved_outside_move_and_edits_in_them_stay(cast: Cast) -> None:
    document = make_document(cast, *(cell(name, name) for name in "abcde"))
    edit(document, set_source("b", "b edited"))
    write_file(cast, notebook_json(*(cell(name, name) for name in "dabce")))
    export(document)
    assert live_sources(document) == ["d", "a", "b edited", "c", "e"]
    assert len(names_beside(cast)) == 1


def test_outputs_changed_outside_are_taken_in_unless_the_cell_runs(cast: Cast) -> None:
    document = make_document(cast)
    CellOutput.objects.create(document=document, cell_id="b", state="running")
    outputs = [{"output_type": "stream", "name": "stdout", "text": "outside"}]
    write_file(
        cast,
        notebook_json(
            cell("a", "x = 1\n", outputs=outputs, execution_count=1),
            cell("b", "y = 2", outputs=outputs, execution_count=2),
        ),
    )
    open_it(cast)
    whole = read_whole_notebook(document)
    assert whole.cells[0].outputs == outputs
    assert whole.cells[1].outputs == []


def test_cells_of_a_file_without_ids_are_recognised(cast: Cast) -> None:
    document = make_document(cast, cell("", "one"), cell("", "two"), cell("", "three"), minor=4)
    before = [one.id for one in read_shape(load_live(document)).cells]
    write_file(
        cast,
        notebook_json(cell("", "zero"), cell("", "one"), cell("", "two edited"), cell("", "three"), minor=4),
    )
    open_it(cast)
    after = [one.id for one in read_shape(load_live(document)).cells]
    assert live_sources(document) == ["zero", "one", "two edited", "three"]
    assert after[1:] == before


def test_a_merge_that_was_cut_off_before_its_commit_is_done_once(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_document(cast)
    edit(document, set_source("b", "ours"))
    write_file(cast, notebook_json(cell("a", "theirs\n"), cell("n", "new"), cell("b", "y = 2")))
    save = Document.save

    def killed(*_: object, **__: object) -> None:
        raise MemoryError("killed before the row was written")

    monkeypatch.setattr(Document, "save", killed)
    with pytest.raises(MemoryError):
        open_it(cast)
    monkeypatch.setattr(Document, "save", save)
    open_it(cast)
    compact(str(document.pk))
    export(document)
    assert live_sources(document) == file_sources(cast) == ["theirs\n", "new", "ours"]
    assert names_beside(cast) == ["study.ipynb"]


def test_an_export_that_was_cut_off_after_the_file_is_not_taken_for_a_change_outside(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_document(cast, cell("a", "one"))
    edit(document, set_source("a", "one two"))

    def killed(*_: object, **__: object) -> None:
        raise MemoryError("killed after the file was written")

    with monkeypatch.context() as patch:
        patch.setattr(documents_file, "_mark_clean", killed)
        with pytest.raises(MemoryError):
            export(document)
    assert file_sources(cast) == ["one two"]
    edit(document, set_source("a", "one three"))
    assert export(document)
    assert file_sources(cast) == live_sources(document) == ["one three"]
    assert names_beside(cast) == ["study.ipynb"]


def test_a_file_that_changes_between_look_and_write_is_not_overwritten(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "ours"))
    write = ContentStore.write
    rivals = [
        notebook_json(cell("a", "x = 1\n"), cell("b", "y = 2"), cell("n", f"rival {number}"))
        for number in (1, 2)
    ]

    def overtaken(self: ContentStore, path: str, chunks: Any, **options: Any) -> Any:
        if rivals:
            write(self, path, [rivals.pop(0)])
        return write(self, path, chunks, **options)

    monkeypatch.setattr(ContentStore, "write", overtaken)
    export(document)
    compact(str(document.pk))
    export(document)
    assert file_sources(cast) == live_sources(document) == ["ours", "y = 2", "rival 2"]
    assert names_beside(cast) == ["study.ipynb"]


@pytest.mark.parametrize("garbage", [b"garbage", b'{"nbformat": 3, "worksheets": []}'])
def test_a_file_that_became_no_notebook_is_kept_beside(cast: Cast, garbage: bytes) -> None:
    document = make_document(cast)
    write_file(cast, garbage)
    with pytest.raises(Exception, match=r"not_a_notebook|notebook_too_old"):
        open_it(cast)
    edit(document, set_source("a", "ours"))
    assert open_it(cast).pk == document.pk, "what is not in the file yet can be worked on"
    assert export(document)
    assert file_sources(cast) == ["ours", "y = 2"]
    (kept,) = [name for name in names_beside(cast) if name != "study.ipynb"]
    assert read_file(cast, f"work/{kept}") == garbage


def test_random_changes_on_both_sides_lose_nothing(cast: Cast) -> None:
    seed_number = int.from_bytes(os.urandom(4), "big")
    print("seed", seed_number)
    chance = random.Random(seed_number)
    document = make_document(cast, *(cell(f"c{number}", f"{number} é😀\n") for number in range(6)))
    for step in range(25):
        marks = (f"ours{step}x", f"theirs{step}x")
        ours = read_shape(load_live(document)).cells
        mine = chance.choice(ours)
        text = list(mine.source)
        text.insert(chance.randrange(len(text) + 1), marks[0])
        edit(document, set_source(mine.id or "", "".join(text)), is_compacted=chance.random() < 0.5)
        if chance.random() < 0.2:
            made = new_cell(Cell(cell_type="code", id=f"o{step}", source="漢"), f"b{step + 10}")
            edit(document, partial(put_cell, f"o{step}", made))
        outside = list(file_notebook(cast).cells)
        index = chance.randrange(len(outside))
        cells = [cell(one.id or "", one.source) for one in outside]
        cells[index] = cell(outside[index].id or "", f"{outside[index].source}\n{marks[1]}")
        if chance.random() < 0.3:
            cells.append(cells.pop(chance.randrange(len(cells))))
        write_file(cast, notebook_json(*cells))
        export(document)
        compact(str(document.pk))
        assert export(document)
        assert file_sources(cast) == live_sources(document)
        everything = "".join("".join(file_sources(cast, f"work/{name}")) for name in names_beside(cast))
        assert marks[0] in "".join(file_sources(cast)).replace("\n", "")
        assert marks[1] in everything


# The file goes


def test_an_export_keeps_a_version_now_and_then(cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "1"))
    export(document)
    edit(document, set_source("a", "2"))
    export(document)
    assert document.versions.count() == 1
    document.versions.update(created_at=timezone.now() - timedelta(minutes=6))
    edit(document, set_source("a", "3"))
    export(document)
    assert document.versions.count() == 2
