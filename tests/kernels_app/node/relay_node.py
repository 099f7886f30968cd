"""The node's side of raw kernel channels, as its host has it, with kernels made here, and what web processes get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from kernels_app.bus.channel_messages import ChannelName, pack_message
from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId, mailbox_topic
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.relay_envelopes import (
    MailItem,
    MailPart,
    Messages,
    PieceJoiner,
    RelayCommand,
    RelayItem,
    RelayMail,
    decode_relay_mail,
)
from kernels_app.bus.transport import TransportError
from kernels_app.node.relay_kernel import KernelRelay
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


@asynccontextmanager
async def running_node() -> AsyncIterator[Node]:
    made = Node()
    await made.listen()
    running = asyncio.create_task(made.relay.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
