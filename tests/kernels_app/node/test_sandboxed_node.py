"""A node that keeps its kernels in sandboxes: what works in one, and what a hostile notebook reaches."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernels_app.bus.envelopes import KernelsMeasured, Limits, StopKernel, UpdateLimits
from kernels_app.bus.memory_store import forget_memory_store
from kernels_app.bus.operations import AnyOperation, Finished, KernelChanged, Stream
from kernels_app.node.provisioners.bubblewrap import SandboxSettings
from kernels_app.node.provisioners.sandbox_probe import SandboxUnavailable, find_machine
from tests.container import escape, hostile
from tests.kernels_app.node.running_node import (
    DEADLINE_S,
    KERNEL_PYTHON,
    NODE_ID,
    Notebook,
    RunningNode,
    running_node,
)
from tests.kernels_app.node.terminal_reader import Shell

pytestmark = pytest.mark.integration

WIRE = "sandboxed"
ESCAPE = Path(escape.__file__).read_text()
HOSTILE = Path(hostile.__file__).read_text()


@pytest.fixture(scope="module", autouse=True)
def _needs_bubblewrap() -> None:
    try:
        find_machine(KERNEL_PYTHON, SandboxSettings())
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningNode]:
    monkeypatch.setenv("HUB_SECRET_KEY", "secret-of-the-hub")
    monkeypatch.setenv("REDIS_URL", "redis://secret-of-the-hub")
    forget_memory_store(WIRE)
    async with running_node(tmp_path / "n", f"memory://{WIRE}", provisioner="sandbox") as running:
        yield running
    forget_memory_store(WIRE)


async def ran(notebook: Notebook, source: str, status: str = "ok") -> str:
    """What it printed, of standard output and error."""
    [run_id] = await notebook.run(source)
    finished = await notebook.finished(run_id)
    text = await notebook.text(run_id) + await notebook.text(run_id, "stderr")
    assert finished.status == status, (finished, text)
    return text.strip()


async def test_a_notebook_runs_writes_its_project_and_says_where_it_is(
    node: RunningNode, tmp_path: Path
) -> None:
    notebook = node.notebook()
    await notebook.start(session_file="work/a.ipynb")
    assert await ran(notebook, "import os; print(os.getcwd(), os.environ['HOME'])") == "/project /home/kernel"
    assert await ran(notebook, "print(os.environ['JPY_SESSION_NAME'])") == "/project/work/a.ipynb"
    await ran(notebook, "open('made.txt', 'w').write('by a kernel')")
    assert (tmp_path / "n/projects/project/made.txt").read_text() == "by a kernel"
    assert await ran(notebook, "import sys, numpy; print(numpy.arange(3).sum())") == "3"
    found = "import os; print(os.listdir(sys.prefix + '/share/parsed-files') != [])"
    assert await ran(notebook, found) == "True", "what completion needs is parsed"
    assert await ran(notebook, "!echo $((6*7)) from $(whoami)") == "42 from kernel"


async def test_a_hostile_notebook_reaches_nothing_of_the_hub(node: RunningNode, tmp_path: Path) -> None:
    other = tmp_path / "n/projects/other"
    other.mkdir()
    (other / "secret.txt").write_text("of other people")
    with socket.socket() as server, socket.socket(socket.AF_UNIX) as unix:
        server.bind(("127.0.0.1", 0))
        server.listen()
        unix.bind(str(tmp_path / "valkey.sock"))
        unix.listen()
        port = server.getsockname()[1]
        neighbour, notebook = node.notebook(), node.notebook()
        await neighbour.start()
        await notebook.start()
        await ran(neighbour, "print('there')")
        await ran(notebook, ESCAPE)
        # Its own folder for sockets, in its own memory, is all it may write beside the project.
        found = await ran(notebook, "print(tried(['127.0.0.1', '10.0.0.1'], 'other'))")
        assert found == "['writes /run/kernel']"
        paths = [
            tmp_path,
            tmp_path / "valkey.sock",
            tmp_path / "n/run",
            other / "secret.txt",
            Path.home() / ".bashrc",
        ]
        arguments = (
            [port],
            [str(path) for path in paths],
            [os.getpid()],
            ["secret-of-the-hub", str(tmp_path)],
        )
        await ran(notebook, HOSTILE)
        assert await ran(notebook, f"print(reached{arguments!r})") == "[]"
        assert await ran(neighbour, "print('still there')") == "still there"


async def test_what_kills_everything_it_can_kills_itself(node: RunningNode) -> None:
    neighbour, notebook = node.notebook(), node.notebook()
    await neighbour.start()
    await notebook.start()
    await ran(neighbour, "x = 1")
    await notebook.run("import os, signal\nos.kill(os.getppid(), 9); os.kill(1, 9); os.kill(-1, 9)")
    # Its parent is the first process of its own world, which nothing in it can kill.
    assert await ran(neighbour, "print(x)") == "1"
    await notebook.kernel_state("died", "idle")


async def test_a_fork_bomb_ends_at_the_limit_and_the_kernel_can_be_stopped(node: RunningNode) -> None:
    if node.supervisor._isolation.enforcement["processes"] != "cgroup" and os.geteuid() == 0:
        pytest.skip("nothing here bounds the processes of root")
    neighbour, notebook = node.notebook(), node.notebook()
    await neighbour.start()
    await notebook.start(Limits(process_count=40, memory_bytes=512 << 20))
    await ran(neighbour, "x = 1")
    found = await ran(
        notebook,
        "import os, time\nmade = 0\n"
        "try:\n    for _ in range(400):\n        if os.fork() == 0:\n            time.sleep(600)\n        made += 1\n"
        "except OSError as error:\n    print(error.errno, made)",
    )
    number, _, made = found.partition(" ")
    assert number == "11"
    assert 0 < int(made) < 40
    assert await ran(neighbour, "print(x)") == "1"


async def test_memory_above_the_limit_ends_the_kernel_and_says_so(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start(Limits(memory_bytes=300 << 20))
    text = await ran(notebook, "try:\n    b'x' * 10**11\nexcept MemoryError: print('refused')")
    assert text == "refused"
    began = asyncio.get_running_loop().time()
    await notebook.run("import time\nx = b'1' * (400 << 20)\ntime.sleep(600)")
    ended = await notebook.kernel_state("killed")
    assert " of 300 MiB." in ended.reason
    assert ended.reason.startswith("Killed at ")
    assert asyncio.get_running_loop().time() - began < 10


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/home/kernel"])
async def test_files_in_memory_count_as_memory_and_are_bounded(node: RunningNode, folder: str) -> None:
    notebook = node.notebook()
    await notebook.start(Limits(memory_bytes=200 << 20))
    await notebook.run(
        f"import time\nwith open('{folder}/x', 'wb') as file:\n    for _ in range(150): file.write(b'x' * (1 << 20))\n"
        "y = b'1' * (60 << 20)\ntime.sleep(600)"
    )
    assert " of 200 MiB." in (await notebook.kernel_state("killed")).reason


async def test_new_limits_hold_for_a_running_kernel(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    await ran(notebook, "x = b'1' * (200 << 20)")
    await notebook.send(
        UpdateLimits(fence=node.fence, kernel_id=notebook.kernel_id, limits=Limits(memory_bytes=150 << 20))
    )
    assert " of 150 MiB." in (await notebook.kernel_state("killed")).reason


async def test_what_a_kernel_uses_is_told(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = node.notebook()
    await notebook.start()
    await notebook.run("x = b'1' * (100 << 20)\nwhile True: pass")
    async with asyncio.timeout(DEADLINE_S):
        while True:
            told = [event for event in await node.events() if isinstance(event, KernelsMeasured)]
            figures = [
                event.kernels[notebook.kernel_id] for event in told if notebook.kernel_id in event.kernels
            ]
            if figures and figures[-1].cpu_cores > 0.2:
                break
            await asyncio.sleep(0.05)
    assert 100 << 20 < figures[-1].memory_bytes < 400 << 20


async def test_a_kernel_that_only_knows_the_network_runs_beside_an_attendant(node: RunningNode) -> None:
    notebook = node.notebook("deno")
    await notebook.start()
    [run_id] = await notebook.run("console.log(6 * 7)")
    finished = await notebook.finished(run_id)
    assert finished.status == "ok", [
        item for item in await notebook.operations() if isinstance(item, KernelChanged)
    ]

    def printed(operations: list[AnyOperation]) -> bool | None:
        return any(isinstance(item, Stream) and "42" in item.text for item in operations) or None

    await notebook.wait_for(
        printed
    )  # its console is a pipe of its own: what it prints may come after the end
    [endless] = await notebook.run("while (true) {}")
    await notebook.kernel_state("busy")
    await notebook.start()  # a repeat is harmless
    assert not any(
        isinstance(item, Finished) and item.run_id == endless for item in await notebook.operations()
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"LD_PRELOAD": "/project/x.so"},
        {"PATH": "/project"},
        {"A": "1\nLD_PRELOAD=/project/x.so"},
        {"A\nB": "1"},
        {"PYTHONPATH": "/project"},
    ],
)
async def test_variables_that_change_what_is_run_are_refused(
    node: RunningNode, environment: dict[str, str]
) -> None:
    notebook = node.notebook()
    await notebook.start(environment=environment)
    assert "cannot be set for a kernel" in (await notebook.kernel_state("failed")).reason


async def test_a_terminal_is_in_a_sandbox_of_the_project_too(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "n/projects/other").mkdir()
    shell = Shell(node.wire, NODE_ID, node.fence)
    await shell.start()
    reader = await shell.reader()
    await reader.type(
        f"echo $PWD $(ls {tmp_path} 2>&1 | wc -l) $((6*7)); cat /proc/net/dev | wc -l; env | grep -c hub\n"
    )
    await reader.sees("/project 1 42")
    assert b"secret-of-the-hub" not in reader.output
    await reader.type("sleep 600 &\n")
    await reader.type("jobs; tty\n")
    await reader.sees("/dev/console")


async def test_nothing_is_left_when_a_sandbox_ends(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    word = f"600.{secrets.randbelow(1 << 40):012}"
    await ran(
        notebook,
        f"import subprocess\nsubprocess.Popen(['setsid', 'sh', '-c', 'trap \"\" TERM HUP; sleep {word}'])\nprint(1)",
    )

    def left() -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if word.encode() in path.read_bytes():
                    found.append(path.parent.name)
            except OSError:
                continue
        return found

    assert left()
    await notebook.send(_stop(node, notebook))
    await notebook.kernel_state("stopped")
    async with asyncio.timeout(DEADLINE_S):
        while left():
            await asyncio.sleep(0.02)


def _stop(node: RunningNode, notebook: Notebook) -> StopKernel:
    return StopKernel(fence=node.fence, kernel_id=notebook.kernel_id)
