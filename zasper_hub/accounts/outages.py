"""Failures that are nobody's mistake and pass: a full disk, a database that does not answer."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

from django.db import InterfaceError, OperationalError

from zasper_hub.accounts.errors import DiskFull, HubError, Unavailable

_FULL_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_POSTGRES_DISK_FULL = "53100"
_SQLITE_PRIMARY_CODE = 0xFF  # the extended codes keep the primary one in their lowest byte


def outage_of(error: BaseException) -> HubError | None:
    """What a person is told of it; None when it is a mistake of the hub's."""
    is_database = isinstance(error, OperationalError | InterfaceError)
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _FULL_DISK_ERRNOS:
            return DiskFull()
        if getattr(cause, "sqlstate", None) == _POSTGRES_DISK_FULL:
            return DiskFull()
        code = getattr(cause, "sqlite_errorcode", None)
        # Without room for its shared memory or its journal, SQLite calls it an I/O error.
        if code is not None and code & _SQLITE_PRIMARY_CODE in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return DiskFull("The hub's disk is full or does not take what is written. Nothing was changed.")
    return Unavailable("The hub's database does not answer. Try again in a moment.") if is_database else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then what it was raised from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
