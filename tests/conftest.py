"""What every test shares: the cast of people, and data folders that no two tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from notebooks_app import wire

pytest_plugins = ["tests.cast"]

# Tests of whole programs on a shared machine, which may stand still for seconds: tried once more, and reported as
# RERUN. One that is reported so twice is a bug to find.
TRIED_TWICE = frozenset({"e2e", "chaos", "container", "integration", "jupyter_clients"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright's event loop stays in this thread until it ends."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
        if TRIED_TWICE.intersection(item.path.parts) or item.get_closest_marker("integration"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


@pytest.fixture(autouse=True)
def _no_wire_of_another_test() -> Iterator[None]:
    """Each test opens the process's transport anew: the store of the one before may be forgotten by now."""
    wire._blocking = None
    yield
    wire._blocking = None
