"""A notebook as a Yjs document and back, whatever clients wrote into it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from notebooks_app.notebook_format import Cell, Notebook
from notebooks_app.sync.positions import position_between, positions
from notebooks_app.sync.replica import load_replica
from notebooks_app.sync.shape import as_it_was, equal_as_json, read_shape, seed

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
CELLS = st.builds(
    Cell,
    cell_type=st.sampled_from(["code", "markdown", "raw"]),
    source=TEXTS,
    id=st.from_regex(r"\A[a-zA-Z0-9_-]{1,20}\Z"),
    metadata=OBJECTS,
    attachments=st.none() | OBJECTS,
    extra=OBJECTS,
)


@given(st.lists(CELLS, max_size=5, unique_by=lambda cell: cell.id), OBJECTS, OBJECTS)
def test_a_notebook_that_is_seeded_reads_the_same(
    cells: list[Cell], metadata: dict[str, Any], extra: dict[str, Any]
) -> None:
    notebook = Notebook(cells=tuple(cells), metadata=metadata, nbformat_minor=4, extra=extra)
    read = read_shape(load_replica(seed(notebook)))
    assert [(one.id, one.cell_type, one.source) for one in read.cells] == [
        (one.id, one.cell_type, one.source) for one in cells
    ]
    for one, was in zip(read.cells, cells, strict=True):
        assert equal_as_json(one.metadata, was.metadata)
        assert equal_as_json(one.attachments, was.attachments)
        assert equal_as_json(one.extra, was.extra)
        assert json.dumps(as_it_was(one.metadata, was.metadata), sort_keys=True) == json.dumps(
            was.metadata, sort_keys=True
        )
    assert equal_as_json(read.metadata, metadata)
    assert equal_as_json(read.extra, extra)
    assert read.nbformat_minor == 4


def good(**fields: Any) -> Map[Any]:
    return Map({"type": "code", "source": Text("good"), "metadata": Map({}), "position": "a0", **fields})


def test_what_is_not_of_the_shape_is_left_out() -> None:
    doc: Doc[Any] = Doc()
    cells = doc.get("cells", type=Map)
    cells["ok"] = good()
    cells["a text"] = Text("x")
    cells["a-text"] = Text("x")
    cells["a-number"] = 5.0
    cells["no-fields"] = Map({})
    cells["bad-type"] = good(type="html")
    cells["type-object"] = good(type={"a": 1})
    cells["source-string"] = good(source="text")
    cells["source-map"] = good(source=Map({}))
    cells["position-number"] = good(position=1.0)
    cells["position-odd"] = good(position="a0 ")
    cells["position-empty"] = good(position="")
    cells["position-long"] = good(position="a" * 300)
    cells["<script>"] = good()
    cells["x" * 65] = good()
    cells["loose"] = good(metadata=5.0, attachments="x", extra=[1])
    cells["nested"] = good(
        position="a1", metadata=Map({"keep": 1, "shared": Map({"a": Array([])}), "nan": float("nan")})
    )
    read = read_shape(doc)
    assert [one.id for one in read.cells] == ["loose", "ok", "nested"]
    loose, _, nested = read.cells
    assert (loose.metadata, loose.attachments, loose.extra) == ({}, None, {})
    assert nested.metadata == {"keep": 1, "nan": None}


def test_an_empty_or_foreign_document_reads_as_an_empty_notebook() -> None:
    doc: Doc[Any] = Doc()
    assert read_shape(doc).cells == ()
    doc.get("notebook", type=Map)["metadata"] = "nonsense"
    doc.get("notebook", type=Map)["nbformat_minor"] = "nonsense"
    assert read_shape(doc).metadata == {}
    assert read_shape(doc).nbformat_minor == 5


def test_cells_at_one_position_are_in_the_order_of_their_ids() -> None:
    doc: Doc[Any] = Doc()
    for name in "cab":
        doc.get("cells", type=Map)[name] = good()
    assert [one.id for one in read_shape(doc).cells] == ["a", "b", "c"]


def test_numbers_are_told_apart_as_a_browser_does() -> None:
    assert equal_as_json({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert not equal_as_json(1, True)
    assert not equal_as_json({"a": 1}, {"a": 1, "b": None})
    assert as_it_was({"a": 1, "b": 2, "c": 3}, {"a": 1.0, "b": 5.0}) == {"a": 1.0, "b": 2, "c": 3}


# Positions

KNOWN = [  # made by the npm package fractional-indexing
    (None, "a0", "Zz"),
    ("a0", "a1", "a0V"),
    ("a0V", "a1", "a0l"),
    ("Zz", "a0", "ZzV"),
    ("az", None, "b00"),
    ("a0", "a0V", "a0G"),
    (None, "Zz", "Zy"),
    ("a0", "a0G", "a08"),
    ("a1", "a2V", "a2"),
    (None, "Y00", "Xzzz"),
    ("a00V", "a01", "a00l"),
    ("z" * 27, None, "z" * 27 + "V"),
]


def test_positions_are_those_the_browser_makes() -> None:
    for before, after, between in KNOWN:
        assert position_between(before, after) == between
    assert positions(63)[:2] + positions(63)[-2:] == ["a0", "a1", "az", "b00"]


@given(st.lists(st.integers(0, 10**9), max_size=80))
def test_there_is_always_a_position_between_two(places: list[int]) -> None:
    keys = positions(2)
    for place in places:
        index = place % (len(keys) + 1)
        before = keys[index - 1] if index else None
        after = keys[index] if index < len(keys) else None
        key = position_between(before, after)
        assert before is None or before < key
        assert after is None or key < after
        keys.insert(index, key)


def test_positions_that_are_no_keys_still_give_one_behind() -> None:
    for before, after in (("a0", "a0"), ("a1", "a0"), ("0", "1"), ("!", None), ("a00", "a01"), ("", "a")):
        assert position_between(before, after) > before
