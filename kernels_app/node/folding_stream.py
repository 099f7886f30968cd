"""One stream output while it grows: head, tail, and the pieces of its whole text. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from kernels_app.node.folding_terminal import Screen

_LINE_START_SEARCH_CHARS = 4_096
_MAX_ESCAPE_CHARS = 68
_OPEN_ESCAPE = re.compile("\x1b(?:\\[[0-9;:]*)?\\Z")


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one output. Units are UTF-16 code units, what the browser counts."""

    head_units: int
    tail_units: int
    chunk_bytes: int
    chunk_interval_ms: int


class WholeTextBudget:
    """What a run may still keep of whole texts, shared by its streams."""

    def __init__(self, left_bytes: int) -> None:
        self.left_bytes = left_bytes


class PartChange(NamedTuple):
    """Applied in this order: `cut` units off the start, `drop` off the end, `text` appended."""

    cut: int
    drop: int
    text: str


def count_units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def clean_surrogates(text: str) -> str:
    """Pairs made one character, lone ones replaced; the text itself when there are none."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def prefix_within(text: str, max_units: int) -> int:
    """How many characters of `text` fit into `max_units`."""
    if text.isascii() or len(text) * 2 <= max_units:
        return min(len(text), max_units)
    encoded = text.encode("utf-16-le")[: max(0, max_units) * 2]
    # A cut pair leaves half a character, which is ignored.
    return len(encoded.decode("utf-16-le", "ignore"))


def suffix_within(text: str, max_units: int) -> int:
    """Where the longest end of `text` begins that fits into `max_units`."""
    if text.isascii():
        return max(0, len(text) - max_units)
    encoded = text.encode("utf-16-le")
    tail = encoded[max(0, len(encoded) - max_units * 2) :]
    return len(text) - len(tail.decode("utf-16-le", "ignore"))


def common_prefix(old: str, new: str) -> int:
    """Length of what both begin with."""
    if new.startswith(old):
        return len(old)
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class TextPart:
    """A text whose changes since it was last sent are known as one `PartChange`."""

    def __init__(self) -> None:
        self.text = ""
        self._kept = 0  # characters at the start that the reader has already
        self._cut_units = 0
        self._sent_units = 0

    def change_end(self, drop: int, text: str) -> None:
        """`drop` characters off the end, then `text`."""
        if drop:
            end = max(0, len(self.text) - drop)
            self.text = self.text[:end] + text
            self._kept = min(self._kept, end)
        else:
            self.text += text

    def cut_start(self, count: int) -> None:
        known = min(count, self._kept)
        self._cut_units += count_units(self.text[:known])
        self._kept -= known
        self.text = self.text[count:]

    @property
    def units(self) -> int:
        return count_units(self.text)

    def take(self) -> PartChange | None:
        """What changed since the last call."""
        text = self.text[self._kept :]
        kept_units = count_units(self.text[: self._kept])
        change = PartChange(self._cut_units, self._sent_units - self._cut_units - kept_units, text)
        self._kept = len(self.text)
        self._cut_units = 0
        self._sent_units = kept_units + count_units(text)
        return change if change != (0, 0, "") else None


class StreamFold:
    """Text of one stream output. `index` is None until it has text to show."""

    def __init__(self, name: str, limits: StreamLimits, budget: WholeTextBudget) -> None:
        self.name = name
        self.index: int | None = None
        self.head = TextPart()
        self.tail = TextPart()
        self.is_long = False
        self.pending_chars = 0
        self.chunk_due_ms: int | None = None
        self._limits = limits
        self._budget = budget
        self._pending: list[str] = []
        self._screen = Screen()
        self._window = ""
        self._omitted_units = 0
        self._is_whole_text_over = False
        self._limit_to_tell = False
        self._unkept: list[str] = []  # settled text that is in no chunk yet
        self._unkept_chars = 0

    def feed(self, text: str) -> None:
        """Cheap: the text is only looked at by `absorb`."""
        self._pending.append(text)
        self.pending_chars += len(text)

    def absorb(self, now_ms: int) -> None:
        """Bring head and tail up to date with what was fed."""
        text = "".join(self._pending)
        self._pending.clear()
        self.pending_chars = 0
        if text and "\ud800" <= text[-1] <= "\udbff":
            # The other half of the pair comes with the next message.
            self._pending.append(text[-1])
            text = text[:-1]
        if not text:
            return
        self._screen.feed(clean_surrogates(text))
        self._follow_screen(now_ms)

    def seal(self, now_ms: int) -> None:
        """What is there cannot be overwritten any more; the rest of the whole text is due."""
        self.absorb(now_ms)
        self._screen.seal()
        self._follow_screen(now_ms)
        if self._unkept_chars:
            self.chunk_due_ms = now_ms

    @property
    def omitted_units(self) -> int:
        return self._omitted_units

    def take_chunks(self, now_ms: int) -> list[bytes]:
        """Pieces of the whole text that are due, at most `chunk_bytes` each, never splitting a character."""
        is_due = self.chunk_due_ms is not None and self.chunk_due_ms <= now_ms
        if not is_due and self._unkept_chars < self._limits.chunk_bytes:
            return []
        data = "".join(self._unkept).encode()
        self._unkept.clear()
        self._unkept_chars = 0
        self.chunk_due_ms = None
        if len(data) > self._budget.left_bytes:
            data = data[: _character_start(data, self._budget.left_bytes)]
            self._is_whole_text_over = self._limit_to_tell = True
        self._budget.left_bytes -= len(data)
        chunks: list[bytes] = []
        start = 0
        while start < len(data):
            end = _character_start(data, start + self._limits.chunk_bytes)
            chunks.append(data[start:end])
            start = end
        return chunks

    def take_limit_reached(self) -> bool:
        """True once, when the whole text is not kept any further."""
        told, self._limit_to_tell = self._limit_to_tell, False
        return told

    def _follow_screen(self, now_ms: int) -> None:
        committed, window = self._screen.collect()
        new = committed + window
        same = common_prefix(self._window, new)
        drop, added = len(self._window) - same, new[same:]
        dropped_units = count_units(self._window[same:])
        self._window = window
        if not self.is_long:
            self.head.change_end(drop, added)
            if count_units(self.head.text) > self._limits.head_units:
                self._start_tail(now_ms)
            return
        units_before = count_units(self.tail.text)
        self.tail.change_end(drop, added)
        self._trim_tail(units_before + self._omitted_units - dropped_units + count_units(added))
        self._keep(committed, now_ms)

    def _start_tail(self, now_ms: int) -> None:
        """The head is closed where its text is settled, at a line's start if there is one near."""
        self.is_long = True
        text = self.head.text
        settled_chars = len(text) - len(self._window)
        boundary = min(prefix_within(text, self._limits.head_units), settled_chars)
        line_start = text.rfind("\n", max(0, boundary - _LINE_START_SEARCH_CHARS), boundary) + 1
        if line_start:
            boundary = line_start
        else:
            escape = _OPEN_ESCAPE.search(text, max(0, boundary - _MAX_ESCAPE_CHARS), boundary)
            boundary = escape.start() if escape else boundary
        rest = text[boundary:]
        self.head.change_end(len(rest), "")
        self.tail.change_end(0, rest)
        self._trim_tail(count_units(rest))
        self._keep(text[:settled_chars], now_ms)

    def _trim_tail(self, units_after_head: int) -> None:
        text = self.tail.text
        start = suffix_within(text, self._limits.tail_units)
        if start:
            search_chars = min(_LINE_START_SEARCH_CHARS, (len(text) - start) // 4)
            line_start = text.find("\n", start - 1, start + search_chars) + 1
            self.tail.cut_start(line_start or start)
        self._omitted_units = units_after_head - count_units(self.tail.text)

    def _keep(self, settled: str, now_ms: int) -> None:
        if not settled or self._is_whole_text_over:
            return
        self._unkept.append(settled)
        self._unkept_chars += len(settled)
        if self.chunk_due_ms is None:
            self.chunk_due_ms = now_ms + self._limits.chunk_interval_ms


def _character_start(data: bytes, position: int) -> int:
    """The last position at or before `position` where a UTF-8 character starts."""
    if position >= len(data):
        return len(data)
    while position > 0 and data[position] & 0xC0 == 0x80:
        position -= 1
    return position
