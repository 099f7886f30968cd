"""A whole node with real kernels: what a person does with a notebook, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernels_app.bus.envelopes import (
    AnswerInput,
    CellSource,
    ClearOutputs,
    Execute,
    InterruptKernel,
    KernelEvent,
    Limits,
    RestartKernel,
    SendComm,
    StartKernel,
    StopKernel,
    StopRefused,
    encode,
)
from kernels_app.bus.identifiers import CellId, KernelId, RunId, command_stream, run_log, run_topic
from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.operations import (
    AnyOperation,
    Clear,
    Display,
    Error,
    Finished,
    InputClosed,
    InputRequest,
    KernelChanged,
    Queued,
    Started,
    StreamChunk,
)
from kernels_app.bus.transport import Publication
from kernels_app.node import output_log
from tests.kernels_app.node.running_node import NODE_ID, Notebook, RunningNode, running_node

pytestmark = pytest.mark.integration


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


def statuses(operations: list[AnyOperation]) -> dict[str, str]:
    return {item.cell_id: item.status for item in operations if isinstance(item, Finished)}


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


# What goes wrong


async def test_an_unknown_kernelspec_fails_with_the_names_of_those_there_are(node: RunningNode) -> None:
    notebook = node.notebook("fortran")
    await notebook.start()
    [run_id] = await notebook.run("1")
    state = await notebook.kernel_state("failed")
    assert "no kernel “fortran”" in state.reason
    assert "python3" in state.reason
    assert "deno" in state.reason
    ended = await notebook.finished(run_id)
    assert ended.status == "not_run"
    assert ended.started_at is None
    assert (await node.kernel_event(notebook.kernel_id, "failed")).reason == state.reason


async def test_a_kernel_whose_program_is_missing_fails_with_its_name(tmp_path: Path) -> None:
    forget_memory_store("node")
    write_kernelspec(tmp_path / "k", "ghost", ["/nowhere/ghost-kernel", "{connection_file}"])
    async with running_node(tmp_path / "n", "memory://node", kernel_path=tmp_path / "k") as node:
        notebook = node.notebook("ghost")
        await notebook.start()
        state = await notebook.kernel_state("failed")
        assert state.reason == "The program of the kernel “ghost” is not installed: …/ghost-kernel."


async def test_a_kernel_that_dies_at_once_fails_with_its_last_words(tmp_path: Path) -> None:
    forget_memory_store("node")
    write_kernelspec(
        tmp_path / "k", "short", ["/bin/sh", "-c", "echo no licence >&2; exit 3", "{connection_file}"]
    )
    async with running_node(tmp_path / "n", "memory://node", kernel_path=tmp_path / "k") as node:
        notebook = node.notebook("short")
        await notebook.start()
        state = await notebook.kernel_state("failed")
        assert "exit code 3" in state.reason
        assert "no licence" in state.reason


async def test_a_kernel_that_never_answers_is_ended_after_the_start_timeout(tmp_path: Path) -> None:
    forget_memory_store("node")
    write_kernelspec(tmp_path / "k", "mute", ["/bin/sh", "-c", "sleep 600", "{connection_file}"])
    async with running_node(
        tmp_path / "n", "memory://node", kernel_path=tmp_path / "k", start_timeout_s=0.3
    ) as node:
        notebook = node.notebook("mute")
        await notebook.start()
        state = await notebook.kernel_state("failed")
        assert "did not answer" in state.reason


async def test_a_broken_kernelspec_file_fails_and_disturbs_no_other(tmp_path: Path) -> None:
    forget_memory_store("node")
    (tmp_path / "k" / "broken").mkdir(parents=True)
    (tmp_path / "k" / "broken" / "kernel.json").write_text("{not json")
    async with running_node(tmp_path / "n", "memory://node", kernel_path=tmp_path / "k") as node:
        notebook = node.notebook("broken")
        await notebook.start()
        assert "cannot be read" in (await notebook.kernel_state("failed")).reason


@pytest.mark.parametrize(
    "changes",
    [
        {"project_path": "../elsewhere"},
        {"project_path": "."},
        {"project_path": "/etc"},
        {"cwd": "../../.."},
        {"cwd": "absent"},
        {"environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"environment": {"PATH": "/tmp"}},
    ],
)
async def test_a_start_outside_its_project_or_with_foreign_libraries_is_refused(
    node: RunningNode, changes: dict[str, Any]
) -> None:
    notebook = node.notebook()
    await notebook.start(**changes)
    await notebook.kernel_state("failed")


async def test_a_command_of_another_life_of_the_node_is_refused(node: RunningNode) -> None:
    notebook = node.notebook()
    notebook.fence = node.fence - 1
    await notebook.start()
    event = await node.kernel_event(notebook.kernel_id, "lost")
    assert event.fence == node.fence
    assert await notebook.operations() == []


async def test_what_is_no_command_is_skipped(node: RunningNode) -> None:
    await node.wire.write(
        [
            Publication(payload, log=command_stream(NODE_ID))
            for payload in (b"", b"\xff\xff", b"\x81\xa1t\xa1x")
        ]
    )
    notebook = node.notebook("fortran")
    await notebook.start()
    await notebook.kernel_state("failed")


async def test_a_run_on_a_kernel_that_ended_ends_at_once(node: RunningNode) -> None:
    notebook = node.notebook("fortran")
    await notebook.start()
    await notebook.kernel_state("failed")
    [run_id] = await notebook.run("1")
    ended = await notebook.finished(run_id)
    assert ended.status == "not_run"
    assert "fortran" in ended.reason


async def test_a_command_for_a_kernel_nobody_knows_is_answered_with_lost(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.run("1")
    await node.kernel_event(notebook.kernel_id, "lost")
    answer = await notebook.ask("complete_request", b"{}")
    assert answer.error


# What works


async def test_a_cell_runs_and_everything_of_it_is_in_the_log_in_order(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run("import os; print('hello'); os.getcwd()")
    ended = await notebook.finished(run_id)
    assert (ended.status, ended.execution_count) == ("ok", 1)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.finished_at >= ended.started_at
    operations = await notebook.operations()
    kinds = [type(item).__name__ for item in operations if getattr(item, "run_id", None) == run_id]
    assert kinds == ["Queued", "Started", "Counted", "Stream", "Display", "Finished"]
    assert await notebook.text(run_id) == "hello\n"
    [display] = [item for item in operations if isinstance(item, Display)]
    assert display.data["text/plain"].strip("'").endswith("projects/project")
    # One run after the other, counted up; a repeat of the command changes nothing.
    [second] = await notebook.run("2")
    assert (await notebook.finished(second)).execution_count == 2


async def test_an_error_aborts_what_was_queued_with_it_and_nothing_else(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    await notebook.run("1", "1/0", "3")
    [last] = await notebook.run("'another request'")
    await notebook.finished(last)
    await notebook.run("1/0", "2", stop_on_error=False)
    operations = await notebook.wait_for(
        lambda items: items if sum(isinstance(item, Finished) for item in items) == 6 else None
    )
    ended = [item.status for item in operations if isinstance(item, Finished)]
    assert ended == ["ok", "error", "aborted", "ok", "error", "ok"]
    [error, _] = [item for item in operations if isinstance(item, Error)]
    assert error.ename == "ZeroDivisionError"


async def test_an_interrupt_ends_the_running_cell_and_cancels_the_queue(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    first, second = await notebook.run("while True: pass", "2")
    await started(notebook, first)
    await notebook.kernel_state("busy")
    await notebook.send(InterruptKernel(fence=node.fence, kernel_id=notebook.kernel_id))
    assert (await notebook.finished(first)).status == "interrupted"
    cancelled = await notebook.finished(second)
    assert (cancelled.status, cancelled.started_at) == ("cancelled", None)
    await notebook.kernel_state("idle")


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


async def test_input_and_getpass_ask_the_person_and_get_the_line(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run("name = input('Name? '); print('Hello ' + name)")
    request = await input_request(notebook, run_id)
    assert (request.prompt, request.password) == ("Name? ", False)
    await notebook.send(
        AnswerInput(fence=node.fence, kernel_id=notebook.kernel_id, input_id="another", value="nobody")
    )
    await notebook.send(
        AnswerInput(fence=node.fence, kernel_id=notebook.kernel_id, input_id=request.input_id, value="Zoë")
    )
    assert (await notebook.finished(run_id)).status == "ok"
    assert "Hello Zoë" in await notebook.text(run_id)
    [secret] = await notebook.run("from getpass import getpass; print(len(getpass()))")
    request = await input_request(notebook, secret)
    assert request.password
    await notebook.send(
        AnswerInput(
            fence=node.fence, kernel_id=notebook.kernel_id, input_id=request.input_id, value="hunter2"
        )
    )
    await notebook.finished(secret)
    log = b"".join(entry.payload for entry in await node.wire.read_log(run_log(notebook.document_id)))
    assert b"hunter2" not in log


async def test_an_interrupted_input_is_closed(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run("input()")
    request = await input_request(notebook, run_id)
    await notebook.send(InterruptKernel(fence=node.fence, kernel_id=notebook.kernel_id))
    assert (await notebook.finished(run_id)).status == "interrupted"
    closed = [item for item in await notebook.operations() if isinstance(item, InputClosed)]
    assert [(item.input_id, item.value) for item in closed] == [(request.input_id, None)]


async def test_twenty_thousand_flushed_lines_arrive_whole(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run("for i in range(20000): print('line', i, flush=True)")
    assert (await notebook.finished(run_id)).status == "ok"
    expected = "".join(f"line {number}\n" for number in range(20000))
    operations = await notebook.operations()
    chunks = [item.blob for item in operations if isinstance(item, StreamChunk) and item.blob is not None]
    if chunks:
        whole = b"".join([await node.wire.get_value(f"blob:{blob.sha256}") or b"" for blob in chunks])
        assert whole.decode() == expected
    else:
        assert await notebook.text(run_id) == expected


async def test_a_kernels_publisher_drops_nothing_and_its_history_stays_in_memory(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run(
        "from ipykernel.kernelapp import IPKernelApp\n"
        "print(IPKernelApp.instance().iopub_socket.sndhwm, get_ipython().history_manager.hist_file)"
    )
    assert (await notebook.finished(run_id)).status == "ok"
    assert await notebook.text(run_id) == "0 :memory:\n"


async def test_a_question_is_answered_and_waits_for_the_running_cell(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    await notebook.kernel_state("idle")
    content = json.dumps({"code": "pri", "cursor_pos": 3}).encode()
    answer = await notebook.ask("complete_request", content)
    assert "print" in json.loads(answer.content)["matches"]
    assert (await notebook.ask("shutdown_request", b"{}")).error
    [run_id] = await notebook.run("import time; time.sleep(0.5)")
    await started(notebook, run_id)
    answer = await notebook.ask(
        "inspect", json.dumps({"code": "len", "cursor_pos": 3, "detail_level": 0}).encode()
    )
    assert json.loads(answer.content)["found"]
    assert (await notebook.finished(run_id)).status == "ok"


async def test_comm_messages_go_both_ways(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    heard: list[bytes | None] = []
    await node.wire.subscribe(run_topic(notebook.document_id), heard.append)
    [run_id] = await notebook.run(
        "from ipykernel.comm import Comm\n"
        "def opened(comm, message): comm.send({'echo': message['content']['data']})\n"
        "get_ipython().kernel.comm_manager.register_target('echo', opened)"
    )
    assert (await notebook.finished(run_id)).status == "ok"
    content = {"comm_id": "c1", "target_name": "echo", "data": {"x": 1}}
    await notebook.send(
        SendComm(
            fence=node.fence,
            kernel_id=notebook.kernel_id,
            message_type="comm_open",
            content=json.dumps(content).encode(),
        )
    )

    def frames() -> list[dict[str, object]]:
        parsed = [json.loads(payload) for payload in heard if payload is not None]
        return [frame for frame in parsed if frame["type"] == "comm"]

    async with asyncio.timeout(20):
        while not frames():
            await asyncio.sleep(0.01)
    [frame] = frames()
    assert frame["message_type"] == "comm_msg"
    assert frame["content"] == {"comm_id": "c1", "data": {"echo": {"x": 1}}}


async def test_cleared_outputs_are_in_the_log(node: RunningNode) -> None:
    notebook = node.notebook("fortran")
    await notebook.start()
    await notebook.kernel_state("failed")
    await notebook.send(
        ClearOutputs(fence=node.fence, kernel_id=notebook.kernel_id, cell_ids=[CellId("a"), CellId("b")])
    )
    cleared = await notebook.wait_for(
        lambda items: (
            found if len(found := [item for item in items if isinstance(item, Clear)]) == 2 else None
        )
    )
    assert [item.cell_id for item in cleared] == ["a", "b"]


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


async def test_an_outage_of_the_wire_loses_no_output_and_no_event(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    [run_id] = await notebook.run(
        "import time\nfor i in range(40):\n    print('line', i, flush=True)\n    time.sleep(0.02)"
    )
    await started(notebook, run_id)
    store = memory_store("node")
    for _ in range(3):
        store.set_down(True)
        await asyncio.sleep(0.1)
        store.set_down(False)
        await asyncio.sleep(0.1)
    assert (await notebook.finished(run_id)).status == "ok"
    assert await notebook.text(run_id) == "".join(f"line {number}\n" for number in range(40))


async def test_a_kernel_that_prints_into_an_outage_is_paused_and_loses_nothing(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_log, "PAUSE_BYTES", 200_000)
    monkeypatch.setattr(output_log, "RESUME_BYTES", 20_000)
    notebook = node.notebook()
    await notebook.start()
    [first] = await notebook.run("import os; print(os.getpid())")
    await notebook.finished(first)
    stat_file = Path(f"/proc/{(await notebook.text(first)).strip()}/stat")
    [run_id] = await notebook.run("for i in range(10000): print('line', i, 'x' * 80, flush=True)")
    await started(notebook, run_id)
    memory_store("node").set_down(True)
    async with asyncio.timeout(20):
        while stat_file.read_text().rpartition(")")[2].split()[0] != "T":
            await asyncio.sleep(0.01)
    memory_store("node").set_down(False)
    assert (await notebook.finished(run_id)).status == "ok"
    operations = await notebook.operations()
    chunks = [item.blob for item in operations if isinstance(item, StreamChunk) and item.blob is not None]
    whole = b"".join([await node.wire.get_value(f"blob:{blob.sha256}") or b"" for blob in chunks])
    assert whole.decode() == "".join(f"line {number} {'x' * 80}\n" for number in range(10000))


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
