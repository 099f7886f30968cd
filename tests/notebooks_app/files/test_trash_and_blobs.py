"""What is cleaned up, and what never is; documents that follow their files."""

from __future__ import annotations

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from kernels_app.bus.memory_store import forget_memory_store
from notebooks_app import tasks
from notebooks_app.errors import Exists, NotFound
from notebooks_app.models import Blob, BlobReference, CellOutput, Document, Project, TrashedFile, Version
from notebooks_app.notebook_format import Cell, Notebook, write_notebook
from notebooks_app.services import files as services
from notebooks_app.services.blobs import forget_unused_blobs, refer_to_blobs, store_document_blob
from notebooks_app.services.documents import open_document
from notebooks_app.storage.blobs import load_blob, store_blob
from notebooks_app.storage.project_files import STAGING, content_store
from tests.cast import Cast

OLD = timedelta(days=2)


@pytest.fixture(autouse=True)
def empty_wire() -> None:
    forget_memory_store("tests")
    return


@pytest.fixture
def project(cast: Cast) -> Project:
    return cast.project


@pytest.fixture
def document(project: Project) -> Document:
    return Document.objects.create(project=project, path="a.ipynb", epoch="e")


def blob_place(sha256: str) -> Path:
    return Path(settings.DATA_DIR) / "blobs" / sha256[:2] / sha256


def make_old(*shas: str) -> None:
    then = timezone.now() - OLD
    Blob.objects.filter(pk__in=shas).update(created_at=then)
    BlobReference.objects.filter(blob_id__in=shas).update(seen_at=then)
    for sha256 in shas:
        os.utime(blob_place(sha256), (then.timestamp(), then.timestamp()))


def display(sha256: str) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "data": {},
        "metadata": {},
        "blobs": {"image/png": {"sha256": sha256}},
    }


def test_blobs_that_an_output_or_a_version_names_are_kept_and_others_forgotten(document: Document) -> None:
    shown, chunk, version, unused = (
        store_document_blob(document.pk, os.urandom(20))["sha256"] for _ in range(4)
    )
    text = {"output_type": "stream", "name": "stdout", "text": "", "chunks": [{"sha256": chunk}]}
    CellOutput.objects.create(document=document, cell_id="c", outputs=[display(shown), text])
    Version.objects.create(document=document, reason="auto", notebook_sha256=version)
    make_old(shown, chunk, version, unused)
    assert forget_unused_blobs() >= 1
    assert [load_blob(sha256) is not None for sha256 in (shown, chunk, version, unused)] == [
        True,
        True,
        True,
        False,
    ]
    assert not Blob.objects.filter(pk=unused).exists()


@pytest.mark.parametrize(
    "hostile",
    [
        {"output_type": "x", "blobs": [1]},
        {"output_type": "x", "blobs": {"image/png": 1}, "chunks": "abc"},
        {"output_type": "stream", "chunks": [1]},
        {"output_type": "display_data", "blobs": ["x"]},
        {},
        3,
    ],
)
def test_outputs_that_make_no_sense_keep_no_blob_of_others(
    cast: Cast, document: Document, hostile: Any
) -> None:
    CellOutput.objects.create(document=document, cell_id="c", outputs=[hostile])
    theirs = store_document_blob(document.pk, os.urandom(20))["sha256"]
    other = Document.objects.create(project=cast.project, path="b.ipynb", epoch="e")
    unused = store_document_blob(other.pk, os.urandom(20))["sha256"]
    make_old(theirs, unused)
    assert forget_unused_blobs() >= 1
    assert load_blob(unused) is None


def test_a_young_blob_is_kept_though_nothing_names_it_yet(document: Document) -> None:
    sha256 = store_document_blob(document.pk, os.urandom(20))["sha256"]
    forget_unused_blobs()
    assert load_blob(sha256) is not None


def test_a_blob_that_comes_again_while_it_is_forgotten_is_kept(document: Document) -> None:
    data = os.urandom(20)
    sha256 = store_document_blob(document.pk, data)["sha256"]
    make_old(sha256)
    assert store_blob(data) == sha256  # the recorder has stored it, and will commit its row in a moment
    forget_unused_blobs()
    assert load_blob(sha256) == data
    refer_to_blobs(document.pk, {sha256: len(data)})
    assert BlobReference.objects.filter(document=document, blob_id=sha256).exists()


def test_a_blob_whose_row_never_came_is_forgotten(db: None) -> None:
    sha256 = store_blob(os.urandom(20))
    then = time.time() - OLD.total_seconds()
    os.utime(blob_place(sha256), (then, then))
    forget_unused_blobs()
    assert load_blob(sha256) is None


def test_a_reference_that_is_named_again_is_young_again(document: Document) -> None:
    sha256 = store_document_blob(document.pk, os.urandom(20))["sha256"]
    make_old(sha256)
    refer_to_blobs(document.pk, {sha256: 20})
    assert BlobReference.objects.get(blob_id=sha256).seen_at > timezone.now() - timedelta(minutes=1)
    assert Blob.objects.filter(pk=sha256).count() == 1


