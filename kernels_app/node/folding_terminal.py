"""The text a terminal would show: `\\r`, `\\b`, cursor movement and erasing applied. Pure.

What can still change is a window of the last lines; text above it is committed for good. That bounds
memory, and what a rewritten progress bar costs. Colours (SGR sequences) take no room; where text is
overwritten each character keeps the colour it was written in.
"""

from __future__ import annotations

import re
from itertools import pairwise

from kernels_app.node.folding_styles import SGR, Cell, Style, next_style, style_after, to_cells, transition

WINDOW_LINES = 100  # progress bars one below the other; a terminal has about 50 lines
WINDOW_CELLS = 16_384
MAX_COLUMN = 1_000  # how far past the end of a line the cursor may be put

_UNPRINTABLE = re.compile("[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
# What breaks plain appending: every escape sequence but SGR, carriage return, backspace.
_CONTROL = re.compile(
    "[\r\b\x07]"  # the bell ends some sequences, so it is taken out here and not before
    "|\x1b\\[([0-?]*)[ -/]*([@-ln-~])"  # CSI, not SGR: 1 parameters, 2 kind
    "|\x1b\\[[0-?]*[<-?][0-?]*m"  # private sequences that end like SGR
    "|\x1b[\\]PX^_][^\x07\x1b]{0,2048}(?:\x07|\x1b\\\\)"  # OSC (links, titles), DCS and the like
    "|\x1b[ -/]*[0-OQ-WYZ\\\\`-~]"  # two-character escapes
    "|\x1b(?!\\[[0-9;:]{0,64}m)"  # a stray escape
)
# The beginning of an escape sequence at the end of a text: the rest comes with the next message.
_PARTIAL = re.compile("\x1b(?:\\[[0-?]{0,64}[ -/]{0,4}|[\\]PX^_][^\x07\x1b]{0,2048}\x1b?|[ -/]{0,4})?\\Z")


class _Line:
    """One line of the window: text as it came, or cells once a styled line was edited."""

    __slots__ = ("cells", "length", "start_style", "text")

    def __init__(self, text: str, start_style: Style) -> None:
        self.text = text
        self.start_style = start_style
        self.cells: list[Cell] | None = None
        self.length = len(text) if "\x1b" not in text else len(SGR.sub("", text))

    def edit(self) -> list[Cell]:
        if self.cells is None:
            self.cells = to_cells(self.text, self.start_style)
        return self.cells

    def end_style(self) -> Style:
        if self.cells is None:
            return style_after(self.start_style, self.text)
        return self.cells[-1][0] if self.cells else self.start_style

    def render(self, end_style: Style | None) -> str:
        """The line's text. `end_style` is what the next line begins with; None for the last line."""
        if self.cells is None and (end_style is None or "\x1b" not in self.text):
            text, style = self.text, self.start_style
        elif self.cells is None:
            text, style = self.text, self.end_style()
        else:
            parts: list[str] = []
            style = self.start_style
            for cell_style, character in self.cells:
                if cell_style != style:
                    parts.append(transition(style, cell_style))
                    style = cell_style
                parts.append(character)
            text = "".join(parts)
        return text if end_style is None else text + transition(style, end_style)

    def put(self, column: int, run: str, pen: Style) -> None:
        """Write over what is at `column`; a gap before it becomes spaces."""
        end = column + len(run)
        if self.cells is None and pen == self.start_style and "\x1b" not in self.text:
            if column < self.length:
                self.text = self.text[:column] + run + self.text[end:]
            elif column == self.length:
                self.text += run
            elif pen == "":
                self.text = self.text.ljust(column) + run
            else:
                self._put_cells(column, run, pen)
        else:
            self._put_cells(column, run, pen)
        self.length = max(self.length, end)

    def _put_cells(self, column: int, run: str, pen: Style) -> None:
        cells = self.edit()
        if column > len(cells):
            cells.extend([("", " ")] * (column - len(cells)))
        cells[column : column + len(run)] = [(pen, character) for character in run]

    def erase_from(self, column: int) -> None:
        if column >= self.length:
            return
        if self.cells is None and "\x1b" not in self.text:
            self.text = self.text[:column]
        else:
            del self.edit()[column:]
        self.length = column

    def cut_start(self, count: int) -> str:
        """Takes the first `count` characters off; they come back as text."""
        if self.cells is None and "\x1b" not in self.text:
            head, self.text = self.text[:count], self.text[count:]
        else:
            cells = self.edit()
            first = _Line("", self.start_style)
            first.cells = cells[:count]
            head = first.render(None)
            self.start_style = first.end_style()
            del cells[:count]
        self.length -= count
        return head


class Screen:
    """Feed it text as it comes; collect what is settled and what may still change."""

    def __init__(self) -> None:
        self._lines = [_Line("", "")]
        self._cell_count = 0
        self._row = 0
        self._column = 0
        self._pen: Style = ""
        self._linear: Style = (
            ""  # the style at the end of the last line, as text; valid while it has no cells
        )
        self._committed: list[str] = []
        self._partial = ""

    def feed(self, text: str) -> None:
        if self._partial:
            text, self._partial = self._partial + text, ""
        if "\x1b" in text:
            cut = _PARTIAL.search(text, max(0, text.rfind("\x1b", 0, text.rfind("\x1b"))))
            if cut is not None:
                text, self._partial = text[: cut.start()], text[cut.start() :]
        if _UNPRINTABLE.search(text):
            text = _UNPRINTABLE.sub("", text)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        position = 0
        for match in _CONTROL.finditer(text):
            if match.start() > position:
                self._write(text[position : match.start()])
            position = match.end()
            character = match.group()
            if character == "\r":
                self._column = 0
            elif character == "\b":
                self._column = max(0, self._column - 1)
            elif match.group(2):
                self._move(match.group(1), match.group(2))
        if position < len(text):
            self._write(text[position:] if position else text)

    def collect(self) -> tuple[str, str]:
        """Text settled since the last call, and the text of the window after it."""
        committed = "".join(self._committed)
        self._committed.clear()
        return committed, self._window()

    def seal(self) -> None:
        """Settle everything: later text goes on behind it and cannot change it any more."""
        self._committed.append(self._window())
        self._linear = self._end_style()
        self._lines = [_Line("", self._linear)]
        self._cell_count = self._row = self._column = 0

    def _window(self) -> str:
        lines = self._lines
        if len(lines) == 1:
            return lines[0].render(None)
        rendered = [line.render(after.start_style) for line, after in pairwise(lines)]
        rendered.append(lines[-1].render(None))
        return "\n".join(rendered)

    def _end_style(self) -> Style:
        last = self._lines[-1]
        return self._linear if last.cells is None else last.end_style()

    def _write(self, text: str) -> None:
        """Text with line ends and SGR sequences, at the cursor."""
        while text:
            last = self._lines[-1]
            if self._row == len(self._lines) - 1 and self._column == last.length and last.cells is None:
                self._append(text)
                return
            end = text.find("\n")
            self._overwrite(text if end < 0 else text[:end])
            if end < 0:
                return
            self._new_line()
            text = text[end + 1 :]

    def _new_line(self) -> None:
        if self._row == len(self._lines) - 1:
            style = self._end_style()
            self._lines.append(_Line("", style))
            self._linear = style
        self._row += 1
        self._column = 0
        self._trim()

    def _overwrite(self, text: str) -> None:
        end = 0
        if "\x1b" in text:
            for match in SGR.finditer(text):
                self._put(text[end : match.start()])
                self._pen = next_style(self._pen, match.group(1))
                end = match.end()
        self._put(text[end:] if end else text)

    def _put(self, run: str) -> None:
        line = self._lines[self._row]
        if self._row < len(self._lines) - 1:
            # A line above the last has no room without end: what is past it is not shown.
            run = run[: max(0, WINDOW_CELLS - self._column)]
        if not run:
            return
        before = line.length
        line.put(self._column, run, self._pen)
        self._column += len(run)
        self._cell_count += line.length - before
        self._trim()

    def _append(self, text: str) -> None:
        """The common case: the cursor is at the very end."""
        last = self._lines[-1]
        if self._pen != self._linear:
            last.text += transition(self._linear, self._pen)
            self._linear = self._pen
        first, newline, rest = text.partition("\n")
        last.text += first
        if "\x1b" in first:
            added = len(SGR.sub("", first))
            self._pen = style_after(self._pen, first)
        else:
            added = len(first)
        last.length += added
        self._cell_count += added
        if newline:
            start = _last_lines_start(rest, WINDOW_LINES)
            if start:
                self._commit_lines(rest[:start])
                rest = rest[start:]
            for line_text in rest.split("\n"):
                line = _Line(line_text, self._pen)
                self._pen = style_after(self._pen, line_text)
                self._cell_count += line.length
                self._lines.append(line)
        self._linear = self._pen
        self._row = len(self._lines) - 1
        self._column = self._lines[-1].length
        self._trim()

    def _commit_lines(self, whole_lines: str) -> None:
        """The window and the lines after it are settled; the caller appends at least one line."""
        self._committed.append(self._window())
        self._committed.append("\n")
        # The line end before what the caller appends is the last character of `whole_lines`.
        self._committed.append(whole_lines)
        self._pen = style_after(self._pen, whole_lines)
        self._lines = []
        self._cell_count = 0

    def _trim(self) -> None:
        """Settle what is above the window. A newline counts as a character of it."""
        lines = self._lines
        count = 0
        while self._row - count > 0 and (
            len(lines) - count > WINDOW_LINES or self._cell_count + len(lines) - count - 1 > WINDOW_CELLS
        ):
            self._committed.append(lines[count].render(lines[count + 1].start_style) + "\n")
            self._cell_count -= lines[count].length
            count += 1
        if count:
            del lines[:count]
            self._row -= count
        excess = self._cell_count - WINDOW_CELLS
        if len(lines) == 1 and excess > 0:
            self._committed.append(lines[0].cut_start(excess))
            self._cell_count -= excess
            self._column = max(0, self._column - excess)

    def _move(self, parameters: str, kind: str) -> None:
        first, _, second = parameters.partition(";")
        count = int(first) if first.isdigit() and len(first) < 6 else 0
        step = max(1, count)
        last_row = len(self._lines) - 1
        if kind in "AF":
            self._row = max(0, self._row - step)
        elif kind in "BE":
            self._row = min(last_row, self._row + step)
        elif kind == "C":
            self._go_to_column(self._column + step)
        elif kind == "D":
            self._column = max(0, self._column - step)
        elif kind in "G`":
            self._go_to_column(step - 1)
        elif kind in "Hf":
            self._row = min(last_row, step - 1)
            self._go_to_column(max(1, int(second) if second.isdigit() and len(second) < 6 else 1) - 1)
        elif kind == "K":
            self._erase_in_line(count)
        elif kind == "J":
            self._erase_in_display(count)
        if kind in "EF":
            self._column = 0

    def _go_to_column(self, column: int) -> None:
        self._column = min(column, max(self._lines[self._row].length, MAX_COLUMN))

    def _erase_in_line(self, which: int) -> None:
        line = self._lines[self._row]
        before = line.length
        if which == 0:
            line.erase_from(self._column)
        elif which == 1:
            line.put(0, " " * min(self._column + 1, line.length), "")
        elif which == 2:
            line.erase_from(0)
        self._after_erasing(before - line.length)

    def _erase_in_display(self, which: int) -> None:
        if which in (2, 3):
            self._row = self._column = 0
        if which in (0, 2, 3):
            line = self._lines[self._row]
            removed = line.length + sum(below.length for below in self._lines[self._row + 1 :])
            del self._lines[self._row + 1 :]
            line.erase_from(self._column)
            self._after_erasing(removed - line.length)

    def _after_erasing(self, cell_count: int) -> None:
        self._cell_count -= cell_count
        last = self._lines[-1]
        if last.cells is None:
            self._linear = last.end_style()


def _last_lines_start(text: str, line_count: int) -> int:
    """Where the last `line_count` lines begin; 0 when there are no more than that."""
    position = len(text)
    for _ in range(line_count):
        position = text.rfind("\n", 0, position)
        if position < 0:
            return 0
    return position + 1
