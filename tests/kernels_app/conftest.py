"""An empty wire for each test of the hub's side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernels_app.bus.memory_store import MemoryStore, forget_memory_store, memory_store
from notebooks_app import wire


@pytest.fixture
def hub_wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryStore]:
    """The store behind the hub's transports, empty; `set_down` interrupts them."""
    forget_memory_store("tests")
    monkeypatch.setattr(wire, "_blocking", None)
    yield memory_store("tests")
    forget_memory_store("tests")
