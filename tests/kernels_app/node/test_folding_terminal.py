"""The terminal's text against a naive one, and what programs really print."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels_app.node.folding_styles import next_style, to_cells, transition
from kernels_app.node.folding_terminal import WINDOW_CELLS, WINDOW_LINES, Screen
from tests.kernels_app.node.naive_terminal import NaiveTerminal


def shown(*texts: str) -> str:
    screen = Screen()
    for text in texts:
        screen.feed(text)
    committed, window = screen.collect()
    return committed + window


def without_line_styles(text: str) -> list[tuple[str, str]]:
    """Cells of a linear text; the style of a line end says nothing."""
    return [("", "\n") if character == "\n" else (style, character) for style, character in to_cells(text)]


PIECES = st.sampled_from(
    ["\n", "\r", "\b", "\r\n", "\x1b[A", "\x1b[2A", "\x1b[B", "\x1b[K", "\x1b[2K", "\x1b[1K", "\x1b[J", "\x1b[3C",
     "\x1b[2D", "\x1b[31m", "\x1b[0m", "\x1b[1;38;5;200m", "\x1b[39m", "\x1b[m", "é", "😀", "a", "bc", "long text"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(PIECES, st.text("xy \n\r\b", max_size=12)), max_size=40)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
@example(["ab", "\x1b[31m", "\r", "c", "\x1b[K"])
def test_shows_what_a_naive_terminal_shows(pieces: list[str]) -> None:
    naive = NaiveTerminal()
    naive.feed("".join(pieces))
    assert without_line_styles(shown("".join(pieces))) == naive.cells()


@given(TEXTS, st.lists(st.integers(0, 200), max_size=6))
@settings(max_examples=300, deadline=None)
def test_how_a_text_is_cut_into_messages_makes_no_difference(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    messages = [text[start:end] for start, end in pairwise(places)]
    assert without_line_styles(shown(*messages)) == without_line_styles(shown(text))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["\r", "\x1b[A", "\x1b[90A", "\x1b[200A", "\n", "\x1b[K", "\x1b[B"]),
            st.builds(lambda n: "z" * n, st.sampled_from([1, 200, WINDOW_CELLS - 1, WINDOW_CELLS, WINDOW_CELLS + 5])),
            st.builds(lambda n: "line\n" * n, st.sampled_from([1, WINDOW_LINES - 1, WINDOW_LINES, 250])),
        ),
        max_size=10,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
@example(["line\n" * (WINDOW_LINES - 1), "\x1b[90A", "z" * WINDOW_CELLS, "\x1b[B", "z"])
def test_what_can_still_change_is_the_same_window_for_both(pieces: list[str]) -> None:
    naive = NaiveTerminal()
    naive.feed("".join(pieces))
    text = "".join(pieces)
    assert without_line_styles(shown(text)) == naive.cells()
    assert without_line_styles(shown(*pieces)) == naive.cells()


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["50%\r", "100%"], "100%"),
        (["abcdef\rX"], "Xbcdef"),
        (["wrong\b\b\b\b\bright"], "right"),
        (["\b\bnothing before"], "nothing before"),
        (["one\r\ntwo\r", "\nthree"], "one\ntwo\nthree"),
        (["a: 0%\nb: 0%\x1b[A\ra: 9%", "\n\rb: 8%"], "a: 9%\nb: 8%"),
        (["\x1b[2K\rdone"], "done"),
        (["loading...\x1b[2K\rdone"], "done"),
        (["\x1b[?25lhidden cursor\x1b[?25h"], "hidden cursor"),
        (["\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\"], "link"),
        (["\x1b]0;title\x07text"], "text"),
        (["split \x1b", "[3", "1mred"], "split \x1b[31mred"),
        (["bell\x07 nul\x00 end"], "bell nul end"),
        (["old\x1b[2Jnew"], "new"),
        (["\x1b", "]8;;x\x07after"], "after"),
        (["lone escape \x1b\x1b[K."], "lone escape ."),
    ],
)
def test_shows_what_programs_mean(messages: list[str], expected: str) -> None:
    assert shown(*messages) == expected


def test_overwritten_text_keeps_the_colours_of_what_is_left() -> None:
    text = shown("\x1b[31mred red\x1b[0m\r\x1b[32mgre")
    assert to_cells(text) == [("32", c) for c in "gre"] + [("31", c) for c in " red"]


def test_cursor_cannot_leave_the_window_upwards() -> None:
    text = shown("line\n" * 500 + "\x1b[9999AX")
    lines = text.split("\n")
    assert lines.index("Xine") == len(lines) - WINDOW_LINES


def test_numbers_without_end_do_no_harm() -> None:
    assert len(shown("\x1b[99999C!" * 3)) <= 3_000
    assert shown("\x1b[" + "9" * 10_000 + "mtext").endswith("text")
    assert shown("\x1b[" + "1;" * 5_000 + "Atext").endswith("text")


def test_what_is_settled_is_kept_nowhere() -> None:
    screen = Screen()
    for _ in range(200):
        screen.feed("x" * 60_000 + "\n" * 3)
        _, window = screen.collect()
        assert len(window) <= WINDOW_CELLS + WINDOW_LINES


@pytest.mark.parametrize(
    ("style", "parameters", "expected"),
    [
        ("", "31", "31"), ("31", "", ""), ("31", "0", ""), ("31", "0;1", "1"), ("31", "32", "32"), ("31", "1", "31;1"),
        ("31;1", "22", "31"), ("", "38;5;9", "38:5:9"), ("", "38;2;1;2;3", "38:2:1:2:3"),
        ("", "38:2:1:2:3", "38:2:1:2:3"),
        ("", "38;5", ""), ("", "38;2;1", ""), ("", "38;5;999", ""), ("", "97;100", "100;97"), ("", "1234567", ""),
        ("4", "24", ""),
    ],
)  # fmt: skip
def test_styles_add_up(style: str, parameters: str, expected: str) -> None:
    assert next_style(style, parameters) == expected


def test_a_transition_gives_exactly_the_style_wanted() -> None:
    assert transition("31", "31") == ""
    assert next_style("31;1", transition("31;1", "38:5:9")[2:-1]) == "38:5:9"
    assert next_style("31", transition("31", "")[2:-1]) == ""
