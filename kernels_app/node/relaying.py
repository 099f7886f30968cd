"""Raw kernel channels of a node: hears what web processes say, and carries it out. The mailer tells them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from kernels_app.bus.channel_messages import InvalidChannelMessage
from kernels_app.bus.identifiers import KernelId, Mailbox, NodeId, relay_topic
from kernels_app.bus.relay_envelopes import (
    CommandPart,
    Delivered,
    Fetch,
    Gone,
    Join,
    Joined,
    Leave,
    Messages,
    RelayCommand,
    RelayItem,
    Say,
    connections_key,
    decode_relay_command,
)
from kernels_app.bus.transport import Transport, TransportError
from kernels_app.node.relay_kernel import KernelRelay, bound_logs
from kernels_app.node.relay_mailer import RETRY_S, RelayMailer
from kernels_app.node.relay_reader import RelayReader

logger = logging.getLogger(__name__)

FETCH_BYTES = 1024 * 1024
CATCH_UP_S = 5.0
# A command is confirmed with the mail that it causes; one that causes none, after this time.
ANSWER_S = 0.1
# A web process says something every five seconds while it has clients here.
SILENT_S = 30.0
SWEEP_S = 1.0
# The logs of all kernels of the node together. Above it the largest lose their oldest messages, however many there are.
MAX_KEPT_BYTES = 512 * 1024 * 1024
_GONE = "This kernel does not run any more."


class NodeRelay:
    """`find` gives the relay of a kernel of this node, None when there is no such kernel.

    `catch_up` returns when the node has handled all commands that were on the wire at its call: a kernel that is not
    known may be about to start. `is_gathered`: see RelayMailer.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        fence: int,
        transport: Transport,
        find: Callable[[KernelId], KernelRelay | None],
        catch_up: Callable[[], Awaitable[None]],
        is_gathered: Callable[[], bool] = lambda: False,
    ) -> None:
        self._node_id = node_id
        self._fence = fence
        self._transport = transport
        self._find = find
        self._catch_up = catch_up
        self._loop = asyncio.get_running_loop()
        self._readers: dict[Mailbox, RelayReader] = {}
        self._mailer = RelayMailer(
            node_id=node_id,
            fence=fence,
            transport=transport,
            readers=self._readers,
            is_gathered=is_gathered,
        )
        # Called by each kernel when something was logged, which is often: not through a method of ours.
        self.on_news: Callable[[KernelRelay], None] = self._mailer.on_news
        # Those that know a client, here or away.
        self._kernels: dict[KernelRelay, None] = {}
        self._counted: dict[KernelId, int] = {}
        self._arrived: list[bytes] = []
        self._answering: asyncio.TimerHandle | None = None
        self._catching_up: set[asyncio.Task[None]] = set()

    # What web processes say

    def _on_topic(self, payload: bytes | None) -> None:
        if payload is None:
            return  # what was missed is said again
        # Not at once: commands of the other stream that came before it are handled first.
        if not self._arrived:
            self._loop.call_soon(self._handle_arrived)
        self._arrived.append(payload)

    def _handle_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        for payload in arrived:
            try:
                self.handle(decode_relay_command(payload))
            except msgspec.MsgspecError as error:
                logger.warning("What a web process said cannot be read: %s", error)
            except Exception:
                # One mistake must not leave the others unheard.
                logger.exception("What a web process said could not be handled.")

    def handle(self, message: RelayCommand | CommandPart) -> None:
        """What a web process says; a repeat is ignored, and what is missing is asked for."""
        reader = self._readers.get(message.mailbox)
        if reader is None:
            reader = self._readers[message.mailbox] = RelayReader(message.mailbox, self._loop.time())
        if message.fence != self._fence:
            # For an earlier life of this node: the mail of this one tells so by its number.
            reader.items.append(Gone(KernelId(""), _GONE))
            self._mailer.tell_soon()
            return
        command = reader.take(message, self._loop.time())
        if command is not None:
            self._carry_out(reader, command)
        if reader.items or reader.dirty or command is None:
            self._mailer.tell_soon()
        elif self._answering is None:
            self._answering = self._loop.call_later(ANSWER_S, self._answer)

    def _answer(self) -> None:
        self._answering = None
        self._mailer.tell_soon()

    def _carry_out(self, reader: RelayReader, command: RelayCommand) -> None:
        if reader.held:
            reader.held.append(command)
            return
        if any(isinstance(item, Join) and self._find(item.kernel_id) is None for item in command.items):
            reader.held.append(command)
            task = asyncio.create_task(self._carry_out_held(reader))
            self._catching_up.add(task)
            task.add_done_callback(self._catching_up.discard)
            return
        self._take_all(reader, command)

    async def _carry_out_held(self, reader: RelayReader) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._catch_up()
        except (TransportError, TimeoutError) as error:
            logger.warning("A client's kernel is not known here, nor whether it is to come: %s", error)
        held, reader.held = reader.held, []
        for command in held:
            self._take_all(reader, command)
        self._mailer.tell_soon()

    def _take_all(self, reader: RelayReader, command: RelayCommand) -> None:
        for item in command.items:
            kernel = self._find(item.kernel_id)
            if kernel is not None:
                self._take(reader, kernel, item)
            elif isinstance(item, Join):
                reader.items.append(Gone(item.kernel_id, _GONE))

    def _take(self, reader: RelayReader, kernel: KernelRelay, item: RelayItem) -> None:
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

    def _join(self, reader: RelayReader, kernel: KernelRelay, item: Join) -> None:
        before = kernel.log.clients.get(item.client)
        seq, lost_count = kernel.log.join(item.client, reader.mailbox, item.seq, item.given)
        if before is not None and before.mailbox not in (None, reader.mailbox):
            self._check(kernel, before.mailbox)
        reader.kernels.add(kernel)
        self._kernels[kernel] = None
        live_seq = kernel.cursors.setdefault(reader.mailbox, kernel.log.head)
        reader.items.append(Joined(kernel.kernel_id, item.client, seq, live_seq, lost_count, item.ticket))
        if kernel.gone_reason is not None:
            reader.items.append(Gone(kernel.kernel_id, kernel.gone_reason))

    def _leave(self, reader: RelayReader, kernel: KernelRelay, item: Leave) -> None:
        kernel.log.leave(item.client, reader.mailbox, item.seq, is_over=item.is_over, now_s=self._loop.time())
        self._check(kernel, reader.mailbox)

    def _check(self, kernel: KernelRelay, mailbox: str | None) -> None:
        reader = self._readers.get(Mailbox(mailbox or ""))
        if reader is not None and not kernel.check_mailbox(reader.mailbox):
            reader.kernels.discard(kernel)
            reader.dirty.pop(kernel, None)

    def _fetch(self, reader: RelayReader, kernel: KernelRelay, item: Fetch) -> None:
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

    async def run(self) -> None:
        """Hears and tells until cancelled."""
        self._mailer.begin(await self._listen())
        try:
            await self._sweep()
        finally:
            self._mailer.end()
            if self._answering is not None:
                self._answering.cancel()

    async def _listen(self) -> int:
        """The number of the connection that hears now."""
        while True:
            try:
                await self._transport.subscribe(relay_topic(self._node_id), self._on_topic)
                return await self._transport.ready()
            except TransportError:
                await asyncio.sleep(RETRY_S)

    # Upkeep

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = self._loop.time()
            for reader in list(self._readers.values()):
                if now_s - reader.heard_s > SILENT_S:
                    self._drop(reader, now_s)
            self.tidy(now_s)
            if self._readers:
                await self._mailer.see_connection()
            await self._count_connections()

    def tidy(self, now_s: float) -> None:
        """Lets go of what nobody needs. Called every second."""
        for kernel in list(self._kernels):
            kernel.forget()
            kernel.log.drop_away(now_s)
            if not kernel.log.clients or self._find(kernel.kernel_id) is not kernel:
                del self._kernels[kernel]
        bound_logs(self._kernels, MAX_KEPT_BYTES)

    def _drop(self, reader: RelayReader, now_s: float) -> None:
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
