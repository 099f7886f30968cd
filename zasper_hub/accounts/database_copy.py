"""Copies of an SQLite database as a whole, also of one that is open elsewhere. Knows no Django."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

KEPT_COPIES = 5
_PREFIX = "before-upgrade-"


def copy_database(database: Path, folder: Path, now: datetime) -> Path:
    """A copy in `folder`, for this user alone; the oldest beyond `KEPT_COPIES` are removed.

    Raises:
        sqlite3.Error: the database cannot be read, or there is no room. No half a copy is left.
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{_PREFIX}{now:%Y-%m-%d-%H%M%S}.sqlite3"
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    try:
        _copy(database, unfinished)
        with closing(sqlite3.connect(unfinished)) as made:
            # One file, that is read without making others beside it.
            made.execute("PRAGMA journal_mode=DELETE")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in sorted(folder.glob(f"{_PREFIX}*.sqlite3"))[:-KEPT_COPIES]:
        old.unlink()
    return path


def put_back(copy: Path, database: Path) -> None:
    """The database as it was when it was copied; all of it or none. Nobody else may have it open.

    Raises:
        sqlite3.Error
    """
    _copy(copy, database)


def _copy(source_path: Path, target_path: Path) -> None:
    # A path that is not there would become an empty database.
    with (
        closing(sqlite3.connect(f"{source_path.resolve().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target_path)) as target,
    ):
        source.backup(target)
