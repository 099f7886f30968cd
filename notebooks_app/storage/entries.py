"""What a content store tells of a file or folder, and the names it gives."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal

import msgspec

from notebooks_app.storage.local import identity_of
from notebooks_app.storage.paths import Parts

EntryType = Literal["file", "folder", "notebook"]


class Entry(msgspec.Struct, frozen=True):
    """A file or folder.

    `sha256` is None for folders, for files larger than the hub itself writes them, and in listings for large files
    not hashed yet. `etag` is the same, but of files too large to hash made of size, time of change and inode.
    """

    path: str
    name: str
    type: EntryType
    size_bytes: int
    modified_at: datetime | None
    sha256: str | None
    etag: str | None = None


class Written(msgspec.Struct, frozen=True):
    entry: Entry
    is_new: bool


def entry_of(shown: Parts, info: dict[str, Any], sha256: str | None, etag: str | None = None) -> Entry:
    """From what a file system tells; `shown` is the path as people see it. `etag` None is `sha256`."""
    name = shown[-1] if shown else ""
    is_folder = info["type"] == "directory"
    return Entry(
        path="/".join(shown),
        name=name,
        type="folder" if is_folder else "notebook" if name.endswith(".ipynb") else "file",
        size_bytes=0 if is_folder else int(info["size"] or 0),
        modified_at=modified_at_of(info),
        sha256=sha256,
        etag=sha256 if etag is None else etag,
    )


def name_of(info: dict[str, Any]) -> str:
    return str(info["name"]).rpartition("/")[2]


def modified_at_of(info: dict[str, Any]) -> datetime | None:
    value = info.get("mtime", info.get("created"))
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


def identity_and_info(stream: BinaryIO) -> tuple[tuple[int, ...] | None, dict[str, Any] | None]:
    """Of the open file itself: its name may lead to another one by now."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, AttributeError):
        return None, None
    identity = identity_of(found)
    return identity, {"type": "file", "size": found.st_size, "mtime": found.st_mtime, "identity": identity}


def unhashed_etag(info: dict[str, Any]) -> str:
    """Of a file too large to hash: from its size, time of change in nanoseconds and inode."""
    _, inode, size, mtime_ns, _ = info.get("identity") or (0, 0, info["size"], 0, 0)
    if not mtime_ns and (modified_at := modified_at_of(info)) is not None:
        mtime_ns = int(modified_at.timestamp() * 1e9)
    return f"{size:x}-{mtime_ns:x}-{inode:x}"


def labelled(name: str, label: str) -> str:
    """`a.ipynb` → `a (label).ipynb`, of at most 255 bytes."""
    pure = PurePosixPath(name)
    suffix = pure.suffix if len(pure.suffix) <= 20 else ""
    stem = name.removesuffix(suffix) if suffix else name
    room = 255 - len(f" ({label}){suffix}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')} ({label}){suffix}"


def numbered(name: str, number: int, label: str) -> str:
    return labelled(name, label if number == 1 else f"{label} {number}")
