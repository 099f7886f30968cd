"""The wires of these tests: the in-memory twin and a real Valkey, and means to interrupt them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

import pytest

from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.opening import open_transport
from kernels_app.bus.transport import Publication, Transport, TransportError
from tests.kernels_app.bus.valkey_server import ValkeyServer

DEADLINE_S = 10


class Wire(Protocol):
    """A transport's address, and the means to interrupt it."""

    url: str

    def interrupt(self) -> None: ...

    def resume(self) -> None: ...


class MemoryWire:
    url = "memory://contract"

    def interrupt(self) -> None:
        memory_store("contract").set_down(True)

    def resume(self) -> None:
        memory_store("contract").set_down(False)


class ValkeyWire:
    def __init__(self, server: ValkeyServer) -> None:
        self._server = server
        self.url = server.url

    def interrupt(self) -> None:
        self._server.kill()

    def resume(self) -> None:
        self._server.start()


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.integration)])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    if request.param == "memory":
        forget_memory_store("contract")
        yield MemoryWire()
        return
    server = ValkeyServer()
    server.start()
    yield ValkeyWire(server)
    server.close()


@pytest.fixture
async def transport(wire: Wire) -> AsyncIterator[Transport]:
    opened = open_transport(wire.url)
    yield opened
    await opened.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Lets the event loop run until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def write_until_it_works(transport: Transport, publication: Publication) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                await transport.write([publication])
                return
            except TransportError:
                await asyncio.sleep(0.01)
