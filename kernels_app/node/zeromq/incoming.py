"""How much kernels may have sent of messages that are not whole yet: each one, and all of a node together.

A message is checked, and handed on, only when it is whole; what never ends would fill the node's memory.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

from kernels_app.node.zeromq.attendant.protocol import MAX_FRAME_BYTES, MAX_PARTS

# Of one message, with all its frames: 100 MB of bytes pass as buffers and as base64 in JSON.
MAX_MESSAGE_BYTES = MAX_FRAME_BYTES
MAX_FRAMES = MAX_PARTS
# Of all messages that a node receives at a moment: two of the largest.
MAX_INCOMING_BYTES = 2 * MAX_MESSAGE_BYTES
# Less is not counted: a node has some thousand sockets, and each holds a little.
COUNTED_BYTES = 1024 * 1024

TOO_LARGE = (
    f"Killed: it sent a message of more than {MAX_MESSAGE_BYTES >> 20} MiB, or of more than {MAX_FRAMES:,} parts. "
    "Show less at once, or write it to a file."
)
TOO_MUCH_AT_ONCE = (
    "Killed: it sent the largest of many large messages that the node received at once. "
    "Show less at once, or write it to a file."
)


class Holder(Protocol):
    """What receives from one kernel."""

    def overran(self, reason: str) -> None:
        """Lets go of all it holds; its kernel is to be ended with this reason. May be called at any time."""
        ...


class Incoming:
    """All that is received and not whole. Over the limit whoever has most lets go, so that one kernel with a large
    message does not cost others theirs."""

    def __init__(self, max_bytes: int = MAX_INCOMING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held: WeakKeyDictionary[Holder, int] = WeakKeyDictionary()

    def hold(self, holder: Holder, size: int) -> None:
        """Called after each piece with what the holder has of its message by then."""
        if size < COUNTED_BYTES:
            self._held.pop(holder, None)
            return
        self._held[holder] = size
        if sum(self._held.values()) > self._max_bytes:
            largest = max(self._held, key=self._held.__getitem__)
            del self._held[largest]
            largest.overran(TOO_MUCH_AT_ONCE)

    def forget(self, holder: Holder) -> None:
        self._held.pop(holder, None)


# Of this process: a node is one.
INCOMING = Incoming()
