"""Locks on paths, so that of two conditional writers one is first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from notebooks_app.errors import Unavailable

WAIT_S = 30.0  # holders rename a file and sync its folder; a busy disk takes seconds for that
STRIPE_COUNT = 128  # lock files: two paths that share one wait for each other, harmlessly
_POLL_S = 0.01


class PathLocks(Protocol):
    """`hold` takes the locks of some keys, in an order that cannot deadlock.

    Raises Unavailable when that takes over WAIT_S. Not re-entrant.
    """

    def hold(self, *keys: str) -> AbstractContextManager[None]: ...


def _stripes(keys: tuple[str, ...]) -> list[int]:
    digests = (hashlib.blake2b(key.encode(), digest_size=4).digest() for key in keys)
    return sorted({int.from_bytes(digest, "big") % STRIPE_COUNT for digest in digests})


class ProcessLocks:
    """Between all threads and processes of a host: `flock` on a few files. A dead holder holds nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, *keys: str) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + WAIT_S
        with ExitStack() as stack:
            for stripe in _stripes(keys):
                handle = os.open(
                    self._folder / f"{stripe:03}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                stack.callback(os.close, handle)  # closing releases
                _take(handle, deadline)
            yield


def _take(handle: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable("Someone else is saving this file. Try again in a moment.") from None
            time.sleep(_POLL_S)


class ThreadLocks:
    """Between the threads of one process: for stores that only one process has."""

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(STRIPE_COUNT)]

    @contextmanager
    def hold(self, *keys: str) -> Iterator[None]:
        deadline = time.monotonic() + WAIT_S
        with ExitStack() as stack:
            for stripe in _stripes(keys):
                if not self._locks[stripe].acquire(timeout=max(0.0, deadline - time.monotonic())):
                    raise Unavailable("Someone else is saving this file. Try again in a moment.")
                stack.callback(self._locks[stripe].release)
            yield
