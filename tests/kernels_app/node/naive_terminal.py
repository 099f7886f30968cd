"""A terminal written for being obviously right: one character at a time, everything kept."""

from __future__ import annotations

import re

from kernels_app.node.folding_styles import Cell, next_style
from kernels_app.node.folding_terminal import MAX_COLUMN, WINDOW_CELLS, WINDOW_LINES

_TOKEN = re.compile("\x1b\\[([0-9;]*)([A-Za-z])|[\\s\\S]")


class NaiveTerminal:
    def __init__(self) -> None:
        self.lines: list[list[Cell]] = [[]]
        self.row = 0
        self.column = 0  # counted from the floor in the top line
        self.pen = ""
        self.top = 0
        self.floor = 0  # in the top line: what is before it cannot be reached

    def feed(self, text: str) -> None:
        for match in _TOKEN.finditer(text):
            if match.group(2):
                self._escape(match.group(1), match.group(2))
            else:
                self._character(match.group())

    def cells(self) -> list[Cell]:
        """All the text, with ("", newline) between the lines."""
        cells: list[Cell] = []
        for number, line in enumerate(self.lines):
            if number:
                cells.append(("", "\n"))
            cells.extend(line)
        return cells

    def _start(self) -> int:
        return self.floor if self.row == self.top else 0

    def _character(self, character: str) -> None:
        if character == "\r":
            self.column = self._start()
        elif character == "\b":
            self.column = max(self._start(), self.column - 1)
        elif character == "\n":
            if self.row == len(self.lines) - 1:
                self.lines.append([])
            self.row += 1
            self.column = 0
            self._settle()
        else:
            line = self.lines[self.row]
            if self.row < len(self.lines) - 1 and self.column - self._start() >= WINDOW_CELLS:
                return
            line.extend([("", " ")] * (self.column - len(line)))
            line[self.column : self.column + 1] = [(self.pen, character)]
            self.column += 1
            self._settle()

    def _settle(self) -> None:
        def size() -> int:
            live = self.lines[self.top :]
            return sum(map(len, live)) - self.floor + len(live) - 1

        while self.top < self.row and (len(self.lines) - self.top > WINDOW_LINES or size() > WINDOW_CELLS):
            self.top += 1
            self.floor = 0
        if self.top == len(self.lines) - 1 and size() > WINDOW_CELLS:
            self.floor = len(self.lines[self.top]) - WINDOW_CELLS
            self.column = max(self.column, self.floor)

    def _escape(self, parameters: str, kind: str) -> None:
        first = parameters.partition(";")[0]
        number = int(first) if first else 0
        step = max(1, number)
        relative = self.column - self._start()
        last = len(self.lines) - 1
        if kind == "m":
            self.pen = next_style(self.pen, parameters)
        elif kind == "A":
            self.row = max(self.top, self.row - step)
            self.column = relative + self._start()
        elif kind == "B":
            self.row = min(last, self.row + step)
            self.column = relative + self._start()
        elif kind == "C":
            limit = max(len(self.lines[self.row]) - self._start(), MAX_COLUMN)
            self.column = min(relative + step, limit) + self._start()
        elif kind == "D":
            self.column = max(0, relative - step) + self._start()
        elif kind == "K":
            line = self.lines[self.row]
            if number == 0:
                del line[self.column :]
            elif number == 1:
                end = min(self.column + 1, len(line))
                line[self._start() : end] = [("", " ")] * (end - self._start())
            elif number == 2:
                del line[self._start() :]
        elif kind == "J" and number == 0:
            del self.lines[self.row + 1 :]
            del self.lines[self.row][self.column :]
