"""What a web process has to say to one node about raw kernel channels: numbered commands, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from kernels_app.bus.envelopes import encode
from kernels_app.bus.identifiers import Mailbox, NodeId, command_stream
from kernels_app.bus.relay_envelopes import RelayCommand, RelayItem, Say
from kernels_app.bus.transport import Publication, Transport, TransportError

log = structlog.get_logger(__name__)

# Waited for the rest of a burst, as on the node: nothing after a lull, this long when much is said.
MAX_WINDOW_S = 0.002
BUSY_RATE = 500.0  # items a second
RETRY_S = 0.1
# While a client is there the node hears of this process at least this often.
ALIVE_S = 5.0
COMMAND_BYTES = 4 * 1024 * 1024
# Above this clients are not read from until the wire takes it.
MAX_WAITING_BYTES = 16 * 1024 * 1024
# The node is told how far its mail was read after so much of it.
REPORT_BYTES = 2 * 1024 * 1024


class NodeLink:
    """`is_needed` says whether somebody is still there that the node must not forget."""

    def __init__(
        self,
        transport: Transport,
        mailbox: Mailbox,
        node_id: NodeId,
        fence: int,
        is_needed: Callable[[], bool],
    ) -> None:
        self.node_id = node_id
        self.fence = fence
        self.read_bytes = 0
        self._transport = transport
        self._mailbox = mailbox
        self._is_needed = is_needed
        self._items: list[RelayItem] = []
        self._waiting_bytes = 0
        self._number = 0
        self._reported_bytes = 0
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._task: asyncio.Task[None] | None = None

    def add(self, item: RelayItem) -> None:
        """Goes with the next command."""
        self._items.append(item)
        if isinstance(item, Say):
            self._waiting_bytes += len(item.message)
            if self._waiting_bytes > MAX_WAITING_BYTES:
                self._has_room.clear()
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"node-link-{self.node_id}")

    @property
    def has_room(self) -> bool:
        return self._has_room.is_set()

    @property
    def is_swamped(self) -> bool:
        """Much more waits than clients should have been allowed to say."""
        return self._waiting_bytes > 4 * MAX_WAITING_BYTES

    async def wait_for_room(self) -> None:
        await self._has_room.wait()

    def count_read(self, size_bytes: int) -> None:
        """So much mail of the node was read."""
        self.read_bytes += size_bytes
        if self.read_bytes - self._reported_bytes > REPORT_BYTES:
            self._wake.set()

    async def close(self) -> None:
        """Says what is left, if the wire takes it soon."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Until nobody is there and all is said."""
        loop = asyncio.get_running_loop()
        written_s, rate = 0.0, 0.0
        alive: asyncio.TimerHandle | None = None
        while self._items or self._is_needed():
            if alive is None or alive.when() <= loop.time():
                alive = loop.call_later(ALIVE_S, self._wake.set)  # a sign of life
            await self._wake.wait()
            window_s = MAX_WINDOW_S * min(1.0, rate / BUSY_RATE)
            now_s = loop.time()
            if now_s - written_s < window_s:
                await asyncio.sleep(window_s - (now_s - written_s))
            self._wake.clear()
            count = await self._write()
            now_s, before_s = loop.time(), written_s
            written_s = now_s
            passed_s = max(now_s - before_s, 1e-4)
            rate += (count / passed_s - rate) * min(1.0, passed_s * 10)

    async def _write(self) -> int:
        items, self._items = self._items, []
        size_bytes = 0
        for index, item in enumerate(items):
            if isinstance(item, Say):
                size_bytes += len(item.message)
                if size_bytes > COMMAND_BYTES:
                    items, self._items = items[: index + 1], items[index + 1 :]
                    self._wake.set()
                    break
        self._number += 1
        self._reported_bytes = self.read_bytes
        command = RelayCommand(
            fence=self.fence,
            mailbox=self._mailbox,
            number=self._number,
            read_bytes=self.read_bytes,
            items=items,
        )
        publication = Publication(encode(command), log=command_stream(self.node_id))
        while True:
            try:
                await self._transport.write([publication])
                break
            except TransportError as error:
                # It may have been written all the same; the node knows it by its number then.
                log.warning("kernel_channels_wait", node_id=self.node_id, error=str(error))
                await asyncio.sleep(RETRY_S)
        self._waiting_bytes -= size_bytes
        if self._waiting_bytes <= MAX_WAITING_BYTES // 2:
            self._has_room.set()
        return len(items)
