"""Large payloads by the SHA-256 of their bytes: `<data>/blobs/ab/abcdef…`.

A blob never changes, so writing one again is harmless and a reader needs no lock. Which document may read a blob,
and what keeps it, are rows (`models.Blob`, `models.BlobReference`), not files.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast

from django.conf import settings

from notebooks_app.errors import NotFound
from notebooks_app.storage.failures import told_to_people
from notebooks_app.storage.local import LocalFiles
from notebooks_app.storage.locks import ProcessLocks

STAGING = "blobs/.incoming"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _place(sha256: str) -> str:
    if _SHA256.fullmatch(sha256) is None:
        raise NotFound("There is no such payload.")
    return f"blobs/{sha256[:2]}/{sha256}"


def _files() -> LocalFiles:
    return LocalFiles(settings.DATA_DIR)


def _locks() -> ProcessLocks:
    # Not those of the files: outputs are kept also while a project's disk makes its writers wait.
    return ProcessLocks(settings.DATA_DIR / "run" / "blob-locks")


def store_blob(data: bytes) -> str:
    """Keeps the bytes durably; their SHA-256. Raises DiskFull."""
    sha256 = hashlib.sha256(data).hexdigest()
    place = _place(sha256)
    with told_to_people():
        files = _files()
        # Between a look that finds a blob and the row that will keep it, the clean-up may pass: it goes by age.
        with _locks().hold(place), suppress(FileNotFoundError):
            files.touch(place)
            return sha256
        files.makedirs(f"blobs/{sha256[:2]}", exist_ok=True)
        files.makedirs(STAGING, exist_ok=True)
        staged = f"{STAGING}/{uuid.uuid4().hex}"
        try:
            with files.open(staged, "wb") as stream:
                stream.write(data)
            files.mv(staged, place)
        except BaseException:
            with suppress(OSError):
                files.rm(staged)
            raise
    return sha256


def open_blob(sha256: str) -> BinaryIO | None:
    """The blob, open for reading; None when it is not kept here. Raises NotFound for what is no SHA-256."""
    place = _place(sha256)
    try:
        return cast("BinaryIO", _files().open(place, "rb"))
    except FileNotFoundError:
        return None


def load_blob(sha256: str) -> bytes | None:
    """All bytes of a blob; None when it is not kept here."""
    stream = open_blob(sha256)
    if stream is None:
        return None
    with stream:
        return stream.read()


def delete_blob(sha256: str, *, untouched_for_s: float) -> bool:
    """Forgets a blob that nobody stored for that long; whether it is gone."""
    place = _place(sha256)
    files = _files()
    with _locks().hold(place):
        try:
            if time.time() - files.info(place)["mtime"] < untouched_for_s:
                return False
            files.rm(place)
        except FileNotFoundError:
            pass
    return True


def stored_blobs() -> Iterator[str]:
    """The SHA-256 of everything that is kept, in no order."""
    files = _files()
    for prefix in range(256):
        with suppress(FileNotFoundError):
            for path in files.ls(f"blobs/{prefix:02x}", detail=False):
                name = path.rpartition("/")[2]
                if _SHA256.fullmatch(name) is not None:
                    yield name
