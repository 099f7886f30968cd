"""Fixtures of these tests."""

from tests.notebooks_app.consumers.open_documents import _wire, cast, document

__all__ = ["_wire", "cast", "document"]
