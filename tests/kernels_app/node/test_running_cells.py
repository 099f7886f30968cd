"""A whole node with real kernels: what a person does with the cells of a notebook."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kernels_app.bus.envelopes import (
    AnswerInput,
    ClearOutputs,
    InterruptKernel,
    SendComm,
)
from kernels_app.bus.identifiers import CellId, run_log, run_topic
from kernels_app.bus.memory_store import memory_store
from kernels_app.bus.operations import (
    Clear,
    Display,
    Error,
    Finished,
    InputClosed,
    StreamChunk,
)
from kernels_app.node import output_log
from tests.kernels_app.node.running_kernels import input_request, started
from tests.kernels_app.node.running_node import RunningNode

pytestmark = pytest.mark.integration


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
