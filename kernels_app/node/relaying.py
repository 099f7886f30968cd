"""Raw kernel channels of a node: takes what web processes say, writes what kernels send to their mailboxes.

There is no queue beside the logs of the kernels: each web process has a cursor in the log of each kernel it has a
client of, and one writer moves all cursors on. So batches grow while a write is under way, a web process that does not
read holds nothing but its cursor, and what was not written for sure is written again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from kernels_app.bus.channel_messages import InvalidChannelMessage
from kernels_app.bus.envelopes import encode
from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId, mailbox_stream
from kernels_app.bus.relay_envelopes import (
    Delivered,
    Fetch,
    Forgotten,
    Gone,
    Join,
    Joined,
    Leave,
    MailItem,
    Messages,
    RelayCommand,
    RelayItem,
    RelayMail,
    Say,
    connections_key,
)
from kernels_app.bus.transport import Publication, Transport, TransportError
from kernels_app.node.relay_kernel import KernelRelay

logger = logging.getLogger(__name__)

# One entry of a mailbox: large enough to cost little, small enough to pass between others.
MAIL_BYTES = 1024 * 1024
# Mail that a web process has not read yet. What is larger waits in the log of its kernel.
UNREAD_BYTES = 16 * 1024 * 1024
FETCH_BYTES = 1024 * 1024
# The writer waits this long for the rest of a burst when much goes on, and less when less does.
MAX_WINDOW_S = 0.001
MIN_WINDOW_S = 0.0003
# Messages a second from which on the window is at its widest.
BUSY_RATE = 1500.0
RETRY_S = 0.1
# A web process says something every five seconds while it has clients here.
SILENT_S = 30.0
SWEEP_S = 1.0
# The logs of all kernels of the node together. Above it the largest lose their oldest messages, however many there are.
MAX_KEPT_BYTES = 512 * 1024 * 1024
_GONE = "This kernel does not run any more."


class _Reader:
    """One web process: what it is to be told."""

    def __init__(self, mailbox: Mailbox, now_s: float) -> None:
        self.mailbox = mailbox
        self.number = 0
        self.heard_s = now_s
        self.written_bytes = 0
        self.read_bytes = 0
        self.items: list[MailItem] = []  # answers, before the log
        self.kernels: set[KernelRelay] = set()  # it has clients of
        self.dirty: dict[KernelRelay, None] = {}  # something new in their logs; in order

    @property
    def may_get_more(self) -> bool:
        return self.written_bytes - self.read_bytes < UNREAD_BYTES


class NodeRelay:
    """`find` gives the relay of a kernel of this node, None when there is no such kernel."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        fence: int,
        transport: Transport,
        find: Callable[[KernelId], KernelRelay | None],
    ) -> None:
        self._node_id = node_id
        self._fence = fence
        self._transport = transport
        self._find = find
        self._loop = asyncio.get_running_loop()
        self._readers: dict[Mailbox, _Reader] = {}
        # Those that know a client, here or away.
        self._kernels: dict[KernelRelay, None] = {}
        self._wake = asyncio.Event()
        self._rate = 0.0
        self._counted: dict[KernelId, int] = {}

    def handle(self, command: RelayCommand) -> None:
        """What a web process says; a repeat is ignored."""
        if command.fence != self._fence:
            self._refuse(command)
            return
        reader = self._readers.get(command.mailbox)
        is_new = reader is None
        if reader is None:
            reader = self._readers[command.mailbox] = _Reader(command.mailbox, self._loop.time())
        if command.number <= reader.number:
            return
        if is_new and command.number != 1:
            reader.items.append(Forgotten())
        reader.number = command.number
        reader.heard_s = self._loop.time()
        reader.read_bytes = max(reader.read_bytes, command.read_bytes)
        if is_new:
            # Counts of an earlier acquaintance do not compare with ours.
            reader.written_bytes = reader.read_bytes
        for item in command.items:
            kernel = self._find(item.kernel_id)
            if kernel is None:
                if isinstance(item, Join):
                    reader.items.append(Gone(item.kernel_id, _GONE))
            else:
                self._take(reader, kernel, item)
        if reader.items or reader.dirty:
            self._wake.set()

    def _refuse(self, command: RelayCommand) -> None:
        """For an earlier life of this node: the mail of this one tells so by its number."""
        reader = self._readers.get(command.mailbox)
        if reader is None:
            reader = self._readers[command.mailbox] = _Reader(command.mailbox, self._loop.time())
        reader.items.append(Gone(KernelId(""), _GONE))
        self._wake.set()

    def _take(self, reader: _Reader, kernel: KernelRelay, item: RelayItem) -> None:
        if isinstance(item, Say):
            try:
                kernel.say(item.client, item.message)
            except InvalidChannelMessage as error:
                logger.info("Kernel %s: dropped a client's message: %s", kernel.kernel_id, error)
        elif isinstance(item, Delivered):
            kernel.log.confirm(item.client, item.seq)
        elif isinstance(item, Fetch):
            self._fetch(reader, kernel, item)
        elif isinstance(item, Join):
            self._join(reader, kernel, item)
        else:
            self._leave(reader, kernel, item)

    def _join(self, reader: _Reader, kernel: KernelRelay, item: Join) -> None:
        before = kernel.log.clients.get(item.client)
        seq, lost_count = kernel.log.join(item.client, reader.mailbox, item.seq)
        if before is not None and before.mailbox not in (None, reader.mailbox):
            self._check(kernel, before.mailbox)
        reader.kernels.add(kernel)
        self._kernels[kernel] = None
        live_seq = kernel.cursors.setdefault(reader.mailbox, kernel.log.head)
        reader.items.append(Joined(kernel.kernel_id, item.client, seq, live_seq, lost_count))
        if kernel.gone_reason is not None:
            reader.items.append(Gone(kernel.kernel_id, kernel.gone_reason))

    def _leave(self, reader: _Reader, kernel: KernelRelay, item: Leave) -> None:
        kernel.log.leave(item.client, reader.mailbox, item.seq, is_over=item.is_over, now_s=self._loop.time())
        self._check(kernel, reader.mailbox)

    def _check(self, kernel: KernelRelay, mailbox: str | None) -> None:
        reader = self._readers.get(Mailbox(mailbox or ""))
        if reader is not None and not kernel.check_mailbox(reader.mailbox):
            reader.kernels.discard(kernel)
            reader.dirty.pop(kernel, None)

    def _fetch(self, reader: _Reader, kernel: KernelRelay, item: Fetch) -> None:
        known = kernel.log.clients.get(item.client)
        if known is None or known.mailbox != reader.mailbox:
            return
        lost_count = max(0, kernel.log.first - 1 - item.seq)
        piece = kernel.log.read(item.seq, (item.client,), FETCH_BYTES)
        reader.items.append(
            Messages(
                kernel.kernel_id,
                item.seq,
                piece.last_seq,
                piece.seqs,
                piece.clients,
                piece.messages,
                item.client,
                lost_count,
            )
        )

    # What kernels send

    def on_news(self, kernel: KernelRelay) -> None:
        """Something was logged."""
        for mailbox in kernel.cursors:
            reader = self._readers.get(Mailbox(mailbox))
            if reader is not None:
                reader.dirty[kernel] = None
        self._wake.set()

    async def run(self) -> None:
        """Writes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            written_s = 0.0
            while True:
                await self._wake.wait()
                window_s = MIN_WINDOW_S + (MAX_WINDOW_S - MIN_WINDOW_S) * min(1.0, self._rate / BUSY_RATE)
                now_s = self._loop.time()
                if now_s - written_s < window_s:
                    await asyncio.sleep(window_s - (now_s - written_s))
                self._wake.clear()
                count = await self._write()
                now_s, before_s = self._loop.time(), written_s
                written_s = now_s
                passed_s = max(now_s - before_s, 1e-4)
                share = min(1.0, passed_s * 10)  # the rate of about the last tenth of a second
                self._rate += (count / passed_s - self._rate) * share

    async def _write(self) -> int:
        """One entry for each web process that something is there for; the number of messages."""
        publications: list[Publication] = []
        moved: list[tuple[_Reader, int, list[KernelRelay]]] = []
        count = 0
        for reader in list(self._readers.values()):
            if not (reader.items or (reader.dirty and reader.may_get_more)):
                continue
            items, kernels = self._collect(reader)
            if items:
                count += sum(len(item.messages) for item in items if isinstance(item, Messages))
                payload = encode(RelayMail(node_id=self._node_id, fence=self._fence, items=items))
                publications.append(Publication(payload, log=mailbox_stream(reader.mailbox)))
                moved.append((reader, len(payload), kernels))
        while publications:
            try:
                await self._transport.write(publications)
                break
            except TransportError as error:
                # What may have been written is recognised by its numbers.
                logger.warning("Kernel messages wait for the wire: %s", error)
                await asyncio.sleep(RETRY_S)
        for reader, size_bytes, kernels in moved:
            reader.written_bytes += size_bytes
            for kernel in kernels:
                kernel.check_pressure()
        return count

    def _collect(self, reader: _Reader) -> tuple[list[MailItem], list[KernelRelay]]:
        items, reader.items = reader.items, []
        kernels: list[KernelRelay] = []
        left_bytes = MAIL_BYTES
        while reader.dirty and left_bytes > 0 and reader.may_get_more:
            kernel = next(iter(reader.dirty))
            del reader.dirty[kernel]
            cursor = kernel.cursors.get(reader.mailbox)
            if cursor is None:
                continue
            head = kernel.log.head
            piece = kernel.log.read(cursor, kernel.log.clients_at(reader.mailbox), left_bytes)
            if piece.messages:
                left_bytes -= sum(map(len, piece.messages))
                items.append(Messages(kernel.kernel_id, cursor, *piece))
            kernels.append(kernel)
            kernel.cursors[reader.mailbox] = piece.last_seq
            if piece.last_seq < head:
                reader.dirty[kernel] = None
            elif kernel.gone_reason is not None:
                items.append(Gone(kernel.kernel_id, kernel.gone_reason))
        if reader.dirty and reader.may_get_more:
            self._wake.set()
        return items, kernels

    # Upkeep

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = self._loop.time()
            for reader in list(self._readers.values()):
                if now_s - reader.heard_s > SILENT_S:
                    self._drop(reader, now_s)
            self.tidy(now_s)
            await self._count_connections()

    def tidy(self, now_s: float) -> None:
        """Lets go of what nobody needs. Called every second."""
        for kernel in list(self._kernels):
            kernel.forget()
            kernel.log.drop_away(now_s)
            if not kernel.log.clients or self._find(kernel.kernel_id) is not kernel:
                del self._kernels[kernel]
        self._bound(self._kernels)

    def _bound(self, kernels: Collection[KernelRelay]) -> None:
        """Keeps the logs of the node within their bound: all above an equal share give up the same part of the rest."""
        excess = sum(kernel.log.kept_bytes for kernel in kernels) - MAX_KEPT_BYTES
        if excess <= 0:
            return
        share = MAX_KEPT_BYTES // len(kernels)
        above = sum(max(0, kernel.log.kept_bytes - share) for kernel in kernels)
        for kernel in kernels:
            surplus = kernel.log.kept_bytes - share
            if surplus > 0:
                kernel.log.shrink(kernel.log.kept_bytes - excess * surplus // above)
        logger.warning(
            "Messages for clients that are away or too slow were %d bytes too many: the oldest went.", excess
        )

    def _drop(self, reader: _Reader, now_s: float) -> None:
        """The web process is gone: its clients are expected at another."""
        del self._readers[reader.mailbox]
        for kernel in reader.kernels:
            for client in kernel.log.clients_at(reader.mailbox):
                kernel.log.leave(client, reader.mailbox, -1, is_over=False, now_s=now_s)
            kernel.check_mailbox(reader.mailbox)

    async def _count_connections(self) -> None:
        counts = {kernel.kernel_id: kernel.connection_count for kernel in self._kernels}
        try:
            for kernel_id in {*counts, *self._counted}:
                count = counts.get(kernel_id, 0)
                if count == self._counted.get(kernel_id, 0):
                    continue
                if count:
                    await self._transport.put_field(connections_key(), kernel_id, str(count).encode())
                else:
                    await self._transport.delete_field(connections_key(), kernel_id)
                self._counted[kernel_id] = count
        except TransportError:
            return  # at the next sweep
