"""The folder of one project in a file system: places for its paths, and what each backend does in its own way."""

from __future__ import annotations

import io
from typing import Any, BinaryIO, cast

from fsspec import AbstractFileSystem

from notebooks_app.errors import FolderTooLarge, NotFound
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.paths import Parts, resolve_parts, split_path

# Of one folder. A kernel may make millions of files; so many are told in about 0.3 s, with 10 MB of memory.
MAX_ENTRIES = 20_000


class ProjectTree:
    """Methods raise what the backend raises (`failures.told_to_people`), and NotFound for what is no file or folder."""

    def __init__(self, files: AbstractFileSystem, *, folder: str, allows_hidden: bool) -> None:
        """`folder` is a path of `files`."""
        self.files = files
        self.allows_hidden = allows_hidden
        self._folder = folder

    def resolved(self, path: str, *, follows_last: bool = True, allows_hidden: bool | None = None) -> Parts:
        """Where a person's path leads, links on the way followed."""
        allowed = self.allows_hidden if allows_hidden is None else allows_hidden
        parts = split_path(path, allows_hidden=allowed)
        if not isinstance(self.files, LocalFiles):
            return parts
        folder = self.files.root / self._folder
        return resolve_parts(folder, parts, allows_hidden=allowed, follows_last=follows_last)

    def place(self, parts: Parts) -> str:
        """The backend's own path."""
        return "/".join((self._folder, *parts))

    def info(self, parts: Parts) -> dict[str, Any]:
        info = cast("dict[str, Any]", self.files.info(self.place(parts)))
        if info["type"] == "other":
            raise NotFound("That is neither a file nor a folder.")
        return info

    def info_or_none(self, parts: Parts) -> dict[str, Any] | None:
        try:
            return cast("dict[str, Any]", self.files.info(self.place(parts)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def infos_in(self, parts: Parts) -> list[dict[str, Any]]:
        """Of all that is in a folder. Raises FolderTooLarge."""
        options = {"max_entries": MAX_ENTRIES} if isinstance(self.files, LocalFiles) else {}
        found = cast("list[dict[str, Any]]", self.files.ls(self.place(parts), detail=True, **options))
        if len(found) > MAX_ENTRIES:
            raise FolderTooLarge(
                f"This folder has more than {MAX_ENTRIES:,} entries, too many to show. Move some of them into other "
                "folders or delete them, from a notebook or a terminal of this project.",
                max_entries=MAX_ENTRIES,
            )
        return found

    def size_bytes(self, parts: Parts, info: dict[str, Any]) -> int:
        """Of a file, or of all files in a folder."""
        if isinstance(self.files, LocalFiles):
            return self.files.walk_sizes(self.place(parts))
        return int(self.files.du(self.place(parts))) if info["type"] == "directory" else int(info["size"])

    def open(self, parts: Parts) -> BinaryIO:
        """For reading. Raises IsADirectoryError."""
        if not isinstance(self.files, LocalFiles) and self.files.isdir(self.place(parts)):
            raise IsADirectoryError
        stream = cast("BinaryIO", self.files.open(self.place(parts), "rb"))
        # The in-memory file system hands out its only copy, which readers would share.
        return io.BytesIO(stream.getvalue()) if isinstance(stream, io.BytesIO) else stream

    def make_folder(self, parts: Parts) -> None:
        self.files.makedirs(self.place(parts), exist_ok=False)

    def make_parent(self, parts: Parts) -> None:
        self.files.makedirs(self.place(parts[:-1]), exist_ok=True)

    def rename(self, old: str, new: str, *, is_exclusive: bool) -> None:
        """Of places, also outside of the project's folder. `is_exclusive` raises FileExistsError for a taken name."""
        if isinstance(self.files, LocalFiles):
            self.files.mv(old, new, is_exclusive=is_exclusive)
            return
        if is_exclusive and self.files.exists(new):
            raise FileExistsError(new)
        self.files.mv(old, new, recursive=self.files.isdir(old))
