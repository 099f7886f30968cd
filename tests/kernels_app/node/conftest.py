"""Fixtures of these tests, unless a module makes its own."""

from __future__ import annotations

from tests.kernels_app.node.folded_kernel import kernel
from tests.kernels_app.node.running_kernels import node

__all__ = ["kernel", "node"]
