"""What every test shares: the cast of people, and data folders that no two tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from notebooks_app import wire

pytest_plugins = ["tests.cast"]

# Tests of whole programs on a shared machine, which may stand still for seconds: tried again, and reported as RERUN.
# One that is reported so twice is a bug to find.
WHOLE_PROGRAMS = frozenset({"e2e", "chaos", "container", "integration", "jupyter_clients"})
RERUNS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, so that no worker of a parallel run is left alone with them at the end; the browser's last.

    Those that share a hub or an engine stay together on one worker: `xdist_group` (with `--dist loadgroup`).
    """
    for item in items:
        parts = item.path.parts
        if "e2e" in parts:
            item.add_marker(pytest.mark.e2e)
        if _is_whole_program(item):
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
            item.add_marker(pytest.mark.xdist_group(_group_of(item)))
    items.sort(key=_rank)


def _is_whole_program(item: pytest.Item) -> bool:
    return bool(
        WHOLE_PROGRAMS.intersection(item.path.parts)
        or item.get_closest_marker("integration")
        or item.get_closest_marker("container")
    )


def _group_of(item: pytest.Item) -> str:
    if item.get_closest_marker("container"):
        return "container"
    if "jupyter_clients" in item.path.parts:
        return "jupyter_clients"
    return item.path.stem


def _rank(item: pytest.Item) -> int:
    if "e2e" in item.path.parts:
        return 3  # Playwright's event loop stays in its thread until it ends
    if item.get_closest_marker("container"):
        return 0
    return 1 if _is_whole_program(item) else 2


@pytest.fixture(autouse=True)
def _no_wire_of_another_test() -> Iterator[None]:
    """Each test opens the process's transport anew: the store of the one before may be forgotten by now."""
    wire._blocking = None
    yield
    wire._blocking = None
