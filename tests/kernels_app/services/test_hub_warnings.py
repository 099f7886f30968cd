"""What administrators are warned of."""

from __future__ import annotations

import pytest

from kernels_app.services.hub_warnings import warnings_of

UP = {"id": "a", "state": "up", "isolation": "sandbox", "provisioner": "sandbox", "warnings": []}


@pytest.mark.parametrize(
    ("length", "wait_s", "said"),
    [
        (0, None, None),
        (2, 59.9, None),
        (1, 60.0, "1 kernel waits for room, the first for 1 minute:"),
        (2, 194.4, "2 kernels wait for room, the first for 3 minutes:"),
        (3, 5_400.0, "3 kernels wait for room, the first for 1.5 hours:"),
    ],
)
def test_a_queue_is_told_of_when_somebody_waits_for_long(
    length: int, wait_s: float | None, said: str | None
) -> None:
    found = warnings_of([UP], answers=True, queue_length=length, oldest_wait_s=wait_s)
    assert [warning.message.startswith(said or "-") for warning in found] == ([] if said is None else [True])
