"""What a web process has to say to one node about raw kernel channels: numbered commands, one after the other.

A command is cast on the node's topic, which may lose it, and kept until the node has confirmed it: what is not
confirmed in time, or reported missing, is said again. So a command costs no reply of the message server, and no entry
in a log of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from kernels_app.bus.identifiers import Mailbox, NodeId, relay_topic
from kernels_app.bus.relay_envelopes import (
    PART_BYTES,
    CommandPart,
    PieceJoiner,
    RelayCommand,
    RelayItem,
    Say,
    encode_relay,
    pieces_of,
)
from kernels_app.bus.transport import Transport, TransportError

log = structlog.get_logger(__name__)

# Waited for the rest of a burst, as on the node: nothing after a lull, this long when much is said.
MAX_WINDOW_S = 0.002
BUSY_RATE = 500.0  # items a second
RETRY_S = 0.1
# While a client is there the node hears of this process at least this often.
ALIVE_S = 5.0
COMMAND_BYTES = 4 * 1024 * 1024
# Said and not confirmed: what is more waits here. A message server closes connections that it owes much more.
UNHEARD_BYTES = 6 * 1024 * 1024
# Nothing confirmed for so long: the first command is said again. The node confirms within a tenth of a second.
RESEND_S = 1.0
MAX_REPEAT_BYTES = 1024 * 1024  # at once, but for a single larger command
REPEAT_GAP_S = 0.05  # the node may miss the same command several times before it comes again
CHECK_S = 1.0
# After the last client went: said again for so long, then not any more, and forgotten when the node has forgotten us.
FAREWELL_S = 10.0
FORGET_S = 60.0
# Above this clients are not read from until the node has taken it.
MAX_WAITING_BYTES = 16 * 1024 * 1024
# The node is told how far its mail was read after so much of it.
REPORT_BYTES = 2 * 1024 * 1024


class _Unheard(msgspec.Struct):
    """A command that is not confirmed yet. `number`: of its last part."""

    number: int
    payloads: list[bytes]
    size_bytes: int
    said_bytes: int  # of clients' messages
    cast_s: float


class NodeLink:
    """`listen` returns when answers will be heard; `is_needed` says whether somebody is still there that the node must
    not forget."""

    def __init__(
        self,
        transport: Transport,
        mailbox: Mailbox,
        node_id: NodeId,
        fence: int,
        *,
        listen: Callable[[], Awaitable[None]],
        is_needed: Callable[[], bool],
    ) -> None:
        self.node_id = node_id
        self.fence = fence
        self.joiner = PieceJoiner()  # of mail that comes in parts
        self._transport = transport
        self._topic = relay_topic(node_id)
        self._mailbox = mailbox
        self._listen = listen
        self._is_needed = is_needed
        self._loop = asyncio.get_running_loop()
        self._items: list[RelayItem] = []
        self._waiting_bytes = 0  # of clients' messages: to be said, or not confirmed
        self._number = self._heard = 0
        self._unheard: deque[_Unheard] = deque()
        self._unheard_bytes = 0
        self._heard_s = 0.0
        self._is_repeating = False
        self._is_anew = False
        self._mail_number = 0
        self._unreported_bytes = 0
        self._is_due = False  # a command without items, too
        self._cast_s, self._rate = 0.0, 0.0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._held: list[Callable[[], None]] = []
        self._flushing: asyncio.Handle | None = None
        self._checking: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None

    def add(self, item: RelayItem) -> None:
        """Goes with the next command."""
        self._items.append(item)
        if isinstance(item, Say):
            self._waiting_bytes += len(item.message)
            if self._waiting_bytes > MAX_WAITING_BYTES:
                self._has_room.clear()
        if self._flushing is None:
            self._flush_soon()

    @property
    def has_room(self) -> bool:
        return self._has_room.is_set()

    @property
    def is_swamped(self) -> bool:
        """Much more waits than clients should have been allowed to say."""
        return self._waiting_bytes > 4 * MAX_WAITING_BYTES

    async def wait_for_room(self) -> None:
        await self._has_room.wait()

    def call_with_room(self, go_on: Callable[[], None]) -> None:
        """The same for whoever cannot wait: `go_on` is called once, when there is room again."""
        self._held.append(go_on)

    def _make_room(self) -> None:
        self._has_room.set()
        held, self._held = self._held, []
        for go_on in held:
            go_on()

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        for handle in (self._flushing, self._checking):
            if handle is not None:
                handle.cancel()

    # What the node's mail tells

    def read(self, number: int, size_bytes: int) -> bool:
        """Mail of this number was read; False when some before it is missing."""
        is_next = number == self._mail_number + 1
        self._mail_number = number
        self._unreported_bytes += size_bytes
        if self._unreported_bytes > REPORT_BYTES:
            self._is_due = True
            self._flush_soon()
        return is_next

    def begin_anew(self) -> None:
        """Mail was lost: with the next command, which says where each client is, the node goes on from there."""
        self._is_anew = self._is_due = True
        self._flush_soon()

    def hear(self, heard: int, *, is_missing: bool) -> None:
        """The node has every command up to this one; `is_missing`: and one that is later."""
        if heard > self._heard:
            self._heard = heard
            self._heard_s = self._loop.time()
            while self._unheard and self._unheard[0].number <= heard:
                done = self._unheard.popleft()
                self._unheard_bytes -= done.size_bytes
                self._waiting_bytes -= done.said_bytes
            if self._waiting_bytes <= MAX_WAITING_BYTES // 2 and not self._has_room.is_set():
                self._make_room()
            if self._items or self._is_repeating:
                self._flush_soon()
        if is_missing:
            self.repeat()

    def repeat(self) -> None:
        """Casts may have been lost: all that is not confirmed is said again."""
        if self._unheard and self._loop.time() - self._unheard[0].cast_s > REPEAT_GAP_S:
            self._is_repeating = True
            self._flush_soon()

    # Casting

    def _flush_soon(self) -> None:
        if self._flushing is not None:
            return
        if self._checking is None:
            self._checking = self._loop.call_later(CHECK_S, self._check)
            self._connect()
        if self._connecting is not None:
            return
        wait_s = MAX_WINDOW_S * min(1.0, self._rate / BUSY_RATE) - (self._loop.time() - self._cast_s)
        self._flushing = (
            self._loop.call_later(wait_s, self._flush) if wait_s > 0 else self._loop.call_soon(self._flush)
        )

    def _flush(self) -> None:
        self._flushing = None
        if self._connecting is not None:
            return
        try:
            if self._is_repeating:
                self._cast_again()
            if not self._is_repeating:
                count = len(self._items)
                while (self._items and self._unheard_bytes < UNHEARD_BYTES) or self._is_due:
                    self._cast_next()
                now_s = self._loop.time()
                passed_s = max(now_s - self._cast_s, 1e-4)
                self._rate += (count / passed_s - self._rate) * min(1.0, passed_s * 10)
                self._cast_s = now_s
        except TransportError as error:
            log.warning("kernel_channels_wait", node_id=self.node_id, error=str(error))
            self._is_repeating = True
            self._connect()

    def _cast_next(self) -> None:
        items, said_bytes = self._items, 0
        for index, item in enumerate(items):
            if isinstance(item, Say):
                said_bytes += len(item.message)
                if said_bytes > COMMAND_BYTES:
                    items = items[: index + 1]
                    break
        self._items = self._items[len(items) :]
        is_anew, self._is_anew, self._is_due = self._is_anew, False, False
        self._unreported_bytes = 0
        payload = encode_relay(
            RelayCommand(
                fence=self.fence,
                mailbox=self._mailbox,
                number=self._number + 1,
                heard=self._heard,
                read=self._mail_number,
                items=items,
                is_anew=is_anew,
            )
        )
        if len(payload) <= PART_BYTES:
            self._number += 1
            payloads = [payload]
        else:
            payloads = [
                encode_relay(self._part(index, is_last, piece))
                for index, is_last, piece in pieces_of(payload)
            ]
        self._unheard.append(_Unheard(self._number, payloads, len(payload), said_bytes, self._loop.time()))
        self._unheard_bytes += len(payload)
        for cast in payloads:
            self._transport.cast(self._topic, cast)

    def _part(self, index: int, is_last: bool, piece: bytes) -> CommandPart:
        self._number += 1
        return CommandPart(
            fence=self.fence,
            mailbox=self._mailbox,
            number=self._number,
            heard=self._heard,
            index=index,
            is_last=is_last,
            piece=piece,
        )

    def _cast_again(self) -> None:
        """What is not confirmed, or the beginning of it: the rest when that is."""
        now_s, size_bytes = self._loop.time(), 0
        for command in self._unheard:
            size_bytes += command.size_bytes
            if size_bytes > MAX_REPEAT_BYTES and size_bytes > command.size_bytes:
                return
            command.cast_s = now_s
            for payload in command.payloads:
                self._transport.cast(self._topic, payload)
        self._is_repeating = False

    def _connect(self) -> None:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._wait_for_wire(), name=f"node-link-{self.node_id}")

    async def _wait_for_wire(self) -> None:
        while True:
            try:
                await self._listen()
                await self._transport.ready()
                break
            except TransportError:
                await asyncio.sleep(RETRY_S)
        self._connecting = None
        self._flush_soon()

    def _check(self) -> None:
        """Every second while somebody is there or something is not confirmed."""
        self._checking = None
        now_s = self._loop.time()
        is_needed = bool(self._items) or self._is_needed()
        if not is_needed and not self._unheard:
            return
        if not is_needed and now_s - self._cast_s > FORGET_S:
            # The node has forgotten this process by now: numbers go on where both agreed.
            self._forget()
            return
        self._checking = self._loop.call_later(CHECK_S, self._check)
        if self._unheard:
            is_expected = is_needed or now_s - max(self._heard_s, self._cast_s) < FAREWELL_S
            if is_expected and now_s - max(self._heard_s, self._unheard[0].cast_s) > RESEND_S:
                self._ask_for_a_word(now_s)
        elif now_s - self._cast_s > ALIVE_S:
            self._is_due = True
            self._flush_soon()

    def _ask_for_a_word(self, now_s: float) -> None:
        """The first command again, and no more: a node that has much to do is not to get all of it twice. What it
        misses it asks for."""
        self._unheard[0].cast_s = now_s
        try:
            for payload in self._unheard[0].payloads:
                self._transport.cast(self._topic, payload)
        except TransportError:
            self._is_repeating = True
            self._connect()

    def _forget(self) -> None:
        self._number = self._heard
        self._unheard.clear()
        self._unheard_bytes = self._waiting_bytes = 0
        self._is_repeating = False
        self._make_room()
