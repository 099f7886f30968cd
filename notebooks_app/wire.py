"""The hub's side of the bus, opened once: which transport a process uses is chosen here alone."""

from __future__ import annotations

import asyncio
import threading
from weakref import WeakKeyDictionary

from django.conf import settings

from kernels_app.bus.opening import BlockingTransport, open_blocking_transport, open_transport
from kernels_app.bus.transport import Transport

_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Transport] = WeakKeyDictionary()
_blocking: BlockingTransport | None = None
_blocking_lock = threading.Lock()


async def hub_transport() -> Transport:
    """The transport of the running event loop; opened at the first call."""
    loop = asyncio.get_running_loop()
    transport = _of_loop.get(loop)
    if transport is None:
        # No await between look and store: two callers cannot open two.
        transport = _of_loop[loop] = open_transport(settings.BUS_URL)
    return transport


def blocking_transport() -> BlockingTransport:
    """The transport of views, services and tasks; one a process, safe to share between threads."""
    global _blocking
    with _blocking_lock:
        if _blocking is None:
            _blocking = open_blocking_transport(settings.BUS_URL)
        return _blocking


async def close_hub_transport() -> None:
    """Closes the running loop's transport. For programs that end in good order, and for tests."""
    transport = _of_loop.pop(asyncio.get_running_loop(), None)
    if transport is not None:
        await transport.close()
