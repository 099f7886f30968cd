"""What people do with a project's files: the files, the rows that follow them and the open pages stay agreed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import PurePosixPath
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from notebooks_app.errors import HubError, NotFound, Stale
from notebooks_app.models import Project, TrashedFile
from notebooks_app.services.documents import flush_under, follow_move, forget_checkpoints
from notebooks_app.services.file_hints import send_files_hint
from notebooks_app.services.storage_quota import Room, note_growth
from notebooks_app.storage.content_store import Entry, Written
from notebooks_app.storage.paths import split_path
from notebooks_app.storage.project_files import (
    STAGING_FOLDERS,
    content_store,
    data_files,
    trash_folder,
    trash_place,
)
from zasper_hub.accounts.models import User

log = structlog.get_logger(__name__)

TRASH_KEPT = timedelta(days=30)
STAGED_KEPT = timedelta(days=1)  # an upload that takes longer has long been broken off


def write_file(
    project: Project,
    path: str,
    chunks: Iterable[bytes],
    *,
    if_match: str | None = None,
    if_absent: bool = False,
) -> Written:
    """Writes a file; see `ContentStore.write` for conditions and errors. Raises QuotaExceeded: it does not fit in.

    A version that is refused as stale is kept beside the file only as far as there is room for both.
    """
    store = content_store(project)
    replaced_bytes = store.size_bytes(path)
    room = Room(project)
    counted = room.counted(chunks, replaced_bytes=replaced_bytes)
    try:
        written = store.write(
            path, counted, if_match=if_match, if_absent=if_absent, keeps_refused=room.is_enough_for
        )
        note_growth(project, files_bytes=written.entry.size_bytes - replaced_bytes)
        return written
    except Stale as error:
        kept_as = error.details["kept_as"]
        note_growth(project, files_bytes=store.size_bytes(kept_as) if kept_as else 0)
        raise
    finally:  # a refused version that was kept is new in the folder too
        send_files_hint(project.pk, _parent(path))


def make_folder(project: Project, path: str) -> Entry:
    """A new folder. Raises Exists."""
    entry = content_store(project).make_folder(path)
    send_files_hint(project.pk, _parent(path))
    return entry


def move_file(project: Project, source: str, target: str, *, user: User, overwrites: bool = False) -> Entry:
    """Moves or renames a file or folder; live documents go with it. What is overwritten goes to the trash.

    Raises:
        Exists: `target` is taken and `overwrites` is false.
    """
    source, target = _plain(project, source), _plain(project, target)
    store = content_store(project)
    store.entry(source)
    flush_under(project, source)
    if overwrites and source != target:
        _make_room(project, target, user=user)
    entry = store.move(source, target)
    try:
        with transaction.atomic():
            follow_move(project, source, target)
    except Exception:
        store.move(target, source)
        raise
    send_files_hint(project.pk, _parent(source))
    send_files_hint(project.pk, _parent(target))
    return entry


def copy_file(project: Project, source: str, target: str, *, user: User, overwrites: bool = False) -> Entry:
    """Copies a file or folder. Raises as `move_file`, and QuotaExceeded."""
    source, target = _plain(project, source), _plain(project, target)
    store = content_store(project)
    store.entry(source)
    flush_under(project, source)
    if overwrites and source != target:
        _make_room(project, target, user=user)
    copied_bytes = store.size_bytes(source)
    Room(project).need(copied_bytes)
    entry = store.copy(source, target)
    note_growth(project, files_bytes=copied_bytes)
    send_files_hint(project.pk, _parent(target))
    return entry


def delete_file(project: Project, path: str, *, user: User) -> TrashedFile:
    """Moves a file or folder to the trash, without its checkpoints. A live document's row stays: a restore finds it."""
    path = _plain(project, path)
    store = content_store(project)
    flush_under(project, path)
    # First the row: one without its bytes is told as such, bytes without a row would be found by nobody.
    trashed = TrashedFile.objects.create(project=project, path=path, deleted_by=user)
    place = trash_place(trashed.pk, PurePosixPath(path).name)
    try:
        trashed.is_folder, size_bytes = store.take_out(path, place)
    except Exception:
        trashed.delete()
        raise
    trashed.size_bytes = size_bytes
    try:
        with transaction.atomic():
            trashed.save(update_fields=["is_folder", "size_bytes"])
            forget_checkpoints(project, path)
    except Exception:
        store.put_back(place, path)
        trashed.delete()
        raise
    note_growth(project, files_bytes=-size_bytes, trash_bytes=size_bytes)
    send_files_hint(project.pk, _parent(path))
    return trashed


