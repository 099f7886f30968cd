"""The last batches of a document's output log, as they went by on its topic. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

MAX_BYTES = 1 << 20  # a document that somebody watches; who is further behind reads the log
MAX_BATCHES = 512


class _Numbered(msgspec.Struct):
    seq: int


class _Numbers(msgspec.Struct):
    ops: list[_Numbered]


class _Recent(msgspec.Struct, frozen=True):
    last: int
    payload: bytes


_decoder = msgspec.json.Decoder(_Numbers)


class RecentBatches:
    """Knows everything that the log got after some point, or says that it does not know."""

    def __init__(self) -> None:
        self._batches: deque[_Recent] = deque()
        self._size_bytes = 0
        # Everything above this is in `_batches`, if there are any.
        self._floor = 0

    def add(self, payload: bytes) -> bool:
        """Takes in a published batch. False for what is none, or is known already."""
        try:
            numbers = _decoder.decode(payload).ops
        except (msgspec.ValidationError, msgspec.DecodeError):
            return False
        if not numbers:
            return False
        first, last = numbers[0].seq, numbers[-1].seq
        if self._batches:
            newest = self._batches[-1].last
            if last <= newest:
                return False
            if first != newest + 1:  # something in between went by unseen, or another writer began
                self.forget()
        if not self._batches:
            self._floor = first - 1
        self._batches.append(_Recent(last, payload))
        self._size_bytes += len(payload)
        while len(self._batches) > 1 and (self._size_bytes > MAX_BYTES or len(self._batches) > MAX_BATCHES):
            oldest = self._batches.popleft()
            self._size_bytes -= len(oldest.payload)
            self._floor = oldest.last
        return True

    def forget(self) -> None:
        """Something may have gone by unseen."""
        self._batches.clear()
        self._size_bytes = 0

    def after(self, seq: int) -> list[tuple[int, bytes]] | None:
        """`(last seq, payload)` of each batch after `seq`, in order; None when only the log can tell."""
        if not self._batches or seq < self._floor:
            return None
        return [(batch.last, batch.payload) for batch in self._batches if batch.last > seq]
