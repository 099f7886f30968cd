"""What the files routes of the hub API take and give: docs/reference/hub-api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from notebooks_app.models import TrashedFile
from notebooks_app.storage.content_store import Entry
from notebooks_app.storage.paths import MAX_PATH_CHARS

Path = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATH_CHARS + 1)]


class EntryOut(Schema):
    name: str
    path: str
    type: Literal["file", "folder", "notebook"]
    size: int
    modified_at: datetime | None
    etag: str | None = Field(
        description="SHA-256 of the content; of files over the upload limit made of size, time and inode. "
        "Null for folders, and in listings for large files that were not read yet."
    )


class FolderOut(Schema):
    path: str
    type: Literal["folder"] = "folder"
    entries: list[EntryOut]


class WrittenOut(Schema):
    entry: EntryOut


class TransferIn(Schema):
    source: Path = Field(alias="from")
    target: Path = Field(alias="to")
    overwrite: bool = False


class DeletedOut(Schema):
    trash_id: UUID


class TrashOut(Schema):
    id: UUID
    path: str
    is_folder: bool
    size: int
    deleted_by: str | None
    deleted_at: datetime


def entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "path": entry.path,
        "type": entry.type,
        "size": entry.size_bytes,
        "modified_at": entry.modified_at,
        "etag": entry.etag,
    }


def trash_json(trashed: TrashedFile) -> dict[str, Any]:
    return {
        "id": trashed.pk,
        "path": trashed.path,
        "is_folder": trashed.is_folder,
        "size": trashed.size_bytes,
        "deleted_by": trashed.deleted_by.username if trashed.deleted_by else None,
        "deleted_at": trashed.deleted_at,
    }
