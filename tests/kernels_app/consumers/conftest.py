"""Fixtures of these tests, unless a module makes its own."""

from tests.kernels_app.consumers.runs_page import alice, scene

__all__ = ["alice", "scene"]
