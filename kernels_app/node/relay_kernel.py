"""The raw channels of one kernel: its clients' messages to it, its messages to them."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from kernels_app.bus.channel_messages import (
    JSON_FRAMES,
    ChannelName,
    InvalidChannelMessage,
    header_of,
    pack_message,
    unpack_message,
)
from kernels_app.bus.identifiers import KernelId
from kernels_app.node.relay_log import RelayLog
from kernels_app.node.zeromq.frames import KernelMessage

logger = logging.getLogger(__name__)

# Requests whose reply has not come: whom it is for. Comm messages have no reply, so the oldest go.
MAX_PENDING = 20_000
# What clients say before the kernel has its sockets, and while it restarts.
MAX_HELD_BYTES = 64 * 1024 * 1024
# What the web processes have not been given: above the first the kernel waits, below the second it goes on.
PAUSE_BYTES = 48 * 1024 * 1024
RESUME_BYTES = 8 * 1024 * 1024


class RawSender(Protocol):
    """Signs and sends a message; False while the kernel has no sockets."""

    def __call__(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool: ...


class KernelRelay:
    """`on_news` is called after something was logged, on the event loop; `on_pressure(True)` when the readers of
    the log are too far behind, `on_pressure(False)` when they have caught up."""

    def __init__(
        self,
        kernel_id: KernelId,
        *,
        send: RawSender,
        on_news: Callable[[KernelRelay], None],
        on_pressure: Callable[[bool], None],
    ) -> None:
        self.kernel_id = kernel_id
        self.log = RelayLog()
        # How far each web process with a client has been given the log.
        self.cursors: dict[str, int] = {}
        self.gone_reason: str | None = None
        self._send = send
        self._on_news = on_news
        self._on_pressure = on_pressure
        self._pending: OrderedDict[str, str] = OrderedDict()
        self._held: list[tuple[ChannelName, list[bytes], list[bytes]]] = []
        self._held_bytes = 0
        self._is_open = False
        self._is_high = False

    # The kernel's life

    def open(self) -> None:
        """The kernel has its sockets: what was held goes."""
        self._is_open = True
        held, self._held, self._held_bytes = self._held, [], 0
        for channel, signed, buffers in held:
            self._send(channel, signed, buffers)

    def close(self) -> None:
        """The process is being replaced: what clients say from now on is for the next one."""
        self._is_open = False
        self._pending.clear()

    def end(self, reason: str) -> None:
        """The kernel has ended: its clients learn it after all that it sent."""
        if self.gone_reason is not None:
            return
        self.gone_reason = reason
        self.close()
        self._held.clear()
        self.log.append("", _status_message("dead"))
        self._on_news(self)

    # Messages

    def hear(self, channel: ChannelName, message: KernelMessage) -> None:
        """A message of the kernel."""
        if not self.log.clients:
            self.log.head += 1
            return
        client = ""
        if channel != "iopub":
            if message.msg_type.endswith("_reply"):
                client = self._pending.pop(message.parent_id, "")
            else:
                client = self._pending.get(message.parent_id, "")
            if not client:
                return  # of a run, or of a question that the hub asked
        frames = (message.header, message.parent_frame, message.metadata_frame, message.content_frame)
        self.log.append(client, pack_message(channel, (*frames, *message.buffers)))
        self._on_news(self)
        if not self._is_high and self.log.kept_bytes > PAUSE_BYTES:
            self.check_pressure()

    def say(self, client: str, message: bytes) -> None:
        """A message of a client for the kernel. Raises InvalidChannelMessage."""
        channel, frames = unpack_message(message)
        if channel == "iopub":
            raise InvalidChannelMessage("Clients do not speak on iopub.")
        header = header_of(frames[0])
        if self.gone_reason is not None:
            return
        self._pending[header.msg_id] = client
        if len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)
        signed, buffers = frames[:JSON_FRAMES], frames[JSON_FRAMES:]
        if self._is_open and self._send(channel, signed, buffers):
            return
        self._held_bytes += len(message)
        if self._held_bytes > MAX_HELD_BYTES:
            logger.warning("Kernel %s: its clients say too much before it is there.", self.kernel_id)
            return
        self._held.append((channel, signed, buffers))

    # Readers of the log

    def check_mailbox(self, mailbox: str) -> bool:
        """Whether a client is there; if not, the mailbox gets no more."""
        if any(known.mailbox == mailbox for known in self.log.clients.values()):
            return True
        self.cursors.pop(mailbox, None)
        self.check_pressure()
        return False

    def forget(self) -> None:
        self.log.forget(min(self.cursors.values(), default=None))

    @property
    def connection_count(self) -> int:
        return sum(1 for known in self.log.clients.values() if known.mailbox is not None)

    def check_pressure(self) -> None:
        """Call it when a cursor moved."""
        behind_bytes = self.log.bytes_after(min(self.cursors.values(), default=self.log.head))
        if not self._is_high and behind_bytes > PAUSE_BYTES:
            self._is_high = True
            self._on_pressure(True)
        elif self._is_high and behind_bytes < RESUME_BYTES:
            self._is_high = False
            self._on_pressure(False)


def _status_message(execution_state: str) -> bytes:
    """What the node itself says on a kernel's iopub channel."""
    header = {
        "msg_id": secrets.token_hex(16),
        "msg_type": "status",
        "username": "hub",
        "session": "",
        "date": datetime.now(UTC).isoformat(),
        "version": "5.4",
    }
    content = msgspec.json.encode({"execution_state": execution_state})
    return pack_message("iopub", [msgspec.json.encode(header), b"{}", b"{}", content])


def bound_logs(kernels: Collection[KernelRelay], max_bytes: int) -> None:
    """Keeps the logs together within a bound: all above an equal share give up the same part of the rest."""
    excess = sum(kernel.log.kept_bytes for kernel in kernels) - max_bytes
    if excess <= 0:
        return
    share = max_bytes // len(kernels)
    above = sum(max(0, kernel.log.kept_bytes - share) for kernel in kernels)
    for kernel in kernels:
        surplus = kernel.log.kept_bytes - share
        if surplus > 0:
            kernel.log.shrink(kernel.log.kept_bytes - excess * surplus // above)
    logger.warning(
        "Messages for clients that are away or too slow were %d bytes too many: the oldest went.", excess
    )
