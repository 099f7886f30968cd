"""The output of a terminal as its readers get it: what is kept, how far each of them is. Pure.

Offsets count bytes since the terminal's start.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kernels_app.bus.terminals import SILENT_READER_S, WINDOW_BYTES, ReaderId

# What a page that is loaded again shows: some thousand lines.
KEPT_BYTES = 512 << 10
MAX_FRAME_BYTES = 64 << 10
# A reader that makes no progress keeps the terminal waiting no longer than this.
PATIENCE_S = 10.0
# No shell needs more, and a size of zero confuses programs.
MAX_ROWS = 500
MAX_COLUMNS = 1_000


class Reader(msgspec.Struct):
    """One open socket. Times are milliseconds of the caller's clock."""

    reader_id: ReaderId
    sent: int
    confirmed: int
    heard_at: int
    moved_at: int
    input_taken: int
    input_told: int
    size: tuple[int, int] | None = None


class Share(msgspec.Struct, frozen=True):
    """The next piece for a reader. `end` is its offset after it."""

    reader_id: ReaderId
    offset: int
    data: bytes
    input_taken: int

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


class TerminalReaders:
    """Keeps the last `kept_bytes` of the output, and of each reader what it was sent and has confirmed."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES, window_bytes: int = WINDOW_BYTES) -> None:
        assert kept_bytes >= 2 * window_bytes, "what a reader lacks must still be there"
        self._kept_bytes = kept_bytes
        self._window_bytes = window_bytes
        self._kept = bytearray()
        self._readers: dict[ReaderId, Reader] = {}
        self.end = 0

    @property
    def start(self) -> int:
        """Offset of the first byte that is kept."""
        return self.end - len(self._kept)

    @property
    def may_grow(self) -> bool:
        """Whether every reader is near enough for more output."""
        return all(self.end - reader.confirmed < self._window_bytes for reader in self._readers.values())

    @property
    def room_bytes(self) -> int:
        """How much more output may come before some reader is a window behind."""
        behind = max((self.end - reader.confirmed for reader in self._readers.values()), default=0)
        return max(self._window_bytes - behind, 0)

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns that fit every reader; None when none has told its own."""
        sizes = [reader.size for reader in self._readers.values() if reader.size is not None]
        return (min(rows for rows, _ in sizes), min(columns for _, columns in sizes)) if sizes else None

    def __contains__(self, reader_id: ReaderId) -> bool:
        return reader_id in self._readers

    def __len__(self) -> int:
        return len(self._readers)

    def append(self, data: bytes) -> None:
        self._kept += data
        self.end += len(data)
        excess = len(self._kept) - self._kept_bytes
        if excess > 0:
            del self._kept[:excess]

    def attach(self, reader_id: ReaderId, *, after: int | None, now_ms: int) -> None:
        """From `after` on if that is still kept; else from the first whole line that is."""
        position = after if after is not None and self.start <= after <= self.end else self._first_line()
        self._readers[reader_id] = Reader(
            reader_id=reader_id,
            sent=position,
            confirmed=position,
            heard_at=now_ms,
            moved_at=now_ms,
            input_taken=0,
            input_told=-1,  # told at once: that the reader is attached, and where
        )

    def detach(self, reader_id: ReaderId) -> None:
        self._readers.pop(reader_id, None)

    def confirm(self, reader_id: ReaderId, up_to: int, now_ms: int) -> None:
        reader = self._readers.get(reader_id)
        if reader is None:
            return
        reader.heard_at = now_ms
        if reader.confirmed < up_to <= reader.sent:
            reader.confirmed = up_to
            reader.moved_at = now_ms

    def resize(self, reader_id: ReaderId, rows: int, columns: int) -> None:
        reader = self._readers.get(reader_id)
        if reader is not None and rows > 0 and columns > 0:
            reader.size = (min(rows, MAX_ROWS), min(columns, MAX_COLUMNS))

    def fresh_input(self, reader_id: ReaderId, offset: int, data: bytes) -> bytes:
        """What of a reader's input did not come before; it counts as come from now on."""
        reader = self._readers.get(reader_id)
        if reader is None:
            return data
        received = offset + len(data)
        fresh = data[max(reader.input_taken - offset, 0) :]
        reader.input_taken = max(reader.input_taken, received)
        return fresh

    def due(self, *, tell_input_bytes: int, unwritten: int) -> Iterator[Share]:
        """At most one piece for each reader. `mark_sent` it when it was written.

        `unwritten` bytes of input still wait for the terminal; who sent as much is told when they are gone.
        """
        for reader in self._readers.values():
            stop = min(self.end, reader.confirmed + self._window_bytes, reader.sent + MAX_FRAME_BYTES)
            first = reader.sent - self.start
            data = bytes(self._kept[first : first + max(stop - reader.sent, 0)])
            taken = reader.input_taken if unwritten == 0 else max(reader.input_told, 0)
            if data or reader.input_told < 0 or taken - reader.input_told >= tell_input_bytes:
                yield Share(reader.reader_id, reader.sent, data, taken)

    def mark_sent(self, share: Share, now_ms: int) -> None:
        reader = self._readers.get(share.reader_id)
        if reader is None or reader.sent != share.offset:  # it attached anew meanwhile
            return
        if reader.sent == reader.confirmed:
            reader.moved_at = now_ms  # nothing was owed until now
        reader.sent = share.end
        reader.input_told = share.input_taken

    def finished(self) -> list[ReaderId]:
        """Readers that were sent everything there is."""
        return [reader.reader_id for reader in self._readers.values() if reader.sent == self.end]

    def take_gone(self, now_ms: int) -> list[ReaderId]:
        """Drops readers that went away without a word, and those that keep the terminal waiting; these are returned."""
        slow: list[ReaderId] = []
        for reader in list(self._readers.values()):
            is_behind = self.end - reader.confirmed >= self._window_bytes
            if is_behind and now_ms - reader.moved_at > PATIENCE_S * 1000:
                slow.append(reader.reader_id)
                del self._readers[reader.reader_id]
            elif now_ms - reader.heard_at > SILENT_READER_S * 1000:
                del self._readers[reader.reader_id]
        return slow

    def _first_line(self) -> int:
        """Offset of the start of a line near the first byte kept: not in the middle of a letter or a colour."""
        if self.start == 0:
            return 0
        newline = self._kept.find(b"\n", 0, 4096)
        return self.start + newline + 1
