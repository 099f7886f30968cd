"""The files of one project, in one shape for every backend.

A backend is an fsspec file system. `LocalFiles` adds what a local folder needs (no link followed, durable renames);
other backends come by configuration. The same contract suite runs over all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from notebooks_app.errors import DiskFull, Exists, HubError, Invalid, NotFound, Stale, TooLarge, Unavailable
from notebooks_app.storage.entries import (
    Entry,
    EntryType,
    Written,
    entry_of,
    identity_and_info,
    labelled,
    name_of,
    numbered,
    unhashed_etag,
)
from notebooks_app.storage.failures import told_to_people
from notebooks_app.storage.hashes import HashMemory
from notebooks_app.storage.locks import PathLocks
from notebooks_app.storage.paths import Parts, check_apart, check_new_name, split_path
from notebooks_app.storage.staging import Staging
from notebooks_app.storage.tree import ProjectTree

__all__ = ["MAX_FILE_BYTES", "ContentStore", "Entry", "EntryType", "Written"]

MAX_FILE_BYTES = 10 * 1024**3
# A listing hashes what is quickly hashed; for the rest `etag` comes with the file itself.
LISTING_HASH_BYTES = 8 * 1024 * 1024
LISTING_HASH_TOTAL_BYTES = 64 * 1024 * 1024  # about 0.1 s, once
Identity = tuple[int, ...] | None
MAX_LOOKS = 20  # of a conditional write at a file that others write too; each of them is a moment


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
        self._tree = ProjectTree(files, folder=folder, allows_hidden=allows_hidden)
        self._staging = Staging(files, staging)
        self._locks = locks
        self._hashes = hashes
        self._max_file_bytes = max_file_bytes

    # Looking

    def entry(self, path: str) -> Entry:
        """The entry at `path`; '' is the project's folder. A file's `sha256` is set if it is not over the limit."""
        with told_to_people():
            parts = self._tree.resolved(path)
            info = self._tree.info(parts)
            if info["type"] == "directory":
                return entry_of(split_path(path, allows_hidden=True), info, None)
            with self._tree.open(parts) as stream:
                return self._file_entry(path, stream)

    def is_folder(self, path: str) -> bool:
        """Also false when nothing is there, or the path is none. Nothing is read."""
        try:
            with told_to_people():
                return bool(self._tree.info(self._tree.resolved(path))["type"] == "directory")
        except NotFound:
            return False

    def size_bytes(self, path: str) -> int:
        """Bytes of a file, or of all files in a folder; 0 when nothing is there. Nothing is read."""
        try:
            with told_to_people():
                parts = self._tree.resolved(path)
                return self._tree.size_bytes(parts, self._tree.info(parts))
        except NotFound:
            return 0

    def list_folder(self, path: str) -> list[Entry]:
        """What is in a folder, folders first, then by name. Raises Invalid for a file, FolderTooLarge."""
        with told_to_people():
            shown = split_path(path, allows_hidden=self._tree.allows_hidden)
            parts = self._tree.resolved(path)
            if self._tree.info(parts)["type"] != "directory":
                raise Invalid("That is a file.", field="path")
            budget = LISTING_HASH_TOTAL_BYTES
            entries: list[Entry] = []
            for info in self._tree.infos_in(parts):
                entry = self._listed((*shown, name_of(info)), info, budget)
                if entry is not None:
                    budget -= entry.size_bytes if entry.sha256 is not None else 0
                    entries.append(entry)
        return sorted(entries, key=lambda entry: (entry.type != "folder", entry.name.casefold(), entry.name))

    def fingerprint(self, path: str) -> int | None:
        """Of a folder: another number whenever something in it came, went or changed.

        None when it is not there, or has too many entries to be shown.
        """
        try:
            with told_to_people():
                found = self._tree.infos_in(self._tree.resolved(path))
        except HubError:
            return None
        return hash(
            frozenset(
                (name_of(info), info["type"], info.get("identity", (info["size"], info.get("created"))))
                for info in found
                if self._tree.allows_hidden or not name_of(info).startswith(".")
            )
        )

    def open_stream(self, path: str) -> tuple[Entry, BinaryIO]:
        """The file at `path` with its entry, open for reading at its start: the caller closes it.

        Raises Invalid for a folder.
        """
        with told_to_people():
            stream = self._tree.open(self._tree.resolved(path))
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
        with told_to_people(), self._tree.open(self._tree.resolved(path)) as stream:
            _, info = self._identity_and_info(stream, path)
            size_bytes = int(info["size"] or 0)
            data = stream.read(max_bytes + 1) if size_bytes <= max_bytes else b""
        if max(size_bytes, len(data)) > max_bytes:
            raise TooLarge(f"This file has {size_bytes / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.1f} MB.")
        # A kernel may have written meanwhile: what is answered must belong together.
        shown = split_path(path, allows_hidden=True)
        return entry_of(shown, {**info, "size": len(data)}, hashlib.sha256(data).hexdigest()), data

    # Changing

    def write(
        self,
        path: str,
        chunks: Iterable[bytes],
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        keeps_refused: Callable[[int], bool] = lambda size_bytes: True,
        max_bytes: int | None = None,
    ) -> Written:
        """Writes a whole file at once: readers see the old one or the new one, also after a power cut.

        `if_match` writes only over the content with that ETag; `if_absent` only where nothing is. Folders on the
        way are made. What is there now is read for `if_match` alone, and before its lock is taken: nobody waits.

        Raises:
            Stale: the file is not the one of `if_match`; what was sent is kept beside it (`details.kept_as`), unless
                `keeps_refused`, asked for so many bytes, says no: then the caller has it still.
            Exists: `if_absent`, and something is there.
            Invalid: there is a folder, or the new name is none to use.
            TooLarge: over `max_bytes`.
        """
        with told_to_people():
            parts = self._tree.resolved(path)
            if not parts:
                raise Invalid("That is a folder.", field="path")
            limit = self._max_file_bytes if max_bytes is None else min(max_bytes, self._max_file_bytes)
            with self._staging.written(chunks, limit) as (staged, sha256, size_bytes):
                accepted = None if if_match is None else {if_match, sha256}
                try:
                    is_new = self._put_in_place(staged, path, parts, accepted=accepted, if_absent=if_absent)
                except Stale as error:
                    if keeps_refused(size_bytes):
                        error.details["kept_as"] = self._keep_beside(staged, parts)
                    raise
            with self._tree.open(parts) as stream:
                return Written(self._file_entry(path, stream), is_new=is_new)

    def make_folder(self, path: str) -> Entry:
        """A new folder, and those on its way. Raises Exists when something has the name."""
        with told_to_people():
            parts = self._tree.resolved(path)
            self._check_new(parts)
            with self._locks.hold(self._tree.place(parts)):
                if self._tree.info_or_none(parts) is not None:
                    raise Exists(f"“{parts[-1] if parts else ''}” is there already.")
                self._tree.make_folder(parts)
            return entry_of(split_path(path, allows_hidden=True), self._tree.info(parts), None)

    def move(self, source: str, target: str) -> Entry:
        """Moves a file or folder (a link itself, not what it points to). Raises Exists when `target` is taken."""
        with told_to_people():
            old, new = self._tree.resolved(source, follows_last=False), self._tree.resolved(target)
            check_apart(old, new)
            with self._locks.hold(self._tree.place(old), self._tree.place(new)):
                self._tree.info(old)
                self._check_free(new)
                self._tree.make_parent(new)
                self._tree.rename(self._tree.place(old), self._tree.place(new), is_exclusive=True)
            try:
                return self.entry(target)
            except NotFound:  # a link that leads nowhere, or out of the project
                return entry_of(split_path(target, allows_hidden=True), self._tree.info(new), None)

    def copy(self, source: str, target: str) -> Entry:
        """Copies a file or folder, all of it or nothing. Raises Exists when `target` is taken."""
        with told_to_people():
            old, new = self._tree.resolved(source), self._tree.resolved(target)
            check_apart(old, new)
            self._tree.info(old)
            self._check_free(new)
            with (
                self._staging.copied(self._tree.place(old)) as staged,
                self._locks.hold(self._tree.place(new)),
            ):
                self._check_free(new)
                self._tree.make_parent(new)
                self._tree.rename(staged, self._tree.place(new), is_exclusive=True)
        return self.entry(target)

    def take_out(self, path: str, place: str) -> tuple[bool, int]:
        """Moves an entry (a link itself) to `place`, a path of the backend: `(is a folder, its size in bytes)`."""
        with told_to_people():
            parts = self._tree.resolved(path, follows_last=False)
            if not parts:
                raise NotFound
            info = self._tree.info(parts)
            # Before the lock: a folder may hold millions of files.
            size_bytes = self._tree.size_bytes(parts, info)
            with self._locks.hold(self._tree.place(parts)):
                info = self._tree.info(parts)
                self._tree.files.makedirs(str(PurePosixPath(place).parent), exist_ok=True)
                self._tree.rename(self._tree.place(parts), place, is_exclusive=True)
        return info["type"] == "directory", size_bytes

    def put_back(self, place: str, path: str) -> Entry:
        """Moves what `take_out` moved to `path`, or to a free name beside it, and tells where it is."""
        parts = split_path(path, allows_hidden=True)
        with told_to_people():
            for number in range(1000):
                name = numbered(parts[-1], number, "restored") if number else parts[-1]
                shown = "/".join((*parts[:-1], name))
                target = self._tree.resolved(shown, follows_last=False, allows_hidden=True)
                with self._locks.hold(self._tree.place(target)), suppress(FileExistsError):
                    if self._tree.info_or_none(target) is not None:
                        continue
                    self._tree.make_parent(target)
                    self._tree.rename(place, self._tree.place(target), is_exclusive=True)
                    return entry_of(tuple(shown.split("/")), self._tree.info(target), None)
        raise Exists("There are too many files of that name.")

    # From here on: the machinery

    def _file_entry(self, path: str, stream: BinaryIO) -> Entry:
        identity, info = self._identity_and_info(stream, path)
        sha256 = None
        if info["size"] <= self._max_file_bytes:
            sha256 = self._hashes.hash_of(stream, identity, max_bytes=self._max_file_bytes)
        etag = unhashed_etag(info) if sha256 is None else sha256
        return entry_of(split_path(path, allows_hidden=True), info, sha256, etag)

    def _identity_and_info(self, stream: BinaryIO, path: str) -> tuple[Identity, dict[str, Any]]:
        identity, info = identity_and_info(stream)
        return identity, self._tree.info(self._tree.resolved(path)) if info is None else info

    def _listed(self, shown: Parts, info: dict[str, Any], budget: int) -> Entry | None:
        """The entry to show for one name of a listing; None for what cannot be opened by its name."""
        name = shown[-1]
        try:
            parts = split_path(name, allows_hidden=self._tree.allows_hidden)
            if len(parts) != 1:
                return None
            if info["type"] == "link":
                info = self._tree.info(self._tree.resolved("/".join(shown)))
            if info["type"] not in ("file", "directory"):
                return None
            sha256 = None
            if info["type"] == "file":
                if info["size"] > self._max_file_bytes:
                    return entry_of(shown, info, None, unhashed_etag(info))
                sha256 = self._hashes.known(info.get("identity"))
                limit = min(LISTING_HASH_BYTES, budget)
                if sha256 is None and info["size"] <= limit:
                    with self._tree.open(self._tree.resolved("/".join(shown))) as stream:
                        identity, _ = identity_and_info(stream)
                        sha256 = self._hashes.hash_of(stream, identity, max_bytes=limit)
            return entry_of(shown, info, sha256)
        except (NotFound, FileNotFoundError, NotADirectoryError):
            return None  # gone meanwhile, or a link that leads out
        except PermissionError:
            return entry_of(shown, info, None)

    def _put_in_place(
        self, staged: str, path: str, parts: Parts, *, accepted: Set[str] | None, if_absent: bool
    ) -> bool:
        """Makes the staged file the one at `parts`, if that has one of the ETags accepted; whether it is new there."""
        for _ in range(MAX_LOOKS):
            with (
                self._looked_at(path, parts, with_etag=accepted is not None) as (looked_at, etag),
                self._locks.hold(self._tree.place(parts)),
            ):
                current = self._identity_now(parts)
                if accepted is not None and current != looked_at:
                    continue  # another file by now: which one?
                if current is None:
                    self._check_new(parts)
                elif if_absent:
                    raise Exists(f"“{parts[-1]}” is there already.")
                if accepted is not None and etag not in accepted:
                    raise Stale(etag=etag, kept_as=None)
                self._publish(staged, parts, is_exclusive=if_absent)
                return current is None
        raise Unavailable("This file changes all the time. Try again when nothing writes into it.")

    @contextmanager
    def _looked_at(
        self, path: str, parts: Parts, *, with_etag: bool
    ) -> Iterator[tuple[Hashable | None, str | None]]:
        """Identity and, if asked for, ETag of what is there now; None when nothing is. Raises IsADirectoryError.

        The file stays open in the block: so long, no other one can get its inode and with it its identity.
        """
        identity = self._identity_now(parts)
        try:
            stream = self._tree.open(parts)
        except FileNotFoundError:
            if self._tree.info_or_none(parts) is not None:
                raise
            yield None, None
            return
        with stream:
            identity = identity_and_info(stream)[0] or identity
            yield identity, self._file_entry(path, stream).etag if with_etag else None

    def _identity_now(self, parts: Parts) -> Hashable | None:
        """Another one whenever the file is another one or was written into; None when nothing is there."""
        info = self._tree.info_or_none(parts)
        return None if info is None else info.get("identity", (info["size"], info.get("created")))

    def _publish(self, staged: str, parts: Parts, *, is_exclusive: bool) -> None:
        self._tree.make_parent(parts)
        try:
            self._tree.rename(staged, self._tree.place(parts), is_exclusive=is_exclusive)
        except FileExistsError:
            raise Exists(f"“{parts[-1]}” is there already.") from None

    def _keep_beside(self, staged: str, parts: Parts) -> str:
        """Gives a refused version a name beside the file: its path."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H.%M.%S")
        for number in range(1000):
            label = f"not saved {now}" if number == 0 else f"not saved {now}, {number + 1}"
            kept = (*parts[:-1], labelled(parts[-1], label))
            with suppress(FileExistsError):
                self._tree.make_parent(kept)
                self._tree.rename(staged, self._tree.place(kept), is_exclusive=True)
                return "/".join(kept)
        raise DiskFull("There are too many refused versions of this file.")

    def _check_new(self, parts: Parts) -> None:
        if not parts:
            raise Exists("The project's folder is there already.")
        check_new_name(parts[-1])

    def _check_free(self, parts: Parts) -> None:
        self._check_new(parts)
        if self._tree.info_or_none(parts) is not None:
            raise Exists(f"“{parts[-1]}” is there already.")
