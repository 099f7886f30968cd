"""Uploads that come in parts, over several requests and maybe several web processes, until the last part is here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress

from notebooks_app.errors import TooLarge
from notebooks_app.storage.failures import told_to_people
from notebooks_app.storage.project_files import STAGING, data_files
from zasper_hub.accounts.errors import BadRequest, TooMany

READ_BYTES = 1024 * 1024
MAX_OPEN_UPLOADS = 20  # of one person: clients send a handful of files at once


class PartialUpload:
    """The parts of one upload by one person, numbered from 1. A part sent twice replaces itself."""

    def __init__(self, project_id: str, user_id: int, path: str, *, max_bytes: int) -> None:
        name = hashlib.sha256(f"{project_id}\0{path}".encode()).hexdigest()[:32]
        self._mark = f"{STAGING}/parts-{user_id}-"
        self._folder = f"{self._mark}{name}"
        self._max_bytes = max_bytes
        self._files = data_files()

    def add(self, number: int, chunks: Iterable[bytes]) -> int:
        """Keeps part `number`; the size of all parts up to it, in bytes. Part 1 begins anew.

        Raises:
            BadRequest: the part before is missing.
            TooMany: the person has MAX_OPEN_UPLOADS others.
            TooLarge, DiskFull
        """
        with told_to_people():
            if number == 1:
                if len(self._others()) >= MAX_OPEN_UPLOADS:
                    raise TooMany(
                        f"You have {MAX_OPEN_UPLOADS} unfinished uploads in parts. Finish or repeat one of them, "
                        "or wait: what is left alone for a day is removed."
                    )
                self.discard()
                self._files.makedirs(self._folder, exist_ok=True)
            size_bytes = self.size_before(number)
            place = f"{self._folder}/{number}"
            with suppress(FileNotFoundError):
                self._files.rm(place)
            try:
                with self._files.open(place, "wb") as stream:
                    for chunk in chunks:
                        size_bytes += len(chunk)
                        if size_bytes > self._max_bytes:
                            raise TooLarge(f"A file may have {self._max_bytes / 1e6:,.0f} MB at most.")
                        stream.write(chunk)
            except BaseException:
                with suppress(FileNotFoundError):
                    self._files.rm(self._folder if number == 1 else place)
                raise
        return size_bytes

    def chunks(self) -> Iterator[bytes]:
        """All parts, in order."""
        number = 1
        while True:
            try:
                stream = self._files.open(f"{self._folder}/{number}", "rb")
            except FileNotFoundError:
                return
            with stream:
                while chunk := stream.read(READ_BYTES):
                    yield chunk
            number += 1

    @property
    def next_number(self) -> int:
        """Of the part that follows those which are here without a gap."""
        number = 1
        while self._size_of(number) is not None:
            number += 1
        return number

    def discard(self) -> None:
        with suppress(FileNotFoundError):
            self._files.rm(self._folder)

    def size_of_others(self) -> int:
        """Bytes of all other uploads of the person that are not finished, in whatever project."""
        total = 0
        for folder in self._others():
            with suppress(FileNotFoundError):  # finished meanwhile
                total += self._files.walk_sizes(folder)
        return total

    def _others(self) -> list[str]:
        try:
            found = self._files.ls(STAGING, detail=False)
        except FileNotFoundError:
            return []
        return [folder for folder in found if folder.startswith(self._mark) and folder != self._folder]

    def size_before(self, number: int) -> int:
        """Bytes of the parts before `number`. Raises BadRequest: one of them is missing."""
        total = 0
        for earlier in range(1, number):
            size_bytes = self._size_of(earlier)
            if size_bytes is None:
                raise BadRequest(f"Part {earlier} of this upload is missing. Begin with part 1.")
            total += size_bytes
        return total

    def _size_of(self, number: int) -> int | None:
        try:
            return int(self._files.info(f"{self._folder}/{number}")["size"])
        except FileNotFoundError:
            return None
