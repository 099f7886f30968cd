"""Mail of a node's raw kernel channels: what kernels sent, and what is answered, to each web process.

There is no queue beside the logs of the kernels: each web process has a cursor in the log of each kernel it has a
client of, and one writer moves all cursors on. A web process that does not read holds nothing but its cursor. Mail is
cast, which costs each program one wake-up and may lose it: the web process sees that by the numbers, and its clients
go on from the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

from kernels_app.bus.identifiers import Mailbox, NodeId, mailbox_topic
from kernels_app.bus.relay_envelopes import Gone, MailItem, Messages
from kernels_app.bus.socket_poll import GATHER_S
from kernels_app.bus.transport import Transport, TransportError
from kernels_app.node.relay_kernel import KernelRelay
from kernels_app.node.relay_reader import RelayReader

logger = logging.getLogger(__name__)

# One mail: large enough to cost little, small enough to pass between others.
MAIL_BYTES = 512 * 1024
RETRY_S = 0.1


class RelayMailer:
    """Tells the web processes of `readers`, who come and go, what there is for them; from `begin` until `end`.

    `is_gathered`: whether what is logged just now was waited for already.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        fence: int,
        transport: Transport,
        readers: Mapping[Mailbox, RelayReader],
        is_gathered: Callable[[], bool],
    ) -> None:
        self._is_gathered = is_gathered
        self._node_id = node_id
        self._fence = fence
        self._transport = transport
        self._readers = readers
        self._loop = asyncio.get_running_loop()
        self._may_tell = False
        self._telling: asyncio.Handle | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._connection_number = 0

    def begin(self, connection_number: int) -> None:
        """`connection_number`: of the transport, see `Transport.ready`."""
        self._connection_number = connection_number
        self._may_tell = True
        self.tell_soon()

    def end(self) -> None:
        self._may_tell = False
        for work in (self._telling, self._recovering):
            if work is not None:
                work.cancel()

    def on_news(self, kernel: KernelRelay) -> None:
        """Something was logged."""
        for mailbox in kernel.cursors:
            reader = self._readers.get(Mailbox(mailbox))
            if reader is not None:
                reader.dirty[kernel] = None
        self.tell_soon()

    def tell_soon(self) -> None:
        """Casts what there is, in this turn of the loop or a moment later."""
        if self._telling is None and self._may_tell:
            # With a container's line, and after a lull, what comes right behind a first message is waited for.
            self._telling = (
                self._loop.call_soon(self._tell)
                if self._is_gathered()
                else self._loop.call_later(GATHER_S, self._tell_in_turn)
            )

    def _tell_in_turn(self) -> None:
        # After what other timers of this moment do: sockets are read again by one of them.
        self._telling = self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = None
        if not self._may_tell:
            return
        try:
            self._cast_mail()
        except TransportError as error:
            logger.warning("Kernel messages wait for the wire: %s", error)
            self._may_tell = False
            self._recovering = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        await asyncio.sleep(RETRY_S)
        await self.see_connection()
        self._may_tell = True
        self.tell_soon()

    async def see_connection(self) -> None:
        """After a new connection nobody knows what of the last mail arrived."""
        try:
            number = await self._transport.ready()
        except TransportError:
            return  # at the next try
        if number != self._connection_number:
            self._connection_number = number
            for reader in self._readers.values():
                reader.skip()
            self.tell_soon()

    def _cast_mail(self) -> None:
        """One mail for each web process that something is there for. Raises TransportError."""
        for reader in list(self._readers.values()):
            if not reader.has_mail:
                continue
            kernels: list[KernelRelay] = []
            payload = reader.mail(self._node_id, self._fence, partial(self._collect, reader, kernels))
            if reader.has_mail and self._telling is None:
                self._telling = self._loop.call_soon(self._tell)  # more than fits in one
            try:
                self._transport.cast(mailbox_topic(reader.mailbox), payload)
            except TransportError:
                reader.skip()  # it is lost: clients go on from the log
                raise
            finally:
                for kernel in kernels:
                    kernel.check_pressure()

    def _collect(self, reader: RelayReader, kernels: list[KernelRelay]) -> list[MailItem]:
        items, reader.items = reader.items, []
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
        return items
