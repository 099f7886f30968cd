"""When a changed notebook is written to its file. Pure."""

from __future__ import annotations

from uuid import UUID

import msgspec

QUIET_S = 2.0  # after the last change
LATEST_S = 10.0  # after the first
FIRST_RETRY_S = 15.0
LAST_RETRY_S = 300.0


class _Pending(msgspec.Struct):
    first: float
    last: float
    retry_at: float = 0.0
    failures: int = 0

    @property
    def due(self) -> float:
        return max(min(self.last + QUIET_S, self.first + LATEST_S), self.retry_at)


class ExportSchedule:
    """Documents that wait for their export, by a clock in seconds that the caller gives."""

    def __init__(self) -> None:
        self._pending: dict[UUID, _Pending] = {}

    def note_change(self, document_id: UUID, now: float) -> None:
        pending = self._pending.get(document_id)
        if pending is None:
            self._pending[document_id] = _Pending(now, now)
        else:
            pending.last = now

    def take_due(self, now: float) -> list[tuple[UUID, int]]:
        """`(document, failures so far)` of those that are due, the longest waiting first; they are taken out."""
        due = sorted(
            (pending.due, str(key), key) for key, pending in self._pending.items() if pending.due <= now
        )
        return [(key, self._pending.pop(key).failures) for _, _, key in due]

    def note_failure(self, document_id: UUID, failures: int, now: float) -> None:
        """The export failed for the `failures`-th time in a row: try again, later each time."""
        pending = self._pending.setdefault(document_id, _Pending(now, now))
        pending.failures = failures
        pending.retry_at = now + min(FIRST_RETRY_S * 2 ** (failures - 1), LAST_RETRY_S)

    def next_due(self) -> float | None:
        return min((pending.due for pending in self._pending.values()), default=None)

    def __len__(self) -> int:
        return len(self._pending)
