"""What is tried again before anything else, and what is not."""

from __future__ import annotations

import pytest
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError

from kernels_app.bus.transport import TransportError
from kernels_app.errors import Invalid, Unavailable
from kernels_app.recorder.failures import passes_by_itself


class _ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def told(error: Exception, sqlstate: str) -> Exception:
    error.__cause__ = _ServerError(sqlstate)
    return error


@pytest.mark.parametrize(
    "error",
    [
        DataError("integer out of range"),
        IntegrityError("no such row"),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        Invalid("odd"),
        RuntimeError("odd"),
        told(OperationalError("index row size exceeds maximum"), "54000"),
    ],
)
def test_what_a_value_or_a_row_causes_does_not_pass(error: Exception) -> None:
    assert not passes_by_itself(error)


@pytest.mark.parametrize(
    "error",
    [
        TransportError("away"),
        OperationalError("database is locked"),
        InterfaceError("connection already closed"),
        told(OperationalError("terminating connection"), "57P01"),
        told(InternalError("cannot execute UPDATE in a read-only transaction"), "25006"),
        Unavailable("away"),
    ],
)
def test_what_is_away_comes_back(error: Exception) -> None:
    assert passes_by_itself(error)
