"""A document whose file is deleted, moved, or cannot be written."""

from __future__ import annotations

import pytest
from django.utils import timezone

from kernels_app.bus.memory_store import memory_store
from kernels_app.bus.transport import TransportError
from notebooks_app.errors import DiskFull, NotFound
from notebooks_app.models import CellOutput, Document
from notebooks_app.services.documents import flush_under, follow_move
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.project_files import content_store
from tests.cast import Cast
from tests.notebooks_app.services.exported_documents import (
    edit,
    export,
    reloaded,
    set_source,
)
from tests.notebooks_app.sync.documents import (
    PATH,
    cell,
    file_sources,
    make_document,
    names_beside,
    open_it,
    read_file,
)


def test_a_deleted_file_comes_back_with_the_next_edit(cast: Cast) -> None:
    document = make_document(cast)
    content_store(cast.project).take_out(PATH, "trash/x/study.ipynb")
    with pytest.raises(NotFound):
        open_it(cast)
    edit(document, set_source("a", "after the deletion"))
    assert export(document)
    assert file_sources(cast) == ["after the deletion", "y = 2"]


def test_outputs_alone_do_not_bring_a_deleted_file_back(cast: Cast) -> None:
    document = make_document(cast)
    content_store(cast.project).take_out(PATH, "trash/y/study.ipynb")
    CellOutput.objects.create(document=document, cell_id="a", execution_count=1)
    Document.objects.filter(pk=document.pk).update(dirty_since=timezone.now(), changed_at=timezone.now())
    assert export(document)
    assert names_beside(cast) == []
    assert reloaded(document).dirty_since is None


def test_a_document_follows_its_file_and_its_folder(cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "unsaved"))
    flush_under(cast.project, "work")
    assert file_sources(cast)[0] == "unsaved"
    content_store(cast.project).move("work", "moved")
    follow_move(cast.project, "work", "moved")
    assert reloaded(document).path == "moved/study.ipynb"
    assert open_it(cast, "moved/study.ipynb").pk == document.pk
    edit(document, set_source("a", "moved"))
    assert export(document)
    assert file_sources(cast, "moved/study.ipynb")[0] == "moved"


def test_names_that_only_begin_alike_are_not_moved(cast: Cast) -> None:
    make_document(cast)
    other = make_document(cast, path="work2/study.ipynb")
    follow_move(cast.project, "work", "moved")
    assert reloaded(other).path == "work2/study.ipynb"


def test_a_file_moved_over_another_ends_that_one(cast: Cast) -> None:
    document = make_document(cast)
    replaced = make_document(cast, cell("z", "old"), path="other.ipynb")
    follow_move(cast.project, PATH, "other.ipynb")
    assert reloaded(document).path == "other.ipynb"
    assert not Document.objects.filter(pk=replaced.pk).exists()


# Failures


def test_a_full_disk_is_told_and_nothing_is_lost(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    document = make_document(cast)
    before = read_file(cast)
    edit(document, set_source("a", "precious"))

    def full(*_: object, **__: object) -> None:
        raise DiskFull

    with monkeypatch.context() as patch:
        patch.setattr(ContentStore, "write", full)
        assert not export(document)
    after = reloaded(document)
    assert "full" in after.export_error
    assert after.dirty_since is not None
    assert read_file(cast) == before
    assert export(document)
    assert reloaded(document).export_error == ""
    assert file_sources(cast)[0] == "precious"


def test_a_wire_that_is_down_leaves_everything_as_it_is(cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "precious"))
    memory_store("tests").set_down(True)
    try:
        with pytest.raises(TransportError):
            export(document)
    finally:
        memory_store("tests").set_down(False)
    assert export(document)
    assert file_sources(cast)[0] == "precious"


def test_one_bad_notebook_does_not_keep_the_others_from_being_flushed(cast: Cast) -> None:
    good, bad = make_document(cast), make_document(cast, path="work/a.ipynb")
    for document in (good, bad):
        edit(document, set_source("a", "flushed"))
    # Where its file was there is a folder now.
    content_store(cast.project).take_out("work/a.ipynb", "trash/z/a.ipynb")
    content_store(cast.project).make_folder("work/a.ipynb")
    flush_under(cast.project, "work")
    assert file_sources(cast)[0] == "flushed"
    assert reloaded(bad).export_error


# Versions
