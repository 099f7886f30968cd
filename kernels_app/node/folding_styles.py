"""Styles of a terminal's characters: SGR sequences added up and taken apart. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

SGR = re.compile("\x1b\\[([0-9;:]{0,64})m")

# Style of a character: the SGR parameters that give it, canonical; "" is the default style.
Style = str
Cell = tuple[Style, str]

_ON = {1: "w", 2: "w", 3: "i", 4: "u", 5: "k", 6: "k", 7: "v", 8: "h", 9: "s", 21: "u", 53: "o"}
_OFF = {22: "w", 23: "i", 24: "u", 25: "k", 27: "v", 28: "h", 29: "s", 39: "f", 49: "b", 55: "o", 59: "U"}


def _split_style(style: Style) -> dict[str, str]:
    groups: dict[str, str] = {}
    for item in style.split(";") if style else []:
        # Extended colours are kept as one item, with colons.
        code = int(item.split(":")[0])
        groups[_group(code)] = item
    return groups


def _group(code: int) -> str:
    if 30 <= code <= 38 or 90 <= code <= 97:
        return "f"
    if 40 <= code <= 48 or 100 <= code <= 107:
        return "b"
    return "U" if code == 58 else _ON.get(code, "")


@lru_cache(maxsize=4096)
def next_style(style: Style, parameters: str) -> Style:
    """The style after an SGR sequence with these parameters (ECMA-48, 8.3.117)."""
    groups = _split_style(style)
    numbers = [int(n) if n.isdigit() and len(n) < 6 else 0 for n in re.split("[;:]", parameters)]
    position = 0
    while position < len(numbers):
        code = numbers[position]
        position += 1
        if code == 0:
            groups.clear()
        elif code in (38, 48, 58):
            length = {5: 2, 2: 4}.get(numbers[position] if position < len(numbers) else -1, 0)
            colour = numbers[position : position + length]
            position += length
            if length and len(colour) == length and max(colour) < 256:
                groups[_group(code)] = ":".join(map(str, [code, *colour]))
        elif code in _OFF:
            groups.pop(_OFF[code], None)
        elif group := _group(code):
            groups[group] = str(code)
    return ";".join(groups[group] for group in sorted(groups))


@lru_cache(maxsize=4096)
def transition(before: Style, after: Style) -> str:
    """The escape sequence that changes the style; empty when there is nothing to change."""
    if before == after:
        return ""
    parameters = after.replace(":", ";")
    if not before:
        return f"\x1b[{parameters}m"
    return f"\x1b[0;{parameters}m" if after else "\x1b[0m"


def style_after(style: Style, text: str) -> Style:
    """The style in effect after a text with SGR sequences."""
    if "\x1b" in text:
        for match in SGR.finditer(text):
            style = next_style(style, match.group(1))
    return style


def to_cells(text: str, style: Style = "") -> list[Cell]:
    """Each character with its style."""
    if "\x1b" not in text:
        return [(style, character) for character in text]
    cells: list[Cell] = []
    end = 0
    for match in SGR.finditer(text):
        cells.extend((style, character) for character in text[end : match.start()])
        style = next_style(style, match.group(1))
        end = match.end()
    cells.extend((style, character) for character in text[end:])
    return cells
