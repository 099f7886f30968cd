"""A whole node with real kernels: how they live, are limited and end, and what they leave."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import msgspec
import pytest

from kernels_app.bus.envelopes import (
    CellSource,
    Execute,
    InterruptKernel,
    KernelEvent,
    Limits,
    RestartKernel,
    StartKernel,
    StopKernel,
    StopRefused,
    encode,
)
from kernels_app.bus.identifiers import CellId, KernelId, RunId, command_stream
from kernels_app.bus.memory_store import forget_memory_store
from kernels_app.bus.operations import (
    AnyOperation,
    Error,
    KernelChanged,
    Queued,
)
from kernels_app.bus.transport import Publication
from tests.kernels_app.node.running_kernels import (
    open_descriptors,
    process_is_gone,
    process_is_there,
    started,
)
from tests.kernels_app.node.running_node import NODE_ID, RunningNode, running_node

pytestmark = pytest.mark.integration


async def test_a_restart_keeps_the_id_and_forgets_the_variables(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [first] = await notebook.run("x = 1; import os; print(os.getpid())")
    await notebook.finished(first)
    running, queued = await notebook.run("import time; time.sleep(600)", "2")
    await started(notebook, running)
    await notebook.send(RestartKernel(fence=node.fence, kernel_id=notebook.kernel_id))
    assert (await notebook.finished(running)).status == "interrupted"
    assert (await notebook.finished(queued)).status == "cancelled"
    [second] = await notebook.run("print('x' in globals())")
    ended = await notebook.finished(second)
    assert (ended.status, ended.execution_count) == ("ok", 1)
    assert await notebook.text(second) == "False\n"
    await process_is_gone(int(await notebook.text(first)))


async def test_a_stop_for_want_of_use_does_not_hit_a_kernel_that_is_used(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    await notebook.kernel_state("idle")
    stop = StopKernel(
        fence=notebook.fence,
        kernel_id=notebook.kernel_id,
        state="culled",
        reason="Nobody used it.",
        quiet_s=0.2,
    )
    [run_id] = await notebook.run("import time; time.sleep(0.6); print('went on')")
    await started(notebook, run_id)
    await notebook.send(stop)
    await node.event_of(StopRefused)
    assert (await notebook.finished(run_id)).status == "ok"
    assert await notebook.text(run_id) == "went on\n"

    def is_quiet(operations: list[AnyOperation]) -> bool | None:
        return True if isinstance(operations[-1], KernelChanged) and operations[-1].state == "idle" else None

    await notebook.wait_for(is_quiet)
    await notebook.send(msgspec.structs.replace(stop, quiet_s=600))  # idle, but used a moment ago
    await notebook.send(msgspec.structs.replace(stop, quiet_s=0))
    assert (await notebook.kernel_state("culled")).reason == "Nobody used it."
    assert [type(event) for event in await node.events()].count(StopRefused) == 2


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os; os._exit(7)", "exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
)
async def test_the_death_of_a_kernel_ends_its_runs_with_the_reason(
    node: RunningNode, source: str, words: str
) -> None:
    notebook = node.notebook()
    await notebook.start()
    first, second = await notebook.run(
        f"import time; print('last words', flush=True); time.sleep(0.5)\n{source}", "2"
    )
    died = await notebook.finished(first)
    assert died.status == "died"
    assert words in died.reason
    assert (await notebook.finished(second)).status == "not_run"
    reason = (await notebook.kernel_state("died")).reason
    assert words in reason
    # Neither ipykernel's greeting nor where the server keeps things.
    assert "--existing" not in reason
    assert "kernel-" not in reason
    assert words in (await node.kernel_event(notebook.kernel_id, "died")).reason
    assert await notebook.text(first) == "last words\n"


async def test_a_kernel_over_its_memory_is_killed_and_says_so(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start(limits=Limits(memory_bytes=300 << 20))
    [run_id] = await notebook.run("x = b'1' * (400 << 20); import time; time.sleep(600)")
    ended = await notebook.finished(run_id)
    assert ended.status == "died"
    state = await notebook.kernel_state("killed")
    assert state.reason.startswith("Killed at ")
    assert " of 300 MiB" in state.reason


async def test_a_kernels_publisher_drops_nothing_and_its_history_stays_in_memory(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run(
        "from ipykernel.kernelapp import IPKernelApp\n"
        "print(IPKernelApp.instance().iopub_socket.sndhwm, get_ipython().history_manager.hist_file)"
    )
    assert (await notebook.finished(run_id)).status == "ok"
    assert await notebook.text(run_id) == "0 :memory:\n"


async def test_a_deno_kernel_runs_is_interrupted_and_restarts(node: RunningNode) -> None:
    notebook = node.notebook("deno")
    await notebook.start()
    [run_id] = await notebook.run("console.log('hello from ' + 'Deno'); 6 * 7")
    assert (await notebook.finished(run_id)).status == "ok"
    assert "hello from Deno" in await notebook.text(run_id)
    [endless] = await notebook.run("while (true) {}")
    await started(notebook, endless)
    await notebook.kernel_state("busy")
    await notebook.send(InterruptKernel(fence=node.fence, kernel_id=notebook.kernel_id))
    assert (await notebook.finished(endless)).status == "interrupted"
    await notebook.send(RestartKernel(fence=node.fence, kernel_id=notebook.kernel_id))
    await notebook.kernel_state("restarting", "idle")
    [failing] = await notebook.run("throw new Error('as asked')")
    ended = await notebook.finished(failing)
    assert (ended.status, ended.execution_count) == ("error", 1)
    [error] = [
        item for item in await notebook.operations() if isinstance(item, Error) and item.run_id == failing
    ]
    assert "as asked" in error.evalue


async def test_a_stopped_kernel_leaves_no_process_of_its_own(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run(
        "import os, subprocess\n"
        "plain = subprocess.Popen(['sleep', '600'])\n"
        "apart = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(os.getpid(), plain.pid, apart.pid)"
    )
    await notebook.finished(run_id)
    pids = [int(word) for word in (await notebook.text(run_id)).split()]
    assert all(process_is_there(pid) for pid in pids)
    await notebook.send(
        StopKernel(fence=node.fence, kernel_id=notebook.kernel_id, state="culled", reason="Idle for an hour.")
    )
    state = await notebook.kernel_state("culled")
    assert state.reason == "Idle for an hour."
    for pid in pids:
        await process_is_gone(pid)


async def test_a_kernel_gets_nothing_of_the_nodes_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forget_memory_store("node")
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    monkeypatch.setenv("HUB_SECRET_KEY", "secret")
    monkeypatch.setenv("REDIS_URL", "redis://secret")
    async with running_node(tmp_path, "memory://node") as node:
        notebook = node.notebook()
        await notebook.start(environment={"GREETING": "hello"})
        [run_id] = await notebook.run("import os, json; print(json.dumps(dict(os.environ)))")
        await notebook.finished(run_id)
        environment = json.loads(await notebook.text(run_id))
    assert environment["GREETING"] == "hello"
    assert not {
        name for name in environment if name.startswith(("HUB_", "DATABASE", "REDIS", "NODE_", "DJANGO"))
    }
    assert "secret" not in json.dumps(environment)


async def test_nothing_is_left_after_the_node(tmp_path: Path) -> None:
    forget_memory_store("node")
    descriptors = open_descriptors()
    tasks = asyncio.all_tasks()
    async with running_node(tmp_path, "memory://node") as node:
        notebook = node.notebook()
        other = node.notebook("deno")
        await notebook.start()
        await other.start()
        [run_id] = await notebook.run("import os; print(os.getpid())")
        [endless] = await other.run("while (true) {}")
        await notebook.finished(run_id)
        await started(other, endless)
        pid = int(await notebook.text(run_id))
        run_dir = tmp_path / "run"
        assert stat.S_IMODE(run_dir.stat().st_mode) == 0o700
        node.supervisor.stop()
        ended = await other.finished(endless)
        assert (ended.status, ended.reason) == ("died", "The hub was shut down.")
        await notebook.kernel_state("stopped")
    await process_is_gone(pid)
    assert [path.name for path in run_dir.iterdir()] == ["ipython"]
    assert asyncio.all_tasks() == tasks
    assert open_descriptors() - descriptors == set()


async def test_a_repeated_start_and_a_repeated_run_change_nothing(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    await notebook.start()
    run_id = RunId("repeated")
    command = Execute(
        fence=node.fence,
        kernel_id=notebook.kernel_id,
        request_id="r1",
        cells=[CellSource(CellId("c1"), run_id, "1")],
    )
    await notebook.send(command)
    await notebook.send(command)
    await notebook.finished(run_id)
    await notebook.send(command)
    [last] = await notebook.run("2")
    assert (await notebook.finished(last)).execution_count == 2
    operations = await notebook.operations()
    assert sum(isinstance(item, Queued) and item.run_id == run_id for item in operations) == 1
    starts = [
        event for event in await node.events() if isinstance(event, KernelEvent) and event.state == "starting"
    ]
    assert len(starts) == 1


async def test_a_kernel_without_a_document_runs(node: RunningNode) -> None:
    notebook = node.notebook()
    command = StartKernel(
        fence=node.fence,
        kernel_id=KernelId(notebook.kernel_id),
        kernelspec_name="python3",
        project_path="project",
        cwd="",
        environment={},
        limits=Limits(cpu_cores=1.5),
    )
    await node.wire.write([Publication(encode(command), log=command_stream(NODE_ID))])
    await node.kernel_event(notebook.kernel_id, "idle")
    content = json.dumps({"code": "pri", "cursor_pos": 3}).encode()
    assert "print" in json.loads((await notebook.ask("complete", content)).content)["matches"]
    await notebook.run("import os; os._exit(1)")
    await node.kernel_event(notebook.kernel_id, "died")
