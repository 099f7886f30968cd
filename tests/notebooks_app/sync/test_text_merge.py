"""Differences of texts as edits in UTF-8, and the merge of two changes to one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notebooks_app.sync.text_merge import Conflict, merge_texts, text_edits

LINES = st.lists(st.text("aé😀漢 \u0301\u200d", max_size=6), max_size=8).map("\n".join)


@given(LINES, LINES)
def test_edits_make_the_new_text_out_of_the_old_one(old: str, new: str) -> None:
    data = bytearray(old.encode())
    for edit in text_edits(old, new):
        data[edit.start_byte : edit.start_byte + edit.removed_bytes] = edit.inserted.encode()
        data.decode()  # never within a character
    assert data.decode() == new


def test_edits_touch_only_what_differs() -> None:
    assert text_edits("x = '😀'\ny = 1\n", "x = '😀!'\ny = 1\n") == [(9, 0, "!")]
    assert text_edits("same", "same") == []


def test_edits_of_long_texts_are_found_quickly() -> None:
    old = "".join(f"line {number}\n" for number in range(20_000))
    new = old.replace("line 5\n", "line five\n").replace("line 19990\n", "")
    data = bytearray(old.encode())
    for edit in text_edits(old, new):
        data[edit.start_byte : edit.start_byte + edit.removed_bytes] = edit.inserted.encode()
    assert data.decode() == new


def test_changes_of_different_lines_are_merged() -> None:
    base = "a\nb\nc\nd\n"
    assert merge_texts(base, "A\nb\nc\nd\n", "a\nb\nc\nD\n") == "A\nb\nc\nD\n"
    assert merge_texts(base, "b\nc\nd\n", "a\nb\nc\nd\ne\n") == "b\nc\nd\ne\n"
    assert merge_texts("a\nb\nc", "A\nb\nc", "a\nb\nc\nd") == "A\nb\nc\nd"


def test_one_side_that_did_not_change_gives_way() -> None:
    assert merge_texts("a", "a", "b") == "b"
    assert merge_texts("a", "b", "a") == "b"
    assert merge_texts("a", "b", "b") == "b"


def test_the_same_change_on_both_sides_is_made_once() -> None:
    assert merge_texts("a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n") == "a\nX\nc\n"
    assert merge_texts("a\nb\nc\nd\ne\n", "X\nb\nc\nd\nE\n", "X\nb\nc\nd\ne\n") == "X\nb\nc\nd\nE\n"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("a\nX\nc\n", "a\nY\nc\n"), ("a\nc\n", "a\nY\nc\n"), ("X\na\nb\nc\n", "Y\na\nb\nc\n")],
)
def test_different_changes_of_one_line_conflict(ours: str, theirs: str) -> None:
    with pytest.raises(Conflict):
        merge_texts("a\nb\nc\n", ours, theirs)


@given(LINES, LINES, LINES)
def test_a_merge_has_the_lines_both_added(base: str, ours: str, theirs: str) -> None:
    try:
        merged = merge_texts(base, ours, theirs)
    except Conflict:
        return
    for line in (set(ours.splitlines()) | set(theirs.splitlines())) - set(base.splitlines()):
        assert line in merged.splitlines()