def test_trash_is_deleted_for_good_after_thirty_days(project: Project, cast: Cast) -> None:
    store = content_store(project)
    for name in ("old.txt", "new.txt"):
        store.write(name, [b"x"])
    old, new = (services.delete_file(project, name, user=cast.bob) for name in ("old.txt", "new.txt"))
    TrashedFile.objects.filter(pk=old.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    tasks.purge_trash()
    assert [trashed.pk for trashed in services.trash_of(project)] == [new.pk]
    trash = Path(settings.DATA_DIR) / "trash"
    assert not (trash / str(old.pk)).exists()
    assert (trash / str(new.pk) / "new.txt").exists()


def test_what_a_broken_upload_left_is_removed_a_day_later(project: Project) -> None:
    content_store(project).write("a", [b"x"])
    staging = Path(settings.DATA_DIR) / STAGING
    for place in staging.iterdir():  # of other tests
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    for name, age_s in (("left", OLD.total_seconds()), ("running", 60)):
        (staging / name).write_bytes(b"x")
        os.utime(staging / name, (time.time() - age_s, time.time() - age_s))
    tasks.purge_trash()
    assert [place.name for place in staging.iterdir()] == ["running"]
    (staging / "running").unlink()


@pytest.fixture
def notebook(project: Project, cast: Cast) -> Document:
    data = write_notebook(Notebook(cells=(Cell(cell_type="code", source="1", id="c1"),)))
    content_store(project).write("d/nb.ipynb", [data])
    return open_document(user=cast.bob, project=project, path="d/nb.ipynb")


def test_a_live_document_goes_with_its_file(project: Project, cast: Cast, notebook: Document) -> None:
    services.move_file(project, "d/nb.ipynb", "d/renamed.ipynb", user=cast.bob)
    notebook.refresh_from_db()
    assert notebook.path == "d/renamed.ipynb"
    services.move_file(project, "d/", "e/f", user=cast.bob)
    notebook.refresh_from_db()
    assert notebook.path == "e/f/renamed.ipynb"
    assert open_document(user=cast.bob, project=project, path="e/f/renamed.ipynb").pk == notebook.pk


def test_a_live_document_waits_for_its_file_in_the_trash(
    project: Project, cast: Cast, notebook: Document
) -> None:
    trashed = services.delete_file(project, "d", user=cast.bob)
    with pytest.raises(NotFound):
        open_document(user=cast.bob, project=project, path="d/nb.ipynb")
    services.restore_file(project, trashed.pk)
    assert open_document(user=cast.bob, project=project, path="d/nb.ipynb").pk == notebook.pk


def test_when_a_move_cannot_be_noted_the_file_is_where_it_was(
    project: Project, cast: Cast, notebook: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(services, "follow_move", fail)
    with pytest.raises(RuntimeError):
        services.move_file(project, "d/nb.ipynb", "x.ipynb", user=cast.bob)
    assert content_store(project).entry("d/nb.ipynb").type == "notebook"
    with pytest.raises(NotFound):
        content_store(project).entry("x.ipynb")


def test_when_a_deletion_cannot_be_noted_the_file_is_where_it_was(
    project: Project, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    content_store(project).write("a", [b"x"])

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the database is away")

    for part, name in ((TrashedFile.objects, "create"), (services, "forget_checkpoints")):
        with monkeypatch.context() as patched:
            patched.setattr(part, name, fail)
            with pytest.raises(RuntimeError):
                services.delete_file(project, "a", user=cast.bob)
        assert content_store(project).entry("a").size_bytes == 1
        assert not TrashedFile.objects.exists()


def test_what_cannot_be_put_back_stays_in_the_trash(project: Project, cast: Cast) -> None:
    store = content_store(project)
    store.write("folder/a", [b"x"])
    trashed = services.delete_file(project, "folder/a", user=cast.bob)
    folder = Path(settings.DATA_DIR) / "projects" / str(project.pk) / "folder"
    folder.rmdir()
    folder.symlink_to("/")
    with pytest.raises(NotFound):
        services.restore_file(project, trashed.pk)
    folder.unlink()
    assert services.restore_file(project, trashed.pk).path == "folder/a"
    assert store.entry("folder/a").size_bytes == 1


class Killed(BaseException):
    """As by a signal: nothing cleans up."""


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_file_whose_deletion_is_cut_off_is_in_its_place_or_in_the_trash(
    project: Project, cast: Cast, monkeypatch: pytest.MonkeyPatch, is_moved: bool
) -> None:
    store = content_store(project)
    store.write("a", [b"x"])
    take_out = type(store).take_out

    def cut_off(self: Any, path: str, place: str) -> None:
        if is_moved:
            take_out(self, path, place)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "take_out", cut_off)
        with pytest.raises(Killed):
            services.delete_file(project, "a", user=cast.bob)
    [trashed] = services.trash_of(project)
    if is_moved:
        assert services.restore_file(project, trashed.pk).path == "a"
    else:
        with pytest.raises(NotFound):
            services.restore_file(project, trashed.pk)
    assert store.entry("a").size_bytes == 1
    assert not services.trash_of(project)


def test_a_move_to_a_name_that_is_taken_moves_no_document(
    project: Project, cast: Cast, notebook: Document
) -> None:
    content_store(project).write("x.ipynb", [b"{}"])
    with pytest.raises(Exists):
        services.move_file(project, "d/nb.ipynb", "x.ipynb", user=cast.bob)
    notebook.refresh_from_db()
    assert notebook.path == "d/nb.ipynb"
