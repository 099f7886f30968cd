"""The runs socket: who may what, and what is no message."""

from __future__ import annotations

import pytest

from kernels_app.consumers import runs as consumer_module
from kernels_app.models import Run
from notebooks_app.models import ProjectMembership
from tests.kernels_app.consumers.runs_page import Page, Scene

pytestmark = pytest.mark.django_db(transaction=True)


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
