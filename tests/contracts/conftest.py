"""Fixtures of these tests."""

from tests.contracts.content_stores import make_store, store
from tests.contracts.wires import transport, wire

__all__ = ["make_store", "store", "transport", "wire"]
