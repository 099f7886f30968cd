"""Which failures pass by themselves, and which one value or row causes. Pure."""

from __future__ import annotations

from django.db import DataError, Error, InterfaceError, OperationalError

from kernels_app.bus.transport import TransportError
from kernels_app.errors import Unavailable

# A value that the database, or its driver, does not take: it will not take it later either.
UNFIT_VALUE = (DataError, OverflowError, UnicodeError)
# PostgreSQL, Error Codes. A limit of the program is told as an operational error, but waiting does not help.
_PROGRAM_LIMIT_CLASS = "54"
_READ_ONLY_TRANSACTION = "25006"  # the server is a replica, for a moment


def passes_by_itself(error: BaseException) -> bool:
    """Whether the wire or the database is away: what was tried is tried again, before anything else."""
    code = getattr(error.__cause__, "sqlstate", None) or "" if isinstance(error, Error) else ""
    if isinstance(error, OperationalError):
        return not code.startswith(_PROGRAM_LIMIT_CLASS)
    return isinstance(error, TransportError | InterfaceError | Unavailable) or code == _READ_ONLY_TRANSACTION
