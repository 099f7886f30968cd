"""What every test shares: the cast of people, and data folders that no two tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from notebooks_app import wire

pytest_plugins = ["tests.cast"]

# Tests of whole programs on a shared machine, which may stand still for seconds: tried again, and reported as RERUN.
# One that is reported so twice is a bug to find.
WHOLE_PROGRAMS = frozenset({"e2e", "chaos", "container", "integration", "jupyter_clients"})
RERUNS = 2
# What shares an engine or a hub of several files, by how the path begins.
TOGETHER = {
    "tests/container/": "container",
    "tests/jupyter_clients/": "jupyter clients",
    "tests/integration/test_files_live.py": "one hub",
    "tests/integration/test_kernel_channels.py": "one hub",
    "tests/integration/test_web_processes.py": "one hub",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, so that no worker of a parallel run is left alone with them at the end; the browser's last."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
        if _is_whole_program(item):
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
    items.sort(key=_rank)


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of a file go to one worker, for they share a hub or a kernel; so do files that share one."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if "[docker" in test:
            return "container"
        return next((name for start, name in TOGETHER.items() if path.startswith(start)), path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile:
    """Called by pytest-xdist. Its own groups (`--dist loadgroup`) are ignored without a word by pytest 9.2."""
    return FileByFile(config, log)


def _is_whole_program(item: pytest.Item) -> bool:
    return bool(
        WHOLE_PROGRAMS.intersection(item.path.parts)
        or item.get_closest_marker("integration")
        or item.get_closest_marker("container")
    )


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
