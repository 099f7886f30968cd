"""What the ways to a kernel have in common: signing, checking, noticing that the kernel is faster than its reader."""

from __future__ import annotations

import abc
import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Literal, Protocol

from kernels_app.node.connection import Connection
from kernels_app.node.zeromq.frames import (
    DELIMITER,
    InvalidMessage,
    KernelMessage,
    MessageParser,
    build_message,
)
from kernels_app.node.zeromq.signing import Signer

logger = logging.getLogger(__name__)

ChannelName = Literal["shell", "iopub", "stdin", "control"]
CHANNELS: tuple[ChannelName, ...] = ("shell", "iopub", "stdin", "control")

# One wake-up handles a socket for at most about this long before others get their turn.
DRAIN_S = 0.01
# A channel that was never empty for this long: the kernel sends faster than we can read.
BACKLOG_S = 2.0
# A kernel's sockets appear some time after its process: look often at first.
RECONNECT_MS = 10
RECONNECT_MAX_MS = 200
# Each wait is then a twentieth of all before it: that much later at most than it might be.
RECONNECT_GROWTH = 1.05
# Log lines about frames with a wrong signature: the first, and then each thousandth.
INVALID_LOG_EVERY = 1000


class ChannelListener(Protocol):
    """What the channels call, on the event loop. Must not block."""

    def on_kernel_message(self, channel: ChannelName, message: KernelMessage) -> None: ...

    def on_backlog(self, is_behind: bool) -> None:
        """The kernel sends faster than it can be read (True), and later: all is read (False)."""
        ...

    def on_overrun(self, reason: str) -> None:
        """The kernel sent more than one may, and is not heard any more on that socket: it has to end."""
        ...


class Sender(Protocol):
    """How a message reaches the kernel; does nothing while there is none."""

    def __call__(
        self,
        channel: ChannelName,
        msg_type: str,
        content: bytes,
        *,
        msg_id: str,
        parent_header: bytes = b"{}",
        metadata: bytes = b"{}",
        buffers: list[bytes] | None = None,
    ) -> None: ...


class KernelChannels(abc.ABC):
    """Shell, iopub, stdin and control of one launch of a kernel. Signatures are made and checked
    here: what does not carry the kernel's signature is dropped and counted."""

    def __init__(self, key: str, listener: ChannelListener) -> None:
        """`key` signs the kernel's messages."""
        self._signer = Signer(key.encode())
        self._parser = MessageParser(self._signer)
        self._listener = listener
        self._session_id = secrets.token_hex(8)
        self.invalid_count = 0

    def send(
        self,
        channel: ChannelName,
        msg_type: str,
        content: bytes,
        *,
        msg_id: str,
        parent_header: bytes = b"{}",
        metadata: bytes = b"{}",
        buffers: list[bytes] | None = None,
    ) -> None:
        """Queues the message; it leaves when the kernel is there. Does nothing once closed."""
        frames = build_message(
            msg_type,
            content,
            msg_id=msg_id,
            session_id=self._session_id,
            date=datetime.now(UTC).isoformat(),
            signer=self._signer,
            parent_header=parent_header,
            metadata=metadata,
            buffers=buffers or (),
        )
        self._write(channel, frames)

    def send_frames(self, channel: ChannelName, signed: list[bytes], buffers: list[bytes]) -> bool:
        """A message as a client made it: header, parent header, metadata, content. False once closed."""
        return self._write(channel, [DELIMITER, self._signer.sign(signed), *signed, *buffers])

    @abc.abstractmethod
    def close(self) -> None: ...

    @abc.abstractmethod
    def _write(self, channel: ChannelName, parts: list[bytes]) -> bool:
        """Queues one message. False once closed."""

    def _receive(self, name: ChannelName, frames: list[bytes]) -> None:
        try:
            self._listener.on_kernel_message(name, self._parser.parse(frames))
        except InvalidMessage as error:
            self.invalid_count += 1
            if self.invalid_count % INVALID_LOG_EVERY == 1:
                logger.warning("Dropped a message on %s: %s (%d so far)", name, error, self.invalid_count)
        except Exception:
            # A mistake of ours with one message must not leave the next ones unread.
            logger.exception("A message on %s could not be handled.", name)


class SocketChannels(KernelChannels):
    """Over sockets of the kernel itself, which fill when it sends faster than they are read."""

    def __init__(self, connection: Connection, listener: ChannelListener) -> None:
        super().__init__(connection.key, listener)
        self._busy_since: dict[ChannelName, float] = {}
        self._is_behind = False

    def _fall_behind(self, name: ChannelName, *, is_much: bool = False) -> None:
        """There is more than could be handled now."""
        now = time.monotonic()
        since = self._busy_since.setdefault(name, now)
        if (is_much or now - since > BACKLOG_S) and not self._is_behind:
            self._is_behind = True
            self._listener.on_backlog(True)

    def _catch_up(self, name: ChannelName) -> None:
        """All there is was handled."""
        if self._busy_since:
            self._busy_since.pop(name, None)
            if self._is_behind and not self._busy_since:
                self._is_behind = False
                self._listener.on_backlog(False)
