"""The Django project of Zasper Hub."""

from __future__ import annotations

import sys


def _import_structlog_alone() -> None:
    """structlog loads rich and Twisted when they are installed, for what the hub does not use: 5 MB in each program."""
    absent = [name for name in ("rich", "twisted") if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    try:
        import structlog  # noqa: F401
    finally:
        for name in absent:
            del sys.modules[name]


_import_structlog_alone()