def trash_of(project: Project) -> list[TrashedFile]:
    """What is in the project's trash, last deleted first."""
    return list(
        TrashedFile.objects.filter(project=project).select_related("deleted_by").order_by("-deleted_at")
    )


def restore_file(project: Project, trash_id: UUID) -> Entry:
    """Puts a deleted file or folder back where it was, or beside what is there by now. Raises NotFound."""
    try:
        entry, trashed = _take_from_trash(project, trash_id)
    except NotFound:
        # A deletion that was cut off before the file was moved: it is still where it was, and no row is needed.
        if not data_files().exists(trash_folder(trash_id)):
            TrashedFile.objects.filter(project=project, pk=trash_id).delete()
        raise
    note_growth(project, files_bytes=trashed.size_bytes, trash_bytes=-trashed.size_bytes)
    _remove_trash_folder(trash_id)
    send_files_hint(project.pk, _parent(entry.path))
    return entry


def _take_from_trash(project: Project, trash_id: UUID) -> tuple[Entry, TrashedFile]:
    with transaction.atomic():
        # Of two who restore at once, the second one waits here and then finds nothing.
        trashed = (
            TrashedFile.objects.select_for_update(no_key=True).filter(project=project, pk=trash_id).first()
        )
        if trashed is None:
            raise NotFound("That is not in the trash any more.")
        place = trash_place(trashed.pk, PurePosixPath(trashed.path).name)
        entry = content_store(project).put_back(place, trashed.path)
        trashed.delete()
        return entry, trashed


def purge_file(project: Project, trash_id: UUID) -> None:
    """Deletes for good what is in the trash. Raises NotFound."""
    trashed = TrashedFile.objects.filter(project=project, pk=trash_id).first()
    if trashed is None:
        raise NotFound("That is not in the trash any more.")
    _purge(trashed)


def empty_trash(project: Project) -> int:
    """Deletes for good all that is in the project's trash; how much that was."""
    purged = 0
    for trashed in TrashedFile.objects.filter(project=project).select_related("project"):
        _purge(trashed)
        purged += 1
    return purged


def purge_old_trash() -> int:
    """Deletes for good what was deleted TRASH_KEPT ago; how much that was."""
    purged = 0
    for trashed in TrashedFile.objects.filter(deleted_at__lt=timezone.now() - TRASH_KEPT):
        try:
            _purge(trashed)
            purged += 1
        except (HubError, OSError) as error:
            log.warning("trash_not_purged", trash_id=str(trashed.pk), kind=type(error).__name__)
    return purged


def remove_stale_uploads() -> int:
    """Removes what uploads left that were broken off by the end of their process; how many."""
    files = data_files()
    cutoff = (timezone.now() - STAGED_KEPT).timestamp()
    removed = 0
    for folder in STAGING_FOLDERS:
        try:
            found = files.ls(folder, detail=True)
        except FileNotFoundError:
            continue
        for info in found:
            if info["mtime"] < cutoff:
                files.rm(info["name"])
                removed += 1
    return removed


def _purge(trashed: TrashedFile) -> None:
    # First the bytes: a row without them is purged again, bytes without a row would stay.
    _remove_trash_folder(trashed.pk)
    trashed.delete()
    note_growth(trashed.project, trash_bytes=-trashed.size_bytes)


def _remove_trash_folder(trash_id: UUID) -> None:
    files = data_files()
    with suppress(FileNotFoundError):
        files.rm(trash_folder(trash_id))


def _make_room(project: Project, path: str, *, user: User) -> None:
    with suppress(NotFound):
        delete_file(project, path, user=user)


def _plain(project: Project, path: str) -> str:
    """The path without a trailing slash, as rows have it. Raises NotFound."""
    return "/".join(split_path(path, allows_hidden=project.allows_hidden_files))


def _parent(path: str) -> str:
    parent = str(PurePosixPath(path.strip("/")).parent)
    return "" if parent == "." else parent
