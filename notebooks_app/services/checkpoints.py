"""The copy of a file that Jupyter's clients make with each save and can go back to: one a file, as Jupyter Server has.

Versions of notebooks (`documents_versions`) are another, richer thing; restoring a checkpoint is an edit too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import BinaryIO

from django.db import transaction
from django.utils import timezone

from notebooks_app.errors import Invalid, NotFound
from notebooks_app.models import Checkpoint, Project
from notebooks_app.notebook_format import NotebookError, read_notebook
from notebooks_app.services.client_notebooks import document_at, save_client_notebook, settle_notebook
from notebooks_app.services.files import write_file
from notebooks_app.storage.failures import told_to_people
from notebooks_app.storage.project_files import content_store, data_files
from zasper_hub.accounts.models import User

FOLDER = "checkpoints"
COPY_BYTES = 1024 * 1024
KEPT_WITHOUT_FILE = timedelta(days=30)  # as the trash


def checkpoint_of(project: Project, path: str) -> Checkpoint | None:
    return Checkpoint.objects.filter(project=project, path=path).first()


def create_checkpoint(project: Project, path: str) -> Checkpoint:
    """Keeps the file as it is now, in place of an earlier copy. Raises NotFound, Invalid for a folder, DiskFull."""
    settle_notebook(project, path)
    store = content_store(project)
    if store.entry(path).type == "folder":
        raise Invalid("Folders have no checkpoints.")
    made = uuid.uuid4()
    files = data_files()
    with told_to_people():
        files.makedirs(FOLDER, exist_ok=True)
        try:
            with store.open_file(path) as (entry, source), files.open(_place(made), "wb") as target:
                size_bytes = sum(target.write(chunk) for chunk in _chunks(source))
        except BaseException:
            _discard(made)
            raise
    with transaction.atomic():
        old = (
            Checkpoint.objects.select_for_update(no_key=True).filter(project=project, path=entry.path).first()
        )
        if old is not None:
            old_id = old.pk
            old.delete()
            transaction.on_commit(lambda: _discard(old_id))
        return Checkpoint.objects.create(
            id=made,
            project=project,
            path=entry.path,
            size_bytes=size_bytes,
            created_at=entry.modified_at or timezone.now(),
        )


def restore_checkpoint(checkpoint: Checkpoint, *, user: User) -> None:
    """Makes the file what the copy is; of a notebook that people have open, by edits that they see."""
    project, path = checkpoint.project, checkpoint.path
    with told_to_people(), _opened(checkpoint) as stream:
        if document_at(project, path) is not None:
            with suppress(NotebookError):
                notebook = read_notebook(stream.read())
                save_client_notebook(project, path, notebook, client=None, user=user)
                return
            stream.seek(0)
        write_file(project, path, _chunks(stream))


def delete_checkpoint(checkpoint: Checkpoint) -> None:
    _discard(checkpoint.pk)
    checkpoint.delete()


def forget_unused_checkpoints() -> int:
    """Deletes the copies of files that have long been gone, and copies that no row names; how many."""
    forgotten = 0
    old = Checkpoint.objects.select_related("project").filter(
        created_at__lt=timezone.now() - KEPT_WITHOUT_FILE
    )
    for checkpoint in old.iterator():
        try:
            content_store(checkpoint.project).entry(checkpoint.path)
        except NotFound:
            delete_checkpoint(checkpoint)
            forgotten += 1
    return forgotten + _forget_copies_without_row()


def _forget_copies_without_row() -> int:
    files = data_files()
    try:
        found = files.ls(FOLDER, detail=True)
    except FileNotFoundError:
        return 0
    cutoff = (timezone.now() - timedelta(days=1)).timestamp()  # younger ones may be in the making
    names = [str(info["name"]).rpartition("/")[2] for info in found if info["mtime"] < cutoff]
    kept = {str(pk) for pk in Checkpoint.objects.values_list("pk", flat=True)}
    unused = [name for name in names if name not in kept]
    for name in unused:
        files.rm(f"{FOLDER}/{name}")
    return len(unused)


def _place(checkpoint_id: uuid.UUID) -> str:
    return f"{FOLDER}/{checkpoint_id}"


def _opened(checkpoint: Checkpoint) -> BinaryIO:
    try:
        stream: BinaryIO = data_files().open(_place(checkpoint.pk), "rb")
    except FileNotFoundError as error:
        raise NotFound(f"Checkpoint does not exist: {checkpoint.path}@checkpoint") from error
    return stream


def _discard(checkpoint_id: uuid.UUID) -> None:
    with suppress(FileNotFoundError):
        data_files().rm(_place(checkpoint_id))


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(COPY_BYTES):
        yield chunk
