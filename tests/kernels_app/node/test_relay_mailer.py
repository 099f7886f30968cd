"""What a node tells web processes about raw kernel channels: in order, once, and as much as they take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kernels_app.bus.relay_envelopes import (
    Delivered,
    Fetch,
    Gone,
    Join,
    Joined,
    Leave,
    Messages,
)
from kernels_app.node import relay_mailer, relay_reader, relaying
from kernels_app.node.relay_log import AWAY_S
from tests.kernels_app.node.relay_node import (
    DEADLINE_S,
    KERNEL,
    OTHER,
    Node,
    running_node,
    texts_of,
)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with running_node() as made:
        yield made


async def test_a_large_message_comes_in_parts_and_whole(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    node.publish(b"a" * 5_000_000, b"b")
    items = await node.until(lambda found: len(texts_of(found)) == 2)
    assert texts_of(items) == [b"a" * 5_000_000, b"b"]
    assert max(node.sizes) < 1_100_000


@pytest.mark.parametrize("is_silent", [False, True])
async def test_mail_that_may_be_lost_leaves_a_gap_and_the_log_has_it_all(
    node: Node, is_silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "SWEEP_S", 0.01)
    node.tell(Join(KERNEL, "a"))
    last = (await node.confirmed(1)).number
    node.transport.failures, node.transport.is_silent = 2, is_silent
    node.publish(b"1", b"2")
    async with asyncio.timeout(DEADLINE_S):
        while not (mails := await node.mails()):
            await asyncio.sleep(0.001)
            if node.transport.failures == 1:
                node.publish(b"3")
    assert mails[0].number > last + 1
    node.tell(Join(KERNEL, "a", 0), Fetch(KERNEL, "a", 0), read=mails[-1].number, is_anew=True)
    items = await node.until(lambda found: any(isinstance(item, Messages) and item.client for item in found))
    fetched = next(item for item in items if isinstance(item, Messages) and item.client)
    assert texts_of([fetched])[:2] == [b"1", b"2"]


async def test_a_client_that_comes_back_fetches_what_it_missed(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    node.publish(b"1", b"2", b"3")
    await node.until(lambda found: len(texts_of(found)) == 3)
    node.tell(Leave(KERNEL, "a", 1, is_over=False))
    node.publish(b"4")
    node.tell(Join(KERNEL, "a"), mailbox="web-2")
    [joined] = await node.until(bool, "web-2")
    assert joined == Joined(KERNEL, "a", 1, 4)
    node.tell(Fetch(KERNEL, "a", 1), mailbox="web-2")
    assert texts_of(await node.until(bool, "web-2")) == [b"2", b"3", b"4"]
    assert await node.mail("web") == []


async def test_what_a_web_process_asked_for_is_not_yet_what_its_client_has(node: Node) -> None:
    """What lay in a socket's buffers when the connection broke is sent again."""
    node.tell(Join(KERNEL, "a"))
    node.publish(b"1", b"2", b"3", b"4")
    node.tell(Delivered(KERNEL, "a", 1), Fetch(KERNEL, "a", 3))
    assert b"4" in texts_of(await node.until(lambda found: b"4" in texts_of(found)))
    node.tell(Leave(KERNEL, "a", 2, is_over=False))
    node.tell(Join(KERNEL, "a"), mailbox="web-2")
    [joined] = await node.until(bool, "web-2")
    assert joined == Joined(KERNEL, "a", 2, 4)


async def test_the_messages_of_a_killed_web_process_wait_for_its_clients(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "SWEEP_S", 0.01)
    monkeypatch.setattr(relaying, "SILENT_S", 0.05)
    node.tell(Join(KERNEL, "a"))
    node.publish(b"1")
    async with asyncio.timeout(DEADLINE_S):
        while node.kernels[KERNEL].cursors:
            await asyncio.sleep(0.005)  # nobody says anything any more
    node.publish(b"2")
    node.tell(Join(KERNEL, "a"), mailbox="web-2")
    node.tell(Fetch(KERNEL, "a", 0), mailbox="web-2")
    assert texts_of(await node.until(lambda found: len(found) > 1, "web-2")) == [b"1", b"2"]


async def test_the_end_of_a_kernel_comes_after_all_it_sent(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    node.publish(b"last words")
    node.kernels[KERNEL].end("It was stopped.")
    items = await node.until(lambda found: any(isinstance(item, Gone) for item in found))
    assert texts_of(items)[0] == b"last words"
    assert items[-1] == Gone(KERNEL, "It was stopped.")


async def test_a_web_process_that_does_not_read_gets_no_more_and_then_the_rest(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_reader, "UNREAD_BYTES", 10_000)
    monkeypatch.setattr(relay_mailer, "MAIL_BYTES", 2_000)
    node.tell(Join(KERNEL, "a"))
    node.publish(*(b"%03d" % number + b"x" * 1_000 for number in range(50)))
    await asyncio.sleep(0.05)
    mails = await node.mails()
    unread = texts_of([item for mail in mails for item in mail.items])
    assert 9 <= len(unread) < 20
    assert mails[-1].number == len(mails)
    texts, read = list(unread), len(mails)
    async with asyncio.timeout(DEADLINE_S):
        while len(texts) < 50:
            node.tell(read=read)
            mails = await node.mails()
            read += len(mails)
            texts += texts_of([item for mail in mails for item in mail.items])
            await asyncio.sleep(0.001)
    assert [int(text[:3]) for text in texts] == list(range(50))


async def test_who_is_away_for_too_long_is_forgotten_with_what_was_kept_for_them(node: Node) -> None:
    node.tell(Join(KERNEL, "a"))
    node.tell(Leave(KERNEL, "a", 0, is_over=False))
    node.publish(b"for a")
    now_s = asyncio.get_running_loop().time()
    node.relay.tidy(now_s + AWAY_S - 1)
    assert node.kernels[KERNEL].log.kept_bytes > 0
    node.relay.tidy(now_s + AWAY_S + 1)
    assert (node.kernels[KERNEL].log.kept_bytes, node.kernels[KERNEL].log.clients) == (0, {})


async def test_all_logs_of_a_node_together_are_bounded_and_losers_are_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "MAX_KEPT_BYTES", 50_000)
    for kernel_id, count in ((KERNEL, 90), (OTHER, 10)):
        node.tell(Join(kernel_id, "a"))
        node.tell(Leave(kernel_id, "a", 0, is_over=False))
        node.publish(*(b"x" * 1_000 for _ in range(count)), kernel_id=kernel_id)
    small = node.kernels[OTHER].log.kept_bytes
    node.relay.tidy(asyncio.get_running_loop().time())
    assert node.kernels[OTHER].log.kept_bytes == small
    assert sum(kernel.log.kept_bytes for kernel in node.kernels.values()) <= 52_000
    await node.until(lambda found: len(found) >= 2)  # the first two joined
    node.tell(Join(KERNEL, "a"))
    joined = (await node.until(bool))[0]
    assert isinstance(joined, Joined)
    assert joined.lost_count == 90 - (node.kernels[KERNEL].log.head - joined.seq)
    assert joined.lost_count > 30
