"""The files of one project, in one shape for every backend.

A backend is an fsspec file system. `LocalFiles` adds what a local folder needs (no link followed, durable renames);
other backends come by configuration. The same contract suite runs over all of them.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import msgspec
from fsspec import AbstractFileSystem

from notebooks_app.errors import DiskFull, Exists, HubError, Invalid, NotFound, Stale, TooLarge
from notebooks_app.storage.entries import (
    Entry,
    EntryType,
    Written,
    identity_and_info,
    labelled,
    modified_at_of,
    name_of,
    numbered,
)
from notebooks_app.storage.failures import told_to_people
from notebooks_app.storage.hashes import HashMemory
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.locks import PathLocks
from notebooks_app.storage.paths import Parts, check_new_name, resolve_parts, split_path

__all__ = ["MAX_FILE_BYTES", "ContentStore", "Entry", "EntryType", "Written"]

MAX_FILE_BYTES = 10 * 1024**3
# A listing hashes what is quickly hashed; for the rest `etag` comes with the file itself.
LISTING_HASH_BYTES = 8 * 1024 * 1024
LISTING_HASH_TOTAL_BYTES = 64 * 1024 * 1024  # about 0.1 s, once


class ContentStore:
    """Files of one project. Paths are the project's, as people write them: `a/b.ipynb`.

    Every method raises NotFound for a path that is not there or is none (`paths.split_path`), DiskFull, and Unavailable
    when the backend fails; then nothing was changed.
    """

    def __init__(
        self,
        files: AbstractFileSystem,
        *,
        folder: str,
        staging: str,
        locks: PathLocks,
        hashes: HashMemory,
        allows_hidden: bool = False,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        """`folder` and `staging` are paths of `files`, on the same device: a file is written in `staging` and then
        renamed into `folder`."""
        self._files = files
        self._folder = folder
        self._staging = staging
        self._locks = locks
        self._hashes = hashes
        self._allows_hidden = allows_hidden
        self._max_file_bytes = max_file_bytes

    # Looking

    def entry(self, path: str) -> Entry:
        """The entry at `path`; '' is the project's folder. A file's `sha256` is set."""
        with told_to_people():
            parts = self._resolved(path)
            info = self._info(parts)
            if info["type"] == "directory":
                return self._entry(split_path(path, allows_hidden=True), info, None)
            with self._opened(parts) as stream:
                return self._file_entry(path, stream)

    def size_bytes(self, path: str) -> int:
        """Bytes of a file, or of all files in a folder; 0 when nothing is there. Nothing is read."""
        try:
            with told_to_people():
                parts = self._resolved(path)
                return self._size(self._place(parts), self._info(parts))
        except NotFound:
            return 0

    def list_folder(self, path: str) -> list[Entry]:
        """What is in a folder, folders first, then by name. Raises Invalid for a file."""
        with told_to_people():
            shown = split_path(path, allows_hidden=self._allows_hidden)
            parts = self._resolved(path)
            if self._info(parts)["type"] != "directory":
                raise Invalid("That is a file.", field="path")
            budget = LISTING_HASH_TOTAL_BYTES
            entries: list[Entry] = []
            for info in self._files.ls(self._place(parts), detail=True):
                entry = self._listed((*shown, name_of(info)), info, budget)
                if entry is not None:
                    budget -= entry.size_bytes if entry.sha256 is not None else 0
                    entries.append(entry)
        return sorted(entries, key=lambda entry: (entry.type != "folder", entry.name.casefold(), entry.name))

    def fingerprint(self, path: str) -> int | None:
        """Of a folder: another number whenever something in it came, went or changed; None when it is not there."""
        try:
            with told_to_people():
                found = self._files.ls(self._place(self._resolved(path)), detail=True)
        except HubError:
            return None
        return hash(
            frozenset(
                (name_of(info), info["type"], info.get("identity", (info["size"], info.get("created"))))
                for info in found
                if self._allows_hidden or not name_of(info).startswith(".")
            )
        )

    def open_stream(self, path: str) -> tuple[Entry, BinaryIO]:
        """The file at `path` with its entry, open for reading at its start: the caller closes it.

        Raises Invalid for a folder.
        """
        with told_to_people():
            stream = self._open(self._resolved(path))
            try:
                return self._file_entry(path, stream), stream
            except BaseException:
                stream.close()
                raise

    @contextmanager
    def open_file(self, path: str) -> Iterator[tuple[Entry, BinaryIO]]:
        """As `open_stream`, closed at the end of the block."""
        entry, stream = self.open_stream(path)
        with stream:
            yield entry, stream

    def read(self, path: str, *, max_bytes: int) -> tuple[Entry, bytes]:
        """All of a file, of one moment. Raises TooLarge beyond `max_bytes`."""
        with self.open_file(path) as (entry, stream), told_to_people():
            if entry.size_bytes > max_bytes:
                raise TooLarge(
                    f"This file has {entry.size_bytes / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.1f} MB."
                )
            data = stream.read(max_bytes + 1)
        # A kernel may have written between the hash and the read: what is answered must belong together.
        sha256 = hashlib.sha256(data).hexdigest()
        return msgspec.structs.replace(entry, sha256=sha256, size_bytes=len(data)), data

    # Changing

    def write(
        self,
        path: str,
        chunks: Iterable[bytes],
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        keeps_refused: bool = True,
        max_bytes: int | None = None,
    ) -> Written:
        """Writes a whole file at once: readers see the old one or the new one, also after a power cut.

        `if_match` writes only over the content with that SHA-256; `if_absent` only where nothing is. Folders on the
        way are made.

        Raises:
            Stale: the file is not the one of `if_match`; what was sent is kept beside it (`details.kept_as`), unless
                `keeps_refused` is false: then the caller has it still.
            Exists: `if_absent`, and something is there.
            Invalid: there is a folder, or the new name is none to use.
            TooLarge: over `max_bytes`.
        """
        with told_to_people():
            parts = self._resolved(path)
            if not parts:
                raise Invalid("That is a folder.", field="path")
            limit = self._max_file_bytes if max_bytes is None else min(max_bytes, self._max_file_bytes)
            with self._staged(chunks, limit) as (staged, sha256), self._locks.hold(self._place(parts)):
                current = self._current_sha256(parts)
                if current is None:
                    self._check_new(parts)
                if if_absent and current is not None:
                    raise Exists(f"“{parts[-1]}” is there already.", etag=current)
                if if_match is not None and current not in (if_match, sha256):
                    kept_as = self._keep_beside(staged, parts) if keeps_refused else None
                    raise Stale(etag=current, kept_as=kept_as)
                self._publish(staged, parts, is_exclusive=if_absent)
            with self._opened(parts) as stream:
                return Written(self._file_entry(path, stream), is_new=current is None)

    def make_folder(self, path: str) -> Entry:
        """A new folder, and those on its way. Raises Exists when something has the name."""
        with told_to_people():
            parts = self._resolved(path)
            self._check_new(parts)
            with self._locks.hold(self._place(parts)):
                if self._info_or_none(parts) is not None:
                    raise Exists(f"“{parts[-1] if parts else ''}” is there already.")
                self._files.makedirs(self._place(parts), exist_ok=False)
            return self._entry(split_path(path, allows_hidden=True), self._info(parts), None)

    def move(self, source: str, target: str) -> Entry:
        """Moves a file or folder (a link itself, not what it points to). Raises Exists when `target` is taken."""
        with told_to_people():
            old, new = self._resolved(source, follows_last=False), self._resolved(target)
            self._check_apart(old, new)
            with self._locks.hold(self._place(old), self._place(new)):
                self._info(old)
                self._check_free(new)
                self._make_parent(new)
                self._rename(self._place(old), self._place(new), is_exclusive=True)
            try:
                return self.entry(target)
            except NotFound:  # a link that leads nowhere, or out of the project
                return self._entry(split_path(target, allows_hidden=True), self._info(new), None)

    def copy(self, source: str, target: str) -> Entry:
        """Copies a file or folder, all of it or nothing. Raises Exists when `target` is taken."""
        with told_to_people():
            old, new = self._resolved(source), self._resolved(target)
            self._check_apart(old, new)
            self._info(old)
            self._check_free(new)
            staged = self._new_staged()
            try:
                self._files.makedirs(self._staging, exist_ok=True)
                self._files.copy(self._place(old), staged, recursive=True)
                with self._locks.hold(self._place(new)):
                    self._check_free(new)
                    self._make_parent(new)
                    self._rename(staged, self._place(new), is_exclusive=True)
            except BaseException:
                self._discard(staged)
                raise
        return self.entry(target)

    def take_out(self, path: str, place: str) -> tuple[bool, int]:
        """Moves an entry (a link itself) to `place`, a path of the backend: `(is a folder, its size in bytes)`."""
        with told_to_people():
            parts = self._resolved(path, follows_last=False)
            if not parts:
                raise NotFound
            with self._locks.hold(self._place(parts)):
                info = self._info(parts)
                self._files.makedirs(str(PurePosixPath(place).parent), exist_ok=True)
                size_bytes = self._size(self._place(parts), info)
                self._rename(self._place(parts), place, is_exclusive=True)
        return info["type"] == "directory", size_bytes

    def put_back(self, place: str, path: str) -> Entry:
        """Moves what `take_out` moved to `path`, or to a free name beside it, and tells where it is."""
        parts = split_path(path, allows_hidden=True)
        with told_to_people():
            for number in range(1000):
                name = numbered(parts[-1], number, "restored") if number else parts[-1]
                shown = "/".join((*parts[:-1], name))
                target = self._resolved(shown, follows_last=False, allows_hidden=True)
                with self._locks.hold(self._place(target)), suppress(FileExistsError):
                    if self._info_or_none(target) is not None:
                        continue
                    self._make_parent(target)
                    self._rename(place, self._place(target), is_exclusive=True)
                    return self._entry(tuple(shown.split("/")), self._info(target), None)
        raise Exists("There are too many files of that name.")

    # From here on: the machinery

    def _resolved(self, path: str, *, follows_last: bool = True, allows_hidden: bool | None = None) -> Parts:
        allowed = self._allows_hidden if allows_hidden is None else allows_hidden
        parts = split_path(path, allows_hidden=allowed)
        if not isinstance(self._files, LocalFiles):
            return parts
        folder = self._files.root / self._folder
        return resolve_parts(folder, parts, allows_hidden=allowed, follows_last=follows_last)

    def _place(self, parts: Parts) -> str:
        return "/".join((self._folder, *parts))

    def _info(self, parts: Parts) -> dict[str, Any]:
        info = cast("dict[str, Any]", self._files.info(self._place(parts)))
        if info["type"] == "other":
            raise NotFound("That is neither a file nor a folder.")
        return info

    def _info_or_none(self, parts: Parts) -> dict[str, Any] | None:
        try:
            return cast("dict[str, Any]", self._files.info(self._place(parts)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _open(self, parts: Parts) -> BinaryIO:
        if not isinstance(self._files, LocalFiles) and self._files.isdir(self._place(parts)):
            raise IsADirectoryError
        stream = cast("BinaryIO", self._files.open(self._place(parts), "rb"))
        # The in-memory file system hands out its only copy, which readers would share.
        return io.BytesIO(stream.getvalue()) if isinstance(stream, io.BytesIO) else stream

    @contextmanager
    def _opened(self, parts: Parts) -> Iterator[BinaryIO]:
        with self._open(parts) as stream:
            yield stream

    def _entry(self, shown: Parts, info: dict[str, Any], sha256: str | None) -> Entry:
        name = shown[-1] if shown else ""
        is_folder = info["type"] == "directory"
        return Entry(
            path="/".join(shown),
            name=name,
            type="folder" if is_folder else "notebook" if name.endswith(".ipynb") else "file",
            size_bytes=0 if is_folder else int(info["size"] or 0),
            modified_at=modified_at_of(info),
            sha256=sha256,
        )

    def _file_entry(self, path: str, stream: BinaryIO) -> Entry:
        shown = split_path(path, allows_hidden=True)
        identity, info = identity_and_info(stream)
        if info is None:
            info = self._info(self._resolved(path))
        return self._entry(shown, info, self._hashes.hash_of(stream, identity))

    def _listed(self, shown: Parts, info: dict[str, Any], budget: int) -> Entry | None:
        """The entry to show for one name of a listing; None for what cannot be opened by its name."""
        name = shown[-1]
        try:
            parts = split_path(name, allows_hidden=self._allows_hidden)
            if len(parts) != 1:
                return None
            if info["type"] == "link":
                info = self._info(self._resolved("/".join(shown)))
            if info["type"] not in ("file", "directory"):
                return None
            sha256 = None
            if info["type"] == "file":
                sha256 = self._hashes.known(info.get("identity"))
                if sha256 is None and info["size"] <= min(LISTING_HASH_BYTES, budget):
                    with self._opened(self._resolved("/".join(shown))) as stream:
                        sha256 = self._hashes.hash_of(stream, identity_and_info(stream)[0])
            return self._entry(shown, info, sha256)
        except (NotFound, FileNotFoundError, NotADirectoryError):
            return None  # gone meanwhile, or a link that leads out
        except PermissionError:
            return self._entry(shown, info, None)

    def _current_sha256(self, parts: Parts) -> str | None:
        """Hash of what is there now; None when nothing is. Raises IsADirectoryError."""
        try:
            with self._opened(parts) as stream:
                return self._hashes.hash_of(stream, identity_and_info(stream)[0])
        except FileNotFoundError:
            if self._info_or_none(parts) is not None:
                raise
            return None

    @contextmanager
    def _staged(self, chunks: Iterable[bytes], max_bytes: int) -> Iterator[tuple[str, str]]:
        """`chunks` in a file of the staging folder, and their hash; it is gone afterwards unless it was renamed."""
        staged = self._new_staged()
        digest = hashlib.sha256()
        size_bytes = 0
        self._files.makedirs(self._staging, exist_ok=True)
        try:
            with self._files.open(staged, "wb") as stream:
                for chunk in chunks:
                    size_bytes += len(chunk)
                    if size_bytes > max_bytes:
                        raise TooLarge(
                            f"A file may have at most {max_bytes / 1e6:,.0f} MB.", max_bytes=max_bytes
                        )
                    digest.update(chunk)
                    stream.write(chunk)
            yield staged, digest.hexdigest()
        finally:
            self._discard(staged)

    def _new_staged(self) -> str:
        return f"{self._staging}/{uuid.uuid4().hex}"

    def _discard(self, staged: str) -> None:
        with suppress(OSError):
            self._files.rm(staged, recursive=True)

    def _publish(self, staged: str, parts: Parts, *, is_exclusive: bool) -> None:
        self._make_parent(parts)
        try:
            self._rename(staged, self._place(parts), is_exclusive=is_exclusive)
        except FileExistsError:
            raise Exists(f"“{parts[-1]}” is there already.") from None

    def _keep_beside(self, staged: str, parts: Parts) -> str:
        """Gives a refused version a name beside the file: its path."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H.%M.%S")
        for number in range(1000):
            label = f"not saved {now}" if number == 0 else f"not saved {now}, {number + 1}"
            kept = (*parts[:-1], labelled(parts[-1], label))
            with suppress(FileExistsError):
                self._make_parent(kept)
                self._rename(staged, self._place(kept), is_exclusive=True)
                return "/".join(kept)
        raise DiskFull("There are too many refused versions of this file.")

    def _rename(self, old: str, new: str, *, is_exclusive: bool) -> None:
        if isinstance(self._files, LocalFiles):
            self._files.mv(old, new, is_exclusive=is_exclusive)
            return
        if is_exclusive and self._files.exists(new):
            raise FileExistsError(new)
        self._files.mv(old, new, recursive=self._files.isdir(old))

    def _make_parent(self, parts: Parts) -> None:
        if len(parts) > 1:
            self._files.makedirs(self._place(parts[:-1]), exist_ok=True)
        else:
            self._files.makedirs(self._folder, exist_ok=True)

    def _size(self, place: str, info: dict[str, Any]) -> int:
        if isinstance(self._files, LocalFiles):
            return self._files.walk_sizes(place)
        return int(self._files.du(place)) if info["type"] == "directory" else int(info["size"])

    def _check_new(self, parts: Parts) -> None:
        if not parts:
            raise Exists("The project's folder is there already.")
        check_new_name(parts[-1])

    def _check_free(self, parts: Parts) -> None:
        self._check_new(parts)
        if self._info_or_none(parts) is not None:
            raise Exists(f"“{parts[-1]}” is there already.")

    def _check_apart(self, old: Parts, new: Parts) -> None:
        if not old:
            raise Invalid("The project's folder itself cannot be moved or copied.", field="from")
        if new[: len(old)] == old and len(new) > len(old):
            raise Invalid("A folder cannot go into itself.", field="to")
