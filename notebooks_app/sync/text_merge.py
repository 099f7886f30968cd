"""Differences of texts as edits, and the merge of two changes to one text. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import NamedTuple

# Past this many differing lines or characters the finer comparison costs more than it shows: it takes
# their product in time where they repeat.
_MAX_COMPARED_LINES = 2_000
_MAX_COMPARED_CHARACTERS = 400


class Edit(NamedTuple):
    """In a text as UTF-8: at `start_byte`, `removed_bytes` go and `inserted` comes."""

    start_byte: int
    removed_bytes: int
    inserted: str


class _Hunk(NamedTuple):
    """Items `start:end` of the old sequence become `items`."""

    start: int
    end: int
    items: list[str]


class Conflict(Exception):
    """Both changed the same lines, and not alike."""


def text_edits(old: str, new: str) -> list[Edit]:
    """Edits that make `new` out of `old`, last first: applied in this order, no position moves.

    Positions are those of the old text in UTF-8 bytes and always at the border of a character.
    """
    edits = []
    old_lines = old.splitlines(keepends=True)
    line_bytes = _starts(old_lines)
    for hunk in reversed(_hunks(old_lines, new.splitlines(keepends=True))):
        old_text, new_text = "".join(old_lines[hunk.start : hunk.end]), "".join(hunk.items)
        edits += _character_edits(line_bytes[hunk.start], old_text, new_text)
    return edits


def merge_texts(base: str, ours: str, theirs: str) -> str:
    """Our text with their changes in it. Raises Conflict when both changed the same lines."""
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    base_lines = base.splitlines(keepends=True)
    our_hunks = _hunks(base_lines, ours.splitlines(keepends=True))
    their_hunks = _hunks(base_lines, theirs.splitlines(keepends=True))
    merged = [hunk for hunk in their_hunks if hunk not in our_hunks]
    for hunk in merged:
        for own in our_hunks:
            if hunk.start <= own.end and own.start <= hunk.end:
                raise Conflict
    lines = list(base_lines)
    for hunk in sorted(our_hunks + merged, reverse=True):
        lines[hunk.start : hunk.end] = hunk.items
    # A last line without its end may have got another one behind it.
    for index, line in enumerate(lines[:-1]):
        if not line.endswith(("\n", "\r")):
            lines[index] = f"{line}\n"
    return "".join(lines)


def _hunks(old: list[str], new: list[str], limit: int = _MAX_COMPARED_LINES) -> list[_Hunk]:
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if not old_middle and not new_middle:
        return []
    if len(old_middle) + len(new_middle) > limit:
        return [_Hunk(start, len(old) - end, new_middle)]
    matcher = SequenceMatcher(None, old_middle, new_middle, autojunk=False)
    return [
        _Hunk(start + old_start, start + old_end, new_middle[new_start:new_end])
        for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes()
        if tag != "equal"
    ]


def _character_edits(start_byte: int, old: str, new: str) -> list[Edit]:
    characters = list(old)
    character_bytes = _starts(characters)
    return [
        Edit(
            start_byte + character_bytes[hunk.start],
            character_bytes[hunk.end] - character_bytes[hunk.start],
            "".join(hunk.items),
        )
        for hunk in reversed(_hunks(characters, list(new), _MAX_COMPARED_CHARACTERS))
    ]


def _starts(pieces: list[str]) -> list[int]:
    """Where each piece starts, in UTF-8 bytes, and where the last one ends."""
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece.encode("utf-8", "surrogatepass")))
    return starts
