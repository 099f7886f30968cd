"""Chooses the wire from its address: the one place where an implementation is named."""

from __future__ import annotations

from kernels_app.bus.memory import BlockingMemoryTransport, MemoryTransport
from kernels_app.bus.memory_store import memory_store
from kernels_app.bus.redis_blocking import BlockingRedisTransport
from kernels_app.bus.redis_commands import parse_address
from kernels_app.bus.redis_streams import RedisTransport
from kernels_app.bus.transport import BlockingTransport, Transport

__all__ = ["BlockingTransport", "Transport", "open_blocking_transport", "open_transport"]

MEMORY_SCHEME = "memory://"


def open_transport(url: str) -> Transport:
    """The wire for the event loop that uses it: `memory://NAME`, `unix://…`, `redis://…`, `rediss://…`.

    Connects at first use. Raises ValueError when the address is none.
    """
    if url.startswith(MEMORY_SCHEME):
        return MemoryTransport(memory_store(url.removeprefix(MEMORY_SCHEME)))
    return RedisTransport(parse_address(url))


def open_blocking_transport(url: str) -> BlockingTransport:
    """The same wire for synchronous code; any thread may use it."""
    if url.startswith(MEMORY_SCHEME):
        return BlockingMemoryTransport(memory_store(url.removeprefix(MEMORY_SCHEME)))
    return BlockingRedisTransport(parse_address(url))
