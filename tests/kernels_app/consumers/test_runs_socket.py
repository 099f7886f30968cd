"""The runs socket: who may what, what is refused, what comes back after a disconnection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator

from kernels_app.bus.envelopes import (
    AnswerInput,
    AskKernel,
    ClearOutputs,
    Execute,
    InterruptKernel,
    KernelAnswer,
    RestartKernel,
    SendComm,
    StartKernel,
    StopKernel,
    encode,
)
from kernels_app.bus.identifiers import CellId, DocumentId, RunId, mailbox_stream, run_topic
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.operations import decode_batch
from kernels_app.bus.transport import Publication
from kernels_app.consumers import runs as consumer_module
from kernels_app.models import Kernel, Run
from kernels_app.recorder.rows import apply_operations
from kernels_app.relay import flow
from kernels_app.relay.mailbox import mailbox_of_this_loop
from notebooks_app.models import Document, ProjectMembership
from notebooks_app.wire import close_hub_transport, hub_transport
from tests.cast import Cast, make_cast, socket_headers_of
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, finished, started, stream
from zasper_hub.accounts.models import User
from zasper_hub.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_S = 15.0


class Scene:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.cast: Cast = make_cast()
        self.document: Document = make_document(self.cast, "1", "2")
        self.key = DocumentId(str(self.document.pk))
        self.node = ScriptedNode(store)


class Page:
    """One browser's socket."""

    def __init__(self, user: User, document_id: object, scopes: tuple[str, ...] = ()) -> None:
        self._user = user
        self._path = f"/ws/runs/{document_id}"
        self._scopes = scopes

    async def open(self) -> bool:
        headers = await database_sync_to_async(socket_headers_of)(self._user, *self._scopes)
        self.socket = WebsocketCommunicator(application, self._path, headers=headers)
        accepted, self.close_code = await self.socket.connect(timeout=DEADLINE_S)
        return bool(accepted)

    async def send(self, **message: Any) -> None:
        await self.socket.send_to(text_data=json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_from(timeout=DEADLINE_S))
        return message

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of this kind; those before it are passed over."""
        while True:
            message = await self.receive()
            if message["type"] == kind:
                return message

    async def operations_until(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while not any(operation["op"] == name for operation in found):
            message = await self.receive()
            if message["type"] == "ops":
                found += message["ops"]
        return found

    async def close(self) -> None:
        await self.socket.disconnect(timeout=DEADLINE_S)

    async def closed_with(self) -> int:
        while True:
            output = await self.socket.receive_output(timeout=DEADLINE_S)
            if output["type"] == "websocket.close":
                code: int = output["code"]
                return code


@pytest.fixture
async def scene(hub_wire: MemoryStore, transactional_db: None) -> AsyncIterator[Scene]:
    yield await database_sync_to_async(Scene)(hub_wire)
    hub_wire.set_down(False)
    await mailbox_of_this_loop(await hub_transport()).close()
    await close_hub_transport()
    tasks = [task for task in asyncio.all_tasks() if "RunsConsumer" in repr(task)]
    assert not tasks, "a task outlived its socket"


@pytest.fixture
async def alice(scene: Scene) -> AsyncIterator[Page]:
    page = Page(scene.cast.alice, scene.document.pk)
    assert await page.open()
    yield page
    await page.close()


async def node_commands(scene: Scene, count: int) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            found += scene.node.commands()
            await asyncio.sleep(0.005)
    return found


async def run_first(scene: Scene, page: Page) -> tuple[StartKernel, Execute]:
    await page.send(type="run", request_id="r", cells=[{"cell_id": "c1", "source": "1"}])
    start, execute = await node_commands(scene, 2)
    scene.node.kernel(start, "idle")
    return start, execute


# Who may enter, and do what


async def test_strangers_and_unknown_documents_are_refused_alike(scene: Scene) -> None:
    for user, document_id in (
        (scene.cast.mallory, scene.document.pk),
        (scene.cast.alice, "00000000-0000-0000-0000-000000000001"),
    ):
        page = Page(user, document_id)
        assert not await page.open()
        assert page.close_code == 4403


async def test_a_viewer_watches_and_may_do_nothing(scene: Scene) -> None:
    carol = Page(scene.cast.carol, scene.document.pk)
    assert await carol.open()
    await carol.send(type="resume", seq=0)
    assert (await carol.receive())["type"] == "snapshot"
    for message in (
        {"type": "run", "request_id": "r", "cells": [{"cell_id": "c1", "source": "1"}]},
        {"type": "start"},
        {"type": "interrupt"},
        {"type": "restart"},
        {"type": "shutdown"},
        {"type": "input_reply", "input_id": "i", "value": "x"},
        {"type": "clear_outputs", "cells": ["c1"]},
        {"type": "comm", "message_type": "comm_msg", "content": {}},
    ):
        await carol.send(**message)
        refused = await carol.receive()
        assert (refused["type"], refused["error"]["code"]) == ("refused", "viewer"), message
        assert refused.get("request_id") == message.get("request_id")
    await carol.send(type="complete", id="q", code="a", cursor_pos=1)
    reply = await carol.receive()
    assert (reply["id"], reply["error"]["code"]) == ("q", "viewer")
    assert scene.node.commands() == []
    assert not await Run.objects.aexists()
    await carol.close()


async def test_a_token_without_the_scope_to_run_may_only_watch(scene: Scene) -> None:
    page = Page(scene.cast.alice, scene.document.pk, ("read",))
    assert await page.open()
    await page.send(type="start")
    assert (await page.receive())["error"]["code"] == "wrong_scope"
    await page.close()


async def test_an_editor_who_was_made_a_viewer_is_refused_at_once(scene: Scene, alice: Page) -> None:
    await ProjectMembership.objects.filter(user=scene.cast.alice).aupdate(role="viewer")
    await alice.send(type="start")
    assert (await alice.receive())["error"]["code"] == "viewer"


# What is no message


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "{",
        "[]",
        "null",
        "{}",
        '{"type": "dance"}',
        '{"type": "run"}',
        '{"type": "run", "request_id": 7, "cells": []}',
        '{"type": "run", "request_id": "r", "cells": [{"cell_id": "c1"}]}',
        '{"type": "resume", "seq": "x"}',
        '{"type": "resume", "seq": -1}',
        '{"type": "resume", "seq": 99999999999999999999999}',
        '{"type": "pong"}',
        '{"type": "comm", "message_type": "kernel_info_request", "content": {}}',
        '{"type": "complete", "id": "a", "code": "b", "cursor_pos": "c"}',
        "[" * 100_000,
    ],
)
async def test_a_malformed_message_is_refused_and_the_socket_stays(
    scene: Scene, alice: Page, text: str
) -> None:
    await alice.socket.send_to(text_data=text)
    refused = await alice.receive()
    assert (refused["type"], refused["error"]["code"]) == ("refused", "malformed")
    await alice.send(type="resume", seq=0)
    assert (await alice.receive())["type"] == "snapshot"


async def test_binary_frames_are_refused(scene: Scene, alice: Page) -> None:
    await alice.socket.send_to(bytes_data=b"\xff\x00")
    assert (await alice.receive())["error"]["code"] == "malformed"


async def test_a_frame_that_is_too_large_ends_the_socket(scene: Scene, alice: Page) -> None:
    await alice.socket.send_to(text_data="x" * ((1 << 20) + 1))
    assert await alice.closed_with() == 4413


async def test_what_the_service_refuses_names_the_request(scene: Scene, alice: Page) -> None:
    cells = [{"cell_id": "c1", "source": "1"}, {"cell_id": "c1", "source": "2"}]
    await alice.send(type="run", request_id="twice", cells=cells)
    refused = await alice.receive()
    assert (refused["request_id"], refused["error"]["code"]) == ("twice", "invalid")
    await alice.send(type="interrupt")
    assert (await alice.receive())["error"]["code"] == "kernel_not_running"


async def test_more_than_a_socket_may_ask_for_is_refused(
    scene: Scene, alice: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "MAX_QUESTIONS", 0)
    await alice.send(type="complete", id="q", code="a", cursor_pos=1)
    assert (await alice.receive())["error"]["code"] == "too_many"


# Running


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


# Slow readers


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
