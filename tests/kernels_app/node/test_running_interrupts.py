"""A whole node with real kernels that are interrupted before anybody would expect it."""

from __future__ import annotations

import asyncio
import json

import pytest

from kernels_app.bus.channel_messages import pack_message
from kernels_app.bus.envelopes import InterruptKernel
from kernels_app.bus.identifiers import Mailbox, mailbox_topic, relay_topic
from kernels_app.bus.relay_envelopes import Join, RelayCommand, RelayItem, Say, encode_relay
from tests.kernels_app.node.running_node import DEADLINE_S, NODE_ID, RunningNode

pytestmark = pytest.mark.integration


async def test_an_interrupt_in_the_first_moments_of_a_cell_ends_it_too(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.start()
    await notebook.kernel_state("idle")
    interrupt = InterruptKernel(fence=node.fence, kernel_id=notebook.kernel_id)
    for _ in range(5):
        [run] = await notebook.run("import time; time.sleep(600)")
        await notebook.send(interrupt)
        assert (await notebook.finished(run)).status == "interrupted"


async def test_what_a_client_says_to_a_starting_kernel_waits_until_the_kernel_is_known_to_be_there(
    node: RunningNode,
) -> None:
    notebook, mailbox = node.notebook(), Mailbox("test-web")
    await notebook.start()
    names = ("msg_id", "msg_type", "session", "username", "date", "version")
    header = dict(zip(names, ("m1", "execute_request", "s", "u", "2026-01-01T00:00:00Z", "5.4"), strict=True))
    frames = [header, {}, {}, {"code": "import time; time.sleep(600)"}]
    message = pack_message("shell", [json.dumps(frame).encode() for frame in frames])
    items: list[RelayItem] = [
        Join(notebook.kernel_id, "client"),
        Say(notebook.kernel_id, "client", message),
    ]
    command = RelayCommand(fence=node.fence, mailbox=mailbox, number=1, heard=0, read=0, items=items)
    heard: list[bytes | None] = []
    await node.wire.subscribe(mailbox_topic(mailbox), heard.append)
    await node.wire.ready()
    node.wire.cast(relay_topic(NODE_ID), encode_relay(command))
    # The cell never ends by itself: a kernel that had got it first could not say that it is there.
    await notebook.kernel_state("busy")
    await notebook.send(InterruptKernel(fence=node.fence, kernel_id=notebook.kernel_id))
    async with asyncio.timeout(DEADLINE_S):
        while not any(payload and b"KeyboardInterrupt" in payload for payload in heard):
            await asyncio.sleep(0.01)
