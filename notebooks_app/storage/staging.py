"""Where files are until they are complete: on the device of the projects, in no kernel's reach."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from fsspec import AbstractFileSystem

from notebooks_app.errors import TooLarge


class Staging:
    """What is put here is gone at the end of its block, unless it was renamed."""

    def __init__(self, files: AbstractFileSystem, folder: str) -> None:
        """`folder` is a path of `files`."""
        self._files = files
        self._folder = folder

    @contextmanager
    def written(self, chunks: Iterable[bytes], max_bytes: int) -> Iterator[tuple[str, str, int]]:
        """`chunks` in a new file: its place, the SHA-256 and the size in bytes. Raises TooLarge."""
        digest = hashlib.sha256()
        size_bytes = 0
        with self._new_place() as place:
            with self._files.open(place, "wb") as stream:
                for chunk in chunks:
                    size_bytes += len(chunk)
                    if size_bytes > max_bytes:
                        raise TooLarge(
                            f"A file may have at most {max_bytes / 1e6:,.0f} MB.", max_bytes=max_bytes
                        )
                    digest.update(chunk)
                    stream.write(chunk)
            yield place, digest.hexdigest(), size_bytes

    @contextmanager
    def copied(self, source: str) -> Iterator[str]:
        """A copy of the file or folder at a place of the backend: where it is."""
        with self._new_place() as place:
            self._files.copy(source, place, recursive=True)
            yield place

    @contextmanager
    def _new_place(self) -> Iterator[str]:
        place = f"{self._folder}/{uuid.uuid4().hex}"
        self._files.makedirs(self._folder, exist_ok=True)
        try:
            yield place
        finally:
            with suppress(OSError):
                self._files.rm(place, recursive=True)
