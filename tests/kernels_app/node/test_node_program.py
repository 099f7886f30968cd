"""The node as a program: its exit codes, its signals, and what a `kill -9` of it or of Valkey leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kernels_app.bus.envelopes import NodeStarted, NodeStopped, decode_event
from kernels_app.bus.identifiers import EVENTS_STREAM, NODES_KEY, node_lease
from kernels_app.bus.opening import open_transport
from kernels_app.bus.operations import AnyOperation, Started
from kernels_app.bus.transport import Transport, TransportError
from kernels_app.node.config import ConfigError, read_config
from kernels_app.node.folding_runs import FoldingLimits
from tests.kernels_app.bus.valkey_server import ValkeyServer
from tests.kernels_app.node.running_kernels import process_is_gone, process_is_there
from tests.kernels_app.node.running_node import KERNEL_PYTHON, NODE_ID, ROOT, Notebook

pytestmark = pytest.mark.integration

DEADLINE_S = 40


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
async def wire(valkey: ValkeyServer) -> AsyncIterator[Transport]:
    opened = open_transport(valkey.url)
    yield opened
    await opened.close()


class NodeProgram:
    def __init__(self, folder: Path, url: str, wire: Transport) -> None:
        self._folder = folder
        self._url = url
        self._wire = wire
        self._life_count = 0
        self.fence = 0
        (folder / "projects" / "project").mkdir(parents=True)

    async def start(self, holder: str = "parent") -> None:
        """Returns when the node has registered a new life."""
        self.process = subprocess.Popen(  # noqa: ASYNC220  a test may wait for it
            [sys.executable, "-m", "kernels_app.node"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/tmp"),
                "NODE_ID": NODE_ID,
                "NODE_HOLDER": holder,
                "NODE_PROJECTS_ROOT": str(self._folder / "projects"),
                "NODE_RUN_DIR": str(self._folder / "run"),
                "NODE_KERNEL_PYTHON": str(KERNEL_PYTHON),
                "NODE_PROVISIONER": "process",  # the tests look for processes by the ids they give themselves
                "REDIS_URL": self._url,
            },
        )
        async with asyncio.timeout(DEADLINE_S):
            while True:
                lives = [event for event in await self.events() if isinstance(event, NodeStarted)]
                if len(lives) > self._life_count:
                    self._life_count = len(lives)
                    assert lives[-1].fence > self.fence
                    self.fence = lives[-1].fence
                    return
                assert self.process.poll() is None
                await asyncio.sleep(0.02)

    async def events(self) -> list[object]:
        return [decode_event(entry.payload) for entry in await self._wire.read_log(EVENTS_STREAM)]

    async def ended(self, within_s: float) -> int:
        async with asyncio.timeout(within_s):
            return await asyncio.to_thread(self.process.wait)

    def notebook(self) -> Notebook:
        return Notebook(self._wire, self.fence)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
async def program(tmp_path: Path, valkey: ValkeyServer, wire: Transport) -> AsyncIterator[NodeProgram]:
    made = NodeProgram(tmp_path, valkey.url, wire)
    await made.start()
    yield made
    made.close()


async def started(notebook: Notebook) -> None:
    def check(operations: list[AnyOperation]) -> Started | None:
        return next((item for item in operations if isinstance(item, Started)), None)

    await notebook.wait_for(check)


async def pids_of(notebook: Notebook, source: str) -> list[int]:
    """What the cell prints, while it goes on running."""
    [run_id] = await notebook.run(f"import os, subprocess, signal, time\n{source}\ntime.sleep(600)")
    async with asyncio.timeout(DEADLINE_S):
        while True:
            text = await notebook.text(run_id)
            if text.endswith("\n"):
                return [int(word) for word in text.split()]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"NODE_ID": "two words"}, "NODE_ID"),
        ({"NODE_KERNEL_PYTHON": "/nowhere/python"}, "NODE_KERNEL_PYTHON"),
        ({"NODE_PROJECTS_ROOT": "/nowhere"}, "NODE_PROJECTS_ROOT"),
        ({"NODE_SHUTDOWN_S": "soon"}, "NODE_SHUTDOWN_S"),
        ({"NODE_OUTPUT_MAX_OUTPUTS": "-1"}, "NODE_OUTPUT_MAX_OUTPUTS"),
        ({"NODE_LOG_LEVEL": "loud"}, "NODE_LOG_LEVEL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"REDIS_URL": "http://x"}, "http"),
        ({"NODE_RUN_DIR": "/tmp/" + "x" * 120}, "too long"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_ID": "n",
        "NODE_PROJECTS_ROOT": str(tmp_path),
        "NODE_RUN_DIR": str(tmp_path / "run"),
        "NODE_KERNEL_PYTHON": sys.executable,
        "REDIS_URL": "unix:///nowhere/v.sock",
        **changes,
    }
    done = subprocess.run(
        [sys.executable, "-m", "kernels_app.node"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 64
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_each_limit_of_outputs_is_a_setting(tmp_path: Path) -> None:
    environment = {
        "NODE_PROJECTS_ROOT": str(tmp_path),
        "NODE_RUN_DIR": str(tmp_path),
        "NODE_KERNEL_PYTHON": sys.executable,
        "REDIS_URL": "memory://x",
    }
    assert read_config(environment).output_limits == FoldingLimits()
    for field in FoldingLimits.__struct_fields__:
        config = read_config({**environment, f"NODE_OUTPUT_{field.upper()}": "7"})
        assert config.output_limits == FoldingLimits(**{field: 7})


def test_a_node_of_processes_loads_nothing_of_docker() -> None:
    code = (
        "import sys, kernels_app.node.main\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('docker', 'requests', 'urllib3')"
        " or name.endswith(('provisioners.docker', 'provisioners.engine'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NODE_PROVISIONER", "podman"),
        ("NODE_KERNEL_IMAGES", "good:1,--privileged"),
        ("NODE_KERNEL_IMAGES", "a\nb,$(x)"),
        ("NODE_KERNEL_NETWORK", "host"),
        ("NODE_KERNEL_SUBNETS", "10.0.0.0/30"),
        ("NODE_KERNEL_SUBNETS", "everything"),
        ("NODE_KERNEL_USER", "0:0"),
        ("NODE_KERNEL_USER", "root"),
        ("NODE_KERNEL_MEMORY_MB", "-1"),
        ("NODE_KERNEL_PROCESSES", "0"),
        ("NODE_ORPHAN_S", "never"),
        ("NODE_SANDBOX_NETWORK", "internet"),
        ("NODE_SANDBOX_READABLE", "/"),
        ("NODE_SANDBOX_READABLE", "/srv/data:relative"),
    ],
)
def test_what_is_wrong_about_containers_and_sandboxes_stops_the_start(
    tmp_path: Path, name: str, text: str
) -> None:
    environment = {
        "NODE_PROJECTS_ROOT": str(tmp_path),
        "NODE_RUN_DIR": str(tmp_path),
        "NODE_PROVISIONER": "docker",
        "REDIS_URL": "memory://x",
    }
    assert read_config(environment).containers.network == "project"
    with pytest.raises(ConfigError, match=name):
        read_config({**environment, name: text})


def test_no_module_of_django_is_in_the_nodes_process() -> None:
    code = (
        "import sys, kernels_app.node.main\n"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('django', 'channels', 'zasper_hub', 'notebooks_app')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_a_killed_node_leaves_no_process_and_its_successor_starts_at_once(program: NodeProgram) -> None:
    notebook = program.notebook()
    await notebook.start()
    pids = await pids_of(notebook, "print(os.getpid(), subprocess.Popen(['sleep', '600']).pid, flush=True)")
    assert all(process_is_there(pid) for pid in pids)
    program.process.kill()
    for pid in pids:
        await process_is_gone(pid)
    async with asyncio.timeout(10):  # less than a lease
        await program.start()
    successor = program.notebook()
    await successor.start()
    [run_id] = await successor.run("1 + 1")
    assert (await successor.finished(run_id)).status == "ok"


async def test_a_node_told_to_stop_ends_even_stubborn_kernels_in_time(
    program: NodeProgram, wire: Transport
) -> None:
    notebook = program.notebook()
    await notebook.start()
    pids = await pids_of(
        notebook,
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True)\nwhile True: pass",
    )
    program.process.send_signal(signal.SIGTERM)
    assert await program.ended(within_s=8) == 0
    for pid in pids:
        assert not process_is_there(pid)
    state = await notebook.kernel_state("stopped")
    assert state.reason == "The hub was shut down."
    assert isinstance((await program.events())[-1], NodeStopped)
    assert NODE_ID not in await wire.get_fields(NODES_KEY)
    assert await wire.acquire_lease(node_lease(NODE_ID), holder="next", ttl_s=5) is not None


async def test_a_run_survives_a_killed_valkey_with_each_line_once(
    program: NodeProgram, valkey: ValkeyServer
) -> None:
    notebook = program.notebook()
    await notebook.start()
    [run_id] = await notebook.run(
        "import time\nfor i in range(100):\n    print('line', i, flush=True)\n    time.sleep(0.03)"
    )
    await started(notebook)
    for _ in range(2):
        valkey.kill()
        await asyncio.sleep(0.3)
        valkey.start()
        await asyncio.sleep(0.3)
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                ended = await notebook.finished(run_id)
                break
            except TransportError:
                await asyncio.sleep(0.02)
    assert ended.status == "ok"
    assert await notebook.text(run_id) == "".join(f"line {number}\n" for number in range(100))
    [after] = await notebook.run("2")
    assert (await notebook.finished(after)).execution_count == 2
    assert program.process.poll() is None


async def test_a_node_that_lost_its_lease_ends_its_kernels_and_exits(
    program: NodeProgram, wire: Transport
) -> None:
    notebook = program.notebook()
    await notebook.start()
    [pid] = await pids_of(notebook, "print(os.getpid(), flush=True)")
    # What the hub does when it gives a node up (whose lease ran out).
    await wire.release_lease(node_lease(NODE_ID), holder="parent", fence=program.fence)
    assert await wire.acquire_lease(node_lease(NODE_ID), holder="reaper", ttl_s=30) is not None
    assert await program.ended(within_s=15) == 75
    assert not process_is_there(pid)
