"""The largest file that what people run may write: a file with holes costs no disk, but whoever reads it."""

from __future__ import annotations

import resource

# Of one file, in bytes: more than any file a project is meant for, far less than a file system allows.
MAX_FILE_BYTES = 64 << 30


def limit_files(pid: int, max_bytes: int) -> None:
    """Of a process and what it starts from now on. Larger writes fail there: Python raises an OSError (EFBIG), other
    programs may be ended by SIGXFSZ. Raises OSError, ValueError."""
    if hasattr(resource, "prlimit"):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
