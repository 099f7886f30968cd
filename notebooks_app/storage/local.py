"""A folder of this machine as an fsspec file system that no symbolic link leads out of.

Kernels can change a project's folder at any moment, also between a check and the act that follows it. So every
operation opens the folders on its way one after the other, refusing links, and acts relative to the last one
(`openat` and its family). Whoever wants to follow links resolves them first (`paths.resolve_parts`).
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

_COPY_BYTES = 1024 * 1024
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SyncedWriter(io.BufferedWriter):
    """A file that is on the disk once it is closed."""

    def close(self) -> None:
        if not self.closed:
            try:
                self.flush()
                os.fsync(self.fileno())
            finally:
                super().close()


class LocalFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Paths are relative to `root`, `/` between components. `ls` and `info` tell links as type "link"."""

    protocol = "hub-local"
    root_marker = ""
    cachable = False

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    # Looking

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        parts = _parts(path)
        if not parts:
            with self._folder(()) as folder:
                return _info(path, os.fstat(folder))
        with self._folder(parts[:-1]) as folder:
            return _info(path, os.stat(parts[-1], dir_fd=folder, follow_symlinks=False))

    def ls(self, path: str, detail: bool = True, max_entries: int | None = None, **_: Any) -> list[Any]:
        """All that is in a folder; of one with more than `max_entries`, so many and one: the rest is not read."""
        parts = _parts(path)
        found: list[Any] = []
        with self._folder(parts) as folder, os.scandir(folder) as entries:
            for entry in entries:
                name = "/".join((*parts, entry.name))
                try:
                    found.append(_info(name, entry.stat(follow_symlinks=False)) if detail else name)
                except FileNotFoundError:
                    continue  # gone meanwhile
                if max_entries is not None and len(found) > max_entries:
                    break
        return found

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BufferedIOBase:
        parts = _parts(path)
        if not parts:
            raise IsADirectoryError(errno.EISDIR, "A folder", path)
        with self._folder(parts[:-1]) as folder:
            if mode == "wb":
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                handle = os.open(parts[-1], flags, 0o666, dir_fd=folder)
                return SyncedWriter(io.FileIO(handle, "w"), _COPY_BYTES)
            # A named pipe would keep us waiting for its other end: do not block, and take files only.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(parts[-1], flags, dir_fd=folder)
        mode_bits = os.fstat(handle).st_mode
        if stat.S_ISREG(mode_bits):
            return io.BufferedReader(io.FileIO(handle, "r"), _COPY_BYTES)
        os.close(handle)
        if stat.S_ISDIR(mode_bits):
            raise IsADirectoryError(errno.EISDIR, "A folder", path)
        raise FileNotFoundError(errno.ENOENT, "Not a file", path)

    # Changing

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        parts = _parts(path)
        with self._folder(parts[:-1], makes=True) as folder:
            try:
                os.mkdir(parts[-1], dir_fd=folder)
            except FileExistsError:
                found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                if not exist_ok or not stat.S_ISDIR(found.st_mode):
                    raise

    def mv(self, path1: str, path2: str, is_exclusive: bool = False, **_: Any) -> None:
        """Renames a file, link or folder at once, and durably.

        `is_exclusive` raises FileExistsError when the new name is taken; else a file there is replaced, and its mode
        is kept.
        """
        source, target = _parts(path1), _parts(path2)
        with self._folder(source[:-1]) as source_folder, self._folder(target[:-1]) as target_folder:
            fds = {"src_dir_fd": source_folder, "dst_dir_fd": target_folder}
            moved = os.stat(source[-1], dir_fd=source_folder, follow_symlinks=False)
            if is_exclusive and stat.S_ISREG(moved.st_mode):
                # Unlike a rename, a link never replaces what somebody made a moment ago.
                os.link(source[-1], target[-1], follow_symlinks=False, **fds)
                os.unlink(source[-1], dir_fd=source_folder)
            else:
                replaced = _stat_or_none(target[-1], target_folder)
                if is_exclusive and replaced is not None:
                    raise FileExistsError(errno.EEXIST, "The name is taken", path2)
                if replaced is not None and stat.S_ISREG(replaced.st_mode) and stat.S_ISREG(moved.st_mode):
                    _keep_mode(source[-1], source_folder, stat.S_IMODE(replaced.st_mode))
                os.rename(source[-1], target[-1], **fds)  # noqa: PTH104  # relative to descriptors
            os.fsync(target_folder)
            os.fsync(source_folder)

    def copy(self, path1: str, path2: str, **_: Any) -> None:
        """Copies a file, link or folder to a name that is free. Links stay links; pipes and sockets are left out."""
        source, target = _parts(path1), _parts(path2)
        with self._folder(source[:-1]) as source_folder, self._folder(target[:-1]) as target_folder:
            _copy(source[-1], source_folder, target[-1], target_folder)

    def rm(self, path: str, **_: Any) -> None:
        parts = _parts(path)
        with self._folder(parts[:-1]) as folder:
            found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                shutil.rmtree(parts[-1], dir_fd=folder)
            else:
                os.unlink(parts[-1], dir_fd=folder)

    def touch(self, path: str, **_: Any) -> None:
        """Sets the time of a file's last change to now."""
        parts = _parts(path)
        with self._folder(parts[:-1]) as folder:
            os.utime(parts[-1], dir_fd=folder, follow_symlinks=False)

    def walk_sizes(self, path: str) -> int:
        """Bytes of a file, or of all files in a folder."""
        parts = _parts(path)
        with self._folder(parts[:-1]) as folder:
            found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                return found.st_size
            total = 0
            for _, _, names, below in os.fwalk(parts[-1], dir_fd=folder):
                for name in names:
                    entry = _stat_or_none(name, below)
                    total += entry.st_size if entry is not None else 0
            return total

    @contextmanager
    def _folder(self, parts: tuple[str, ...], makes: bool = False) -> Iterator[int]:
        """A descriptor of the folder, reached without following a link below the root."""
        if makes:
            self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                try:
                    below = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
                except FileNotFoundError:
                    if not makes:
                        raise
                    with suppress(FileExistsError):  # made by somebody else meanwhile
                        os.mkdir(part, dir_fd=handle)
                    below = os.open(part, _FOLDER_FLAGS, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in path.split("/") if part)
    if any(part in (".", "..") or "\0" in part for part in parts):
        raise FileNotFoundError(errno.ENOENT, "No such file", path)
    return parts


