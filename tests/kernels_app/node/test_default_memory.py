"""Kernels and terminals that nobody gave a limit of memory: the node has one, so that one of them is ended, not the
machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kernels_app.bus.memory_store import forget_memory_store
from kernels_app.node.config import read_config
from kernels_app.node.provisioners.processes import default_kernel_memory_bytes, physical_memory_bytes
from tests.kernels_app.node.running_node import NODE_ID, running_node
from tests.kernels_app.node.terminal_reader import Shell

WIRE = "default-memory"
GIB = 1 << 30


@pytest.mark.parametrize(
    ("given", "machine", "expected"),
    [
        (None, 10 * GIB, 9 * GIB),
        (None, 64 * GIB, 60 * GIB),
        (None, 2 * GIB, 2 * GIB - (512 << 20)),
        (None, GIB // 2, GIB // 4),
        (4 * GIB, 10 * GIB, 4 * GIB),
        (100 * GIB, 10 * GIB, 10 * GIB),
    ],
)
def test_what_is_left_for_a_kernel(given: int | None, machine: int, expected: int) -> None:
    assert default_kernel_memory_bytes(given, machine) == expected


@pytest.mark.parametrize("provisioner", ["process", "sandbox", "docker"])
def test_a_node_that_is_told_nothing_has_a_limit_all_the_same(tmp_path: Path, provisioner: str) -> None:
    environment = {
        "REDIS_URL": "redis://x",
        "NODE_PROJECTS_ROOT": str(tmp_path),
        "NODE_RUN_DIR": str(tmp_path),
        "NODE_KERNEL_PYTHON": sys.executable,
        "NODE_PROVISIONER": provisioner,
    }
    for more, most in (({}, physical_memory_bytes()), ({"NODE_MEMORY_MB": "600"}, 600 << 20)):
        config = read_config({**environment, **more})
        for limit in (
            config.default_memory_bytes,
            config.sandbox.default_memory_bytes,
            config.containers.default_memory_bytes,
        ):
            assert limit is not None
            assert 0 < limit <= most
    config = read_config({**environment, "NODE_KERNEL_MEMORY_MB": "300", "NODE_MEMORY_MB": "600"})
    assert config.default_memory_bytes == config.sandbox.default_memory_bytes == 300 << 20


@pytest.mark.parametrize("provisioner", ["process", "sandbox"])
async def test_a_kernel_and_a_terminal_without_a_limit_are_ended_at_that_of_the_node(
    tmp_path: Path, provisioner: str
) -> None:
    forget_memory_store(WIRE)
    async with running_node(
        tmp_path, f"memory://{WIRE}", provisioner=provisioner, default_memory_bytes=300 << 20
    ) as node:
        notebook = node.notebook()
        await notebook.start()
        await notebook.run("import time\nx = b'1' * (400 << 20)\ntime.sleep(600)")
        assert " of 300 MiB." in (await notebook.kernel_state("killed")).reason
        shell = Shell(node.wire, NODE_ID, node.fence)
        await shell.start()
        reader = await shell.reader()
        await reader.type("python3 -c 'x = b\"1\" * (400 << 20); input()'\n")
        await reader.wait_for(
            lambda: b"Killed" in reader.output or reader.ended is not None, "the end of what takes too much"
        )
    forget_memory_store(WIRE)
