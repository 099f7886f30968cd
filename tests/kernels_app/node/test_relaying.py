"""The node's side of raw kernel channels, between web processes and kernels that are made here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import pytest

from kernels_app.bus.channel_messages import ChannelName, pack_message
from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId, mailbox_topic
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.relay_envelopes import (
    CommandPart,
    Delivered,
    Fetch,
    Forgotten,
    Gone,
    Join,
    Joined,
    Leave,
    MailItem,
    MailPart,
    Messages,
    PieceJoiner,
    RelayCommand,
    RelayItem,
    RelayMail,
    Say,
    decode_relay_mail,
    encode_relay,
    pieces_of,
)
from kernels_app.bus.transport import TransportError
from kernels_app.node import relay_reader, relaying
from kernels_app.node.relay_kernel import KernelRelay
from kernels_app.node.relay_log import AWAY_S
from kernels_app.node.relaying import NodeRelay
from kernels_app.node.zeromq.frames import KernelMessage

FENCE = 7
KERNEL, OTHER = KernelId("kernel"), KernelId("other")
DEADLINE_S = 5


class FlakyTransport(MemoryTransport):
    """Fails so many casts: `is_silent` says whether they are lost without a word, and another connection follows."""

    failures = 0
    is_silent = False
    _connections = 1

    def cast(self, topic: str, payload: bytes) -> None:
        if not self.failures:
            super().cast(topic, payload)
            return
        self.failures -= 1
        self._connections += 1
        if not self.is_silent:
            raise TransportError("away")

    async def ready(self) -> int:
        return self._connections


class Node:
    """A NodeRelay with two kernels, as its host has it, and what web processes get of it."""

    def __init__(self) -> None:
        self.transport = FlakyTransport(MemoryStore())
        self.said: list[tuple[ChannelName, list[bytes]]] = []
        self.pressure: list[bool] = []
        self.kernels: dict[KernelId, KernelRelay] = {}
        self.starting: dict[KernelId, KernelRelay] = {}
        self.relay = NodeRelay(
            node_id=NodeId("node"),
            fence=FENCE,
            transport=self.transport,
            find=self.kernels.get,
            catch_up=self._catch_up,
        )
        for kernel_id in (KERNEL, OTHER):
            self.kernels[kernel_id] = self.make_kernel(kernel_id)
        self._numbers: dict[str, int] = {}
        self._mail: dict[str, list[RelayMail]] = {}
        self.sizes: list[int] = []

    def make_kernel(self, kernel_id: KernelId) -> KernelRelay:
        kernel = KernelRelay(
            kernel_id, send=self._send, on_news=self.relay.on_news, on_pressure=self.pressure.append
        )
        kernel.open()
        return kernel

    async def listen(self) -> None:
        for mailbox in ("web", "web-2"):
            await self.transport.subscribe(mailbox_topic(Mailbox(mailbox)), self._listener(mailbox))

    def _listener(self, mailbox: str) -> Callable[[bytes | None], None]:
        joiner, kept = PieceJoiner(), self._mail.setdefault(mailbox, [])

        def hear(payload: bytes | None) -> None:
            assert payload is not None
            self.sizes.append(len(payload))
            mail = decode_relay_mail(payload)
            if isinstance(mail, MailPart):
                whole = joiner.add(mail.index, mail.piece, is_last=mail.is_last)
                if whole is None:
                    return
                number = mail.number
                mail = decode_relay_mail(whole)
                assert isinstance(mail, RelayMail)
                mail = msgspec.structs.replace(mail, number=number)
            assert (mail.node_id, mail.fence) == (NodeId("node"), FENCE)
            kept.append(mail)

        return hear

    async def _catch_up(self) -> None:
        await asyncio.sleep(0)
        self.kernels.update(self.starting)

    def _send(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        self.said.append((channel, [*signed, *buffers]))
        return True

    def command(
        self, *items: RelayItem, mailbox: str = "web", read: int = 0, heard: int = 0, is_anew: bool = False
    ) -> RelayCommand:
        number = self._numbers[mailbox] = self._numbers.get(mailbox, heard) + 1
        return RelayCommand(
            fence=FENCE,
            mailbox=Mailbox(mailbox),
            number=number,
            heard=heard,
            read=read,
            items=list(items),
            is_anew=is_anew,
        )

    def tell(
        self, *items: RelayItem, mailbox: str = "web", read: int = 0, heard: int = 0, is_anew: bool = False
    ) -> RelayCommand:
        command = self.command(*items, mailbox=mailbox, read=read, heard=heard, is_anew=is_anew)
        self.relay.handle(command)
        return command

    async def mails(self, mailbox: str = "web") -> list[RelayMail]:
        """What came since the last look."""
        await asyncio.sleep(0)
        found = list(self._mail[mailbox])
        self._mail[mailbox].clear()
        return found

    async def mail(self, mailbox: str = "web") -> list[MailItem]:
        return [item for mail in await self.mails(mailbox) for item in mail.items]

    async def confirmed(self, number: int, mailbox: str = "web") -> RelayMail:
        """The mail that confirms this command."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for mail in await self.mails(mailbox):
                    if mail.heard >= number:
                        return mail
                await asyncio.sleep(0.001)

    async def until(self, is_there: Callable[[list[MailItem]], bool], mailbox: str = "web") -> list[MailItem]:
        """All mail up to the moment when `is_there`."""
        found: list[MailItem] = []
        async with asyncio.timeout(DEADLINE_S):
            while not is_there(found):
                await asyncio.sleep(0.001)
                found += await self.mail(mailbox)
        return found

    def publish(self, *texts: bytes, kernel_id: KernelId = KERNEL) -> None:
        for text in texts:
            self.kernels[kernel_id].hear("iopub", message_of("stream", text))


def message_of(msg_type: str, content: bytes, parent_id: str = "") -> KernelMessage:
    header = b'{"msg_id": "k", "msg_type": "%b"}' % msg_type.encode()
    return KernelMessage(msg_type, "k", parent_id, header, b"{}", content)


def request(msg_id: str) -> bytes:
    header = b'{"msg_id": "%b", "msg_type": "execute_request"}' % msg_id.encode()
    return pack_message("shell", [header, b"{}", b"{}", b"{}"])


def texts_of(items: Sequence[MailItem]) -> list[bytes]:
    """The contents of the kernel's messages, in the order they came."""
    return [
        message.rpartition(b"{}")[2]
        for item in items
        if isinstance(item, Messages)
        for message in item.messages
    ]


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    await made.listen()
    running = asyncio.create_task(made.relay.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


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
    monkeypatch.setattr(relaying, "MAIL_BYTES", 2_000)
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
