"""The runs socket: running, watching, what comes back after a disconnection, slow readers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from channels.db import database_sync_to_async

from kernels_app.bus.envelopes import (
    AnswerInput,
    AskKernel,
    ClearOutputs,
    Execute,
    InterruptKernel,
    KernelAnswer,
    RestartKernel,
    SendComm,
    StopKernel,
    encode,
)
from kernels_app.bus.identifiers import CellId, RunId, mailbox_stream, run_topic
from kernels_app.bus.operations import decode_batch
from kernels_app.bus.transport import Publication
from kernels_app.consumers import runs as consumer_module
from kernels_app.models import Kernel, Run
from kernels_app.recorder.rows import apply_operations
from kernels_app.relay import flow
from tests.kernels_app.consumers.runs_page import Page, Scene, node_commands, run_first
from tests.kernels_app.scripted_node import finished, started, stream

pytestmark = pytest.mark.django_db(transaction=True)


async def test_run_is_accepted_and_watched_to_its_end(scene: Scene, alice: Page) -> None:
    await alice.send(type="resume", seq=0)
    snapshot = await alice.receive()
    assert (snapshot["cells"], snapshot["kernel"], snapshot["parts"]) == ({}, None, 0)
    _, execute = await run_first(scene, alice)
    scene.node.finish_all(scene.key, execute, "hello\n")
    accepted = None
    operations: list[dict[str, Any]] = []
    while not any(operation["op"] == "finished" for operation in operations) or accepted is None:
        message = await alice.receive()
        if message["type"] == "accepted":
            accepted = message
        else:
            operations += message["ops"]
    assert accepted["request_id"] == "r"
    assert accepted["run_ids"] == [cell.run_id for cell in execute.cells]
    assert [operation["op"] for operation in operations] == [
        "kernel", "kernel", "queued", "started", "stream", "finished",
    ]  # fmt: skip
    assert [operation["seq"] for operation in operations] == sorted(
        operation["seq"] for operation in operations
    )


async def test_a_repeated_run_is_the_same_run(scene: Scene, alice: Page) -> None:
    message = {"type": "run", "request_id": "r", "cells": [{"cell_id": "c1", "source": "1"}]}
    await alice.send(**message)
    first = await alice.wait_for("accepted")
    await alice.send(**message)
    assert await alice.wait_for("accepted") == first
    assert await Run.objects.acount() == 1


async def test_resume_after_a_disconnection_brings_what_was_missed(scene: Scene, alice: Page) -> None:
    await alice.send(type="resume", seq=0)
    _, execute = await run_first(scene, alice)
    scene.node.take(scene.key, execute)
    seen = await alice.operations_until("queued")
    await alice.close()
    cell = execute.cells[0]
    scene.node.write(scene.key, started(cell.cell_id, cell.run_id), stream(cell.cell_id, cell.run_id, 0, "x"))
    scene.node.write(scene.key, finished(cell.cell_id, cell.run_id, "ok"))
    again = Page(scene.cast.alice, scene.document.pk)
    assert await again.open()
    await again.send(type="resume", seq=seen[-1]["seq"])
    assert await again.receive() == {"type": "resumed", "seq": seen[-1]["seq"]}
    assert [op["op"] for op in await again.operations_until("finished")] == ["started", "stream", "finished"]
    await again.close()


async def test_the_snapshot_is_what_the_recorder_wrote(scene: Scene, alice: Page) -> None:
    _, execute = await run_first(scene, alice)
    scene.node.finish_all(scene.key, execute, "hello\n")
    entries = scene.store.read_log(f"runlog:{scene.key}", "0-0", None)  # type: ignore[arg-type]
    operations = [operation for entry in entries for operation in decode_batch(entry.payload).ops]
    await database_sync_to_async(apply_operations)(scene.document.pk, operations, up_to=operations[-1].seq)
    await alice.send(type="resume", seq=0)
    snapshot = await alice.wait_for("snapshot")
    assert snapshot["seq"] == operations[-1].seq
    assert snapshot["kernel"]["state"] == "idle"
    assert snapshot["cells"]["c1"]["state"] == "ok"
    assert snapshot["cells"]["c1"]["outputs"] == [
        {"output_type": "stream", "name": "stdout", "text": "hello\n"}
    ]


async def test_each_command_reaches_the_node(scene: Scene, alice: Page) -> None:
    await run_first(scene, alice)
    await alice.send(type="input_reply", input_id="i", value="Ada")
    await alice.send(type="clear_outputs", cells=["c1"])
    await alice.send(type="comm", message_type="comm_msg", content={"comm_id": "x", "data": {}})
    await alice.send(type="interrupt")
    await alice.send(type="restart")
    await alice.send(type="shutdown")
    kinds = [type(command) for command in await node_commands(scene, 6)]
    assert kinds == [AnswerInput, ClearOutputs, SendComm, InterruptKernel, RestartKernel, StopKernel]


async def test_what_was_asked_for_just_before_the_page_went_is_done(scene: Scene, alice: Page) -> None:
    await run_first(scene, alice)
    await alice.send(type="restart")
    await alice.send(type="run", request_id="r2", cells=[{"cell_id": "c1", "source": "2"}])
    await alice.close()
    kinds = [type(command) for command in await node_commands(scene, 2)]
    assert kinds == [RestartKernel, Execute]


async def test_start_starts_a_kernel_of_the_kernelspec(scene: Scene, alice: Page) -> None:
    await alice.send(type="start", kernelspec_name="deno")
    [start] = await node_commands(scene, 1)
    assert start.kernelspec_name == "deno"
    await alice.send(type="start", kernelspec_name="cobol")  # there is a kernel: that one is meant
    await alice.send(type="interrupt")
    assert isinstance((await node_commands(scene, 1))[0], InterruptKernel)
    assert await Kernel.objects.acount() == 1


async def test_a_question_is_answered_by_the_kernel(scene: Scene, alice: Page) -> None:
    await run_first(scene, alice)
    await alice.wait_for("accepted")
    await alice.send(type="inspect", id="q1", code="pri", cursor_pos=3, detail_level=1)
    [ask] = await node_commands(scene, 1)
    assert isinstance(ask, AskKernel)
    assert ask.message_type == "inspect_request"
    assert json.loads(ask.content) == {"code": "pri", "cursor_pos": 3, "detail_level": 1}
    answer = KernelAnswer(request_id=ask.request_id, content=b'{"status":"ok","found":true}')
    scene.store.write([Publication(encode(answer), log=mailbox_stream(ask.reply_to))])
    assert await alice.receive() == {"type": "reply", "id": "q1", "content": {"status": "ok", "found": True}}


async def test_a_question_that_nobody_answers_ends(
    scene: Scene, alice: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "ANSWER_TIMEOUT_S", 0.05)
    await alice.send(type="complete", id="q0", code="a", cursor_pos=1)
    assert (await alice.receive())["error"]["code"] == "kernel_not_running"
    await run_first(scene, alice)
    await alice.wait_for("accepted")
    await alice.send(type="complete", id="q1", code="a", cursor_pos=1)
    reply = await alice.receive()
    assert (reply["id"], reply["error"]["code"]) == ("q1", "no_kernel_reply")


async def test_comm_messages_of_the_kernel_reach_the_page(scene: Scene, alice: Page) -> None:
    await alice.send(type="resume", seq=0)
    await alice.wait_for("snapshot")
    frame = b'{"type":"comm","message_type":"comm_msg","content":{"a":1},"metadata":{}}'
    scene.store.write([Publication(frame, topic=run_topic(scene.key))])
    assert (await alice.wait_for("comm"))["content"] == {"a": 1}


async def test_a_reader_that_confirms_nothing_is_ended_and_can_resume(
    scene: Scene, alice: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "WINDOW_BYTES", 2_000)
    monkeypatch.setattr(flow, "PING_EVERY_BYTES", 500)
    monkeypatch.setattr(flow, "PATIENCE_S", 0.2)
    await alice.send(type="resume", seq=0)
    await run_first(scene, alice)
    for _ in range(50):
        scene.node.write(scene.key, stream(CellId("c1"), RunId("r"), 0, "x" * 500))
    assert await alice.closed_with() == 4408


async def test_a_reader_that_confirms_gets_everything_at_its_own_pace(
    scene: Scene, alice: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "WINDOW_BYTES", 2_000)
    monkeypatch.setattr(flow, "PING_EVERY_BYTES", 500)
    await alice.send(type="resume", seq=0)
    _, execute = await run_first(scene, alice)
    run_id = execute.cells[0].run_id
    scene.node.write(scene.key, started(CellId("c1"), run_id))
    for number in range(50):
        scene.node.write(scene.key, stream(CellId("c1"), run_id, 0, f"{number} {'x' * 300}\n"))
    scene.node.write(scene.key, finished(CellId("c1"), run_id, "ok"))
    texts: list[str] = []
    pings = 0
    while True:
        message = await alice.receive()
        if message["type"] == "ping":
            pings += 1
            await alice.send(type="pong", number=message["number"])
        if message["type"] == "ops":
            texts += [operation["text"] for operation in message["ops"] if operation["op"] == "stream"]
            if any(operation["op"] == "finished" for operation in message["ops"]):
                break
    assert [text.split()[0] for text in texts] == [str(number) for number in range(50)]
    assert pings > 10


async def test_a_pong_that_was_not_asked_for_opens_nothing(scene: Scene) -> None:
    limits = flow.Flow()
    limits.confirm(5)
    number = None
    while number is None:
        number = await limits.admit(flow.PING_EVERY_BYTES // 2)
    limits.confirm(number + 1)
    assert limits._confirmed == 0
    limits.confirm(number)
    assert limits._confirmed == limits._sent
