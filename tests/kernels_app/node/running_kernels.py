"""The node of tests with real kernels, and what these wait for."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernels_app.bus.identifiers import RunId
from kernels_app.bus.memory_store import forget_memory_store
from kernels_app.bus.operations import (
    AnyOperation,
    InputRequest,
    Started,
)
from tests.kernels_app.node.running_node import Notebook, RunningNode, running_node


@pytest.fixture
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningNode]:
    forget_memory_store("node")
    async with running_node(
        tmp_path_factory.mktemp("n"), "memory://node", kernel_path=tmp_path_factory.mktemp("k")
    ) as running:
        yield running


def write_kernelspec(folder: Path, name: str, argv: list[str]) -> None:
    (folder / name).mkdir(parents=True)
    content = {"argv": argv, "display_name": name, "language": "none"}
    (folder / name / "kernel.json").write_text(json.dumps(content))


async def started(notebook: Notebook, run_id: RunId) -> None:
    def check(operations: list[AnyOperation]) -> Started | None:
        found = (item for item in operations if isinstance(item, Started) and item.run_id == run_id)
        return next(found, None)

    await notebook.wait_for(check)


async def input_request(notebook: Notebook, run_id: RunId) -> InputRequest:
    def check(operations: list[AnyOperation]) -> InputRequest | None:
        found = (item for item in operations if isinstance(item, InputRequest) and item.run_id == run_id)
        return next(found, None)

    return await notebook.wait_for(check)


def process_is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def process_is_gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while process_is_there(pid):
            await asyncio.sleep(0.01)


def open_descriptors() -> set[tuple[str, str]]:
    """Numbers of this process's open files, and what they are."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of this very listing
            found.add((path.name, str(path.readlink())))
    return found
