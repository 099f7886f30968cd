"""Which store a project's files are in: chosen here, once, for all of the hub."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from notebooks_app.models import Project
from notebooks_app.storage import blobs
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.hashes import HashMemory
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.locks import ProcessLocks

# Beside the projects' folders and on their device, but in no kernel's reach.
STAGING = "projects/.incoming"
STAGING_FOLDERS = (STAGING, blobs.STAGING)

_hashes = HashMemory()


def project_folder(project_id: UUID) -> str:
    """A project's folder, relative to the data directory."""
    return f"projects/{project_id}"


def trash_folder(trash_id: UUID) -> str:
    """What holds one deleted file or folder, relative to the data directory."""
    return f"trash/{trash_id}"


def trash_place(trash_id: UUID, name: str) -> str:
    """Where a deleted file or folder waits, relative to the data directory."""
    return f"{trash_folder(trash_id)}/{name}"


def data_files() -> LocalFiles:
    return LocalFiles(settings.DATA_DIR)


def content_store(project: Project) -> ContentStore:
    """The project's files. Its folder is made when it is not there yet."""
    files = data_files()
    files.makedirs(project_folder(project.pk), exist_ok=True)
    return ContentStore(
        files,
        folder=project_folder(project.pk),
        staging=STAGING,
        locks=ProcessLocks(settings.DATA_DIR / "run" / "locks"),
        hashes=_hashes,
        allows_hidden=project.allows_hidden_files,
        max_file_bytes=settings.MAX_FILE_BYTES,
    )
