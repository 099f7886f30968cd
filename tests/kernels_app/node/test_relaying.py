"""What web processes say to a node about raw kernel channels, and what the node does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kernels_app.bus.channel_messages import pack_message
from kernels_app.bus.identifiers import KernelId, Mailbox
from kernels_app.bus.relay_envelopes import (
    CommandPart,
    Delivered,
    Forgotten,
    Gone,
    Join,
    Joined,
    Messages,
    RelayCommand,
    Say,
    encode_relay,
    pieces_of,
)
from tests.kernels_app.node.relay_node import (
    DEADLINE_S,
    FENCE,
    KERNEL,
    OTHER,
    Node,
    message_of,
    request,
    running_node,
    texts_of,
)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with running_node() as made:
        yield made


async def test_a_client_hears_what_its_kernel_sends_and_nothing_of_another(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    node.publish(b"1", b"2")
    node.publish(b"not for it", kernel_id=OTHER)
    items = await node.until(lambda found: len(texts_of(found)) == 2)
    assert texts_of(items) == [b"1", b"2"]
    assert items[0] == Joined(KERNEL, "a", 0, 0)


async def test_a_reply_goes_to_who_asked_and_a_status_to_all(node: Node) -> None:
    node.tell(Join(KERNEL, "a"), Join(KERNEL, "b"), Say(KERNEL, "b", request("r1")))
    assert [channel for channel, _ in node.said] == ["shell"]
    node.kernels[KERNEL].hear("iopub", message_of("status", b"busy", "r1"))
    node.kernels[KERNEL].hear("shell", message_of("execute_reply", b"ok", "r1"))
    node.kernels[KERNEL].hear("shell", message_of("execute_reply", b"of nobody", "r2"))
    items = await node.until(lambda found: len(texts_of(found)) == 2)
    clients = [client for item in items if isinstance(item, Messages) for client in item.clients]
    assert clients == ["", "b"]


async def test_a_repeated_command_is_said_to_the_kernel_once(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    command = node.tell(Say(KERNEL, "a", request("r1")))
    node.relay.handle(command)
    assert len(node.said) == 1


async def test_what_a_client_says_wrongly_is_dropped_and_the_next_is_heard(node: Node) -> None:
    iopub = pack_message("iopub", [b'{"msg_id": "x", "msg_type": "stream"}', b"{}", b"{}", b"{}"])
    no_header = pack_message("shell", [b"nonsense", b"{}", b"{}", b"{}"])
    node.tell(
        Join(KERNEL, "a"),
        Say(KERNEL, "a", b"garbage"),
        Say(KERNEL, "a", iopub),
        Say(KERNEL, "a", no_header),
        Say(KERNEL, "a", request("good")),
    )
    assert len(node.said) == 1


async def test_a_command_for_an_earlier_life_of_the_node_does_nothing_but_tell_so(node: Node) -> None:
    stale = RelayCommand(
        fence=FENCE - 1,
        mailbox=Mailbox("web"),
        number=1,
        heard=0,
        read=0,
        items=[Say(KERNEL, "a", request("r"))],
    )
    node.relay.handle(stale)
    items = await node.until(bool)
    assert isinstance(items[0], Gone)
    assert node.said == []


async def test_a_web_process_the_node_does_not_know_is_asked_to_join_again(node: Node) -> None:
    node.tell(Delivered(KERNEL, "a", 3), heard=41)
    assert await node.until(bool) == [Forgotten()]


async def test_joining_a_kernel_that_is_not_there_says_so(node: Node) -> None:
    node.tell(Join(KernelId("nobody"), "a"))
    [gone] = await node.until(bool)
    assert isinstance(gone, Gone)
    assert gone.kernel_id == KernelId("nobody")


async def test_a_kernel_that_is_about_to_start_is_waited_for_and_what_is_said_to_it_with_it(
    node: Node,
) -> None:
    kernel_id = KernelId("third")
    node.starting[kernel_id] = node.make_kernel(kernel_id)
    node.tell(Join(kernel_id, "a"), Say(kernel_id, "a", request("r1")))
    node.tell(Say(kernel_id, "a", request("r2")))
    assert node.said == []
    assert await node.until(bool) == [Joined(kernel_id, "a", 0, 0)]
    assert [b"r1" in parts[0] or b"r2" in parts[0] for _, parts in node.said] == [True, True]


async def test_a_command_that_is_missing_is_asked_for_and_nothing_after_it_is_carried_out(node: Node) -> None:
    first = node.command(Join(KERNEL, "a"))
    second = node.command(Say(KERNEL, "a", request("r1")))
    node.relay.handle(second)
    async with asyncio.timeout(DEADLINE_S):
        while not (mails := await node.mails()):
            await asyncio.sleep(0.001)
    assert (mails[-1].heard, mails[-1].is_missing) == (0, True)
    assert node.said == []
    for command in (first, second, first, second):
        node.relay.handle(command)
    mail = await node.confirmed(2)
    assert not mail.is_missing
    assert len(node.said) == 1


async def test_a_command_that_causes_no_mail_is_confirmed_all_the_same(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    assert (await node.confirmed(1)).items
    node.tell(Delivered(KERNEL, "a", 0))
    assert (await node.confirmed(2)).items == []


async def test_a_large_command_in_parts_is_one_command_and_is_confirmed_when_it_is_whole(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    large = pack_message(
        "shell", [b'{"msg_id": "r", "msg_type": "x_request"}', b"{}", b"{}", b"x" * 3_000_000]
    )
    whole = node.command(Say(KERNEL, "a", large))
    pieces = list(pieces_of(encode_relay(whole)))
    assert len(pieces) == 3
    for index, is_last, piece in pieces:
        node.relay.handle(
            CommandPart(
                fence=FENCE,
                mailbox=Mailbox("web"),
                number=whole.number + index,
                heard=1,
                index=index,
                is_last=is_last,
                piece=piece,
            )
        )
        if not is_last:
            assert node.said == []
    assert [parts[-1] for _, parts in node.said] == [b"x" * 3_000_000]
    assert (await node.confirmed(whole.number + 2)).heard == whole.number + 2