def _info(name: str, found: os.stat_result) -> dict[str, Any]:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return {
        "name": name,
        "size": found.st_size,
        "type": kinds.get(stat.S_IFMT(found.st_mode), "other"),
        "mtime": found.st_mtime,
        "identity": identity_of(found),
    }


def identity_of(found: os.stat_result) -> tuple[int, int, int, int, int]:
    """Changes whenever the file's content does (but for changes within one tick of the clock)."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _stat_or_none(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _keep_mode(name: str, folder: int, mode: int) -> None:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def _copy(source: str, source_folder: int, target: str, target_folder: int) -> None:
    found = os.stat(source, dir_fd=source_folder, follow_symlinks=False)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source, dir_fd=source_folder), target, dir_fd=target_folder)
    elif stat.S_ISREG(found.st_mode):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        new_flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            io.FileIO(os.open(source, flags, dir_fd=source_folder), "r") as reader,
            SyncedWriter(io.FileIO(os.open(target, new_flags, mode, dir_fd=target_folder), "w")) as writer,
        ):
            shutil.copyfileobj(reader, writer, _COPY_BYTES)
    elif stat.S_ISDIR(found.st_mode):
        # Not `mode`: a read-only folder could not be filled.
        os.mkdir(target, 0o777, dir_fd=target_folder)
        below = os.open(source, _FOLDER_FLAGS, dir_fd=source_folder)
        try:
            target_below = os.open(target, _FOLDER_FLAGS, dir_fd=target_folder)
            try:
                for name in os.listdir(below):  # noqa: PTH208  # of a descriptor
                    _copy(name, below, name, target_below)
            finally:
                os.close(target_below)
        finally:
            os.close(below)
