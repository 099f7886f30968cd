"""How much of the output logs is kept for those who come back. Pure."""

from __future__ import annotations

from collections import deque
from uuid import UUID

KEPT_BATCHES = 2_000
KEPT_S = 600.0
# Trimming is two round trips: not for each batch.
_STEP = 100


class LogRetention:
    """The entries of each document's log that are in the rows, oldest first, by a clock that the caller gives."""

    def __init__(self) -> None:
        self._entries: dict[UUID, deque[tuple[int, float]]] = {}

    def knows(self, document_id: UUID) -> bool:
        return document_id in self._entries

    def add(self, document_id: UUID, seqs: list[int], now: float) -> None:
        """These entries are in the rows now; `now` is when that was (or they were written)."""
        entries = self._entries.setdefault(document_id, deque())
        entries.extend((seq, now) for seq in seqs if not entries or seq > entries[-1][0])

    def forget(self, document_id: UUID) -> None:
        self._entries.pop(document_id, None)

    def trimmable(self, document_id: UUID, now: float) -> int | None:
        """Up to which seq the log may be trimmed, when that is worth it."""
        entries = self._entries.get(document_id)
        if not entries:
            return None
        count = max(len(entries) - KEPT_BATCHES, 0)
        while count < len(entries) and entries[count][1] <= now - KEPT_S:
            count += 1
        if count == 0 or (count < _STEP and count < len(entries)):
            return None
        return entries[count - 1][0]

    def trimmed(self, document_id: UUID, seq: int) -> None:
        """The log has been trimmed up to `seq`."""
        entries = self._entries.get(document_id, deque())
        while entries and entries[0][0] <= seq:
            entries.popleft()

    def documents(self) -> list[UUID]:
        return list(self._entries)
