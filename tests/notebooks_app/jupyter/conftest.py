"""What the tests of Jupyter's addresses share: an empty wire for each test."""

from __future__ import annotations

from tests.kernels_app.conftest import hub_wire

__all__ = ["hub_wire"]
