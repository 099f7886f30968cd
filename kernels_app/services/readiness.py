"""Waiting for a kernel that starts, for clients that take the answer to a start for its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import BoundedSemaphore

from kernels_app.models import Kernel, KernelState

LOOK_EVERY_S = 0.1
# Each waits in a thread of the web process; who comes beyond that is answered at once.
_places = BoundedSemaphore(50)

_STARTING = (KernelState.PENDING, KernelState.STARTING)


def wait_until_started(
    kernel: Kernel,
    *,
    timeout_s: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when the kernel has answered for the first time, has ended, or the time is over; its fields are fresh."""
    if not _places.acquire(blocking=False):
        return
    try:
        deadline = now() + timeout_s
        while kernel.state in _STARTING and now() < deadline:
            sleep(LOOK_EVERY_S)
            kernel.refresh_from_db()
    finally:
        _places.release()
