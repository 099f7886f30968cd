"""What the operating system says about a file, as the errors a person meets."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from notebooks_app.errors import DiskFull, Exists, HubError, Invalid, NotFound, TooLarge, Unavailable

log = structlog.get_logger(__name__)

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def told_to_people() -> Iterator[None]:
    """Turns an OSError into a HubError without the server's paths."""
    try:
        yield
    except OSError as error:
        raise _translated(error) from error
    except RecursionError as error:
        raise Invalid("The folders are nested too deeply.", field="path") from error


def _translated(error: OSError) -> HubError:
    number = error.errno
    if number in _ABSENT or isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound("There is no such file.")
    if number in _FULL:
        return DiskFull()
    if number == errno.EEXIST or isinstance(error, FileExistsError):
        return Exists()
    if number == errno.EISDIR or isinstance(error, IsADirectoryError):
        return Invalid("That is a folder.", field="path")
    if number == errno.EFBIG:
        return TooLarge()
    log.warning("storage_failed", errno=errno.errorcode.get(number or 0, "?"), kind=type(error).__name__)
    if number in _REFUSED:
        return Unavailable(
            "The hub may not do that to this file: its permissions do not allow it. They can be changed from a "
            "notebook or a terminal of this project."
        )
    return Unavailable(
        "The hub's storage did not answer as it should. Try again; if it stays, tell your admin."
    )
