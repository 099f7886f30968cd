"""What Jupyter clients leave behind goes in the end, and nothing that is needed goes with it."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from notebooks_app.models import Checkpoint, ServedNotebook, TrashedFile
from notebooks_app.services.checkpoints import (
    checkpoint_of,
    create_checkpoint,
    forget_unused_checkpoints,
    restore_checkpoint,
)
from notebooks_app.services.client_notebooks import forget_served_notebooks, read_client_notebook
from notebooks_app.services.files import delete_file, move_file
from notebooks_app.storage.project_files import content_store, project_folder
from tests.cast import Cast
from tests.notebooks_app.sync.documents import PATH, cell, notebook_json, write_file


@pytest.fixture
def checkpoint(cast: Cast) -> Checkpoint:
    write_file(cast, b"kept", "a.txt")
    return create_checkpoint(cast.project, "a.txt")


def age(checkpoint: Checkpoint, days: int) -> None:
    Checkpoint.objects.filter(pk=checkpoint.pk).update(created_at=timezone.now() - timedelta(days=days))


def test_a_checkpoint_stays_as_long_as_its_file(cast: Cast, checkpoint: Checkpoint) -> None:
    age(checkpoint, 400)
    assert forget_unused_checkpoints() == 0
    restore_checkpoint(checkpoint, user=cast.alice)


def test_a_checkpoint_goes_when_its_file_has_long_been_gone(cast: Cast, checkpoint: Checkpoint) -> None:
    (settings.DATA_DIR / project_folder(cast.project.pk) / "a.txt").unlink()  # as a kernel does it
    assert forget_unused_checkpoints() == 0, "the file may come back"
    age(checkpoint, 31)
    assert forget_unused_checkpoints() == 1
    assert checkpoint_of(cast.project, "a.txt") is None


def test_a_deleted_file_leaves_no_checkpoint_to_a_new_one_of_its_name(cast: Cast) -> None:
    for path in ("a.txt", "a/b.txt", "a/deep/c.txt", "ab/d.txt"):
        write_file(cast, b"x", path)
        create_checkpoint(cast.project, path)
    delete_file(cast.project, "a.txt", user=cast.alice)
    delete_file(cast.project, "a/", user=cast.alice)
    assert set(Checkpoint.objects.values_list("path", flat=True)) == {"ab/d.txt"}


def test_a_delete_that_fails_keeps_file_and_checkpoint(
    cast: Cast, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(project: object, path: str) -> None:
        raise OSError

    monkeypatch.setattr("notebooks_app.services.files.forget_checkpoints", fail)
    with pytest.raises(OSError):  # noqa: PT011  # as above
        delete_file(cast.project, "a.txt", user=cast.alice)
    restore_checkpoint(checkpoint, user=cast.alice)
    assert checkpoint_of(cast.project, "a.txt") == checkpoint
    assert not TrashedFile.objects.exists()


def test_a_copy_that_no_row_names_goes_after_a_day(cast: Cast, checkpoint: Checkpoint) -> None:
    copy = settings.DATA_DIR / "checkpoints" / str(checkpoint.pk)
    checkpoint.delete()
    assert forget_unused_checkpoints() == 0
    yesterday = timezone.now().timestamp() - 90_000
    os.utime(copy, (yesterday, yesterday))
    assert forget_unused_checkpoints() == 1
    assert not copy.exists()


def test_checkpoints_go_with_a_folder_that_is_moved(cast: Cast) -> None:
    write_file(cast, b"x", "old/a.txt")
    write_file(cast, b"y", "older/a.txt")
    create_checkpoint(cast.project, "old/a.txt")
    create_checkpoint(cast.project, "older/a.txt")
    move_file(cast.project, "old", "new", user=cast.alice)
    paths = set(Checkpoint.objects.values_list("path", flat=True))
    assert paths == {"new/a.txt", "older/a.txt"}


def test_a_file_that_takes_the_place_of_another_does_not_get_its_checkpoint(cast: Cast) -> None:
    write_file(cast, b"x", "a.txt")
    write_file(cast, b"y", "b.txt")
    create_checkpoint(cast.project, "b.txt")
    move_file(cast.project, "a.txt", "b.txt", user=cast.alice, overwrites=True)
    assert checkpoint_of(cast.project, "b.txt") is None
    assert content_store(cast.project).read("b.txt", max_bytes=10)[1] == b"x"


def test_what_clients_read_is_forgotten_after_a_month(cast: Cast) -> None:
    write_file(cast, notebook_json(cell("a", "1")))
    read_client_notebook(cast.project, PATH, client="token:1")
    assert forget_served_notebooks() == 0
    ServedNotebook.objects.update(served_at=timezone.now() - timedelta(days=31))
    assert forget_served_notebooks() == 1
