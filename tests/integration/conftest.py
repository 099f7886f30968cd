"""One hub for the suites that leave it as they found it, on one worker (tests/conftest.py); others make their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live_hub import LiveHub, running_hub


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with running_hub(tmp_path_factory.mktemp("hub") / "data") as started:
        yield started
