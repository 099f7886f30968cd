"""What changed in a file comes in as edits: the right ones, no more than needed, and only once."""

from __future__ import annotations

import os
import random
from typing import Any

import msgspec
import pytest
from pycrdt import Doc, Text

from notebooks_app.notebook_format import Cell, Notebook
from notebooks_app.sync.file_base import FileBase, KeptBase, base_of, decode_base, encode_base, with_ids_of
from notebooks_app.sync.outside_change import merge_into, restore_into
from notebooks_app.sync.replica import load_replica, record_changes
from notebooks_app.sync.shape import cells_of, read_shape, seed


def cell(cell_id: str, source: str, **fields: Any) -> Cell:
    return Cell(cell_type="code", id=cell_id, source=source, **fields)


def notebook(*cells: Cell, **metadata: Any) -> Notebook:
    return Notebook(cells=cells, metadata=metadata)


def content(replica: Doc[Any]) -> list[tuple[str | None, str, str]]:
    return [(one.id, one.cell_type, one.source) for one in read_shape(replica).cells]


def wanted(it: Notebook) -> list[tuple[str | None, str, str]]:
    return [(one.id, one.cell_type, one.source) for one in it.cells]


def changed_at_random(it: Notebook, chance: random.Random) -> Notebook:
    cells: list[Cell] = []
    for one in it.cells:
        roll = chance.random()
        if roll < 0.1:
            continue
        if roll < 0.3:
            text = list(one.source)
            at = chance.randrange(len(text) + 1)
            text[at : at + chance.randrange(3)] = chance.choice(["😀", "é", "\n", "abc"])
            one = msgspec.structs.replace(one, source="".join(text), metadata={"step": roll})
        elif roll > 0.9:
            cells.append(Cell(cell_type="markdown", id=f"n{chance.randrange(10**9)}", source="new 漢字"))
        cells.append(one)
    if cells and chance.random() < 0.5:
        cells.insert(chance.randrange(len(cells)), cells.pop(chance.randrange(len(cells))))
    return msgspec.structs.replace(it, cells=tuple(cells), metadata={**it.metadata, "m": chance.random()})


def test_random_changes_come_in_wholly_and_a_second_time_change_nothing() -> None:
    seed_number = int.from_bytes(os.urandom(4), "big")
    print("seed", seed_number)
    chance = random.Random(seed_number)
    before = notebook(*(cell(f"c{n}", f"# é😀 {n}\nx = {n}\n" * 3, metadata={"n": n}) for n in range(12)))
    base = base_of(before, "sha")
    for _ in range(100):
        replica = load_replica(seed(before))
        theirs = changed_at_random(before, chance)
        assert merge_into(replica, base, theirs).conflicts == []
        assert content(replica) == wanted(theirs)
        assert read_shape(replica).metadata == theirs.metadata
        with record_changes(replica) as changes:
            merge_into(replica, base, theirs)
        assert changes == []
        restore_into(replica, before)
        assert content(replica) == wanted(before)
        assert read_shape(replica).metadata == before.metadata


def test_an_edit_elsewhere_in_the_text_is_not_disturbed() -> None:
    """Somebody types at the end while a change of the beginning comes in: both texts, no duplicate."""
    before = notebook(cell("a", "first line 😀\nlast line"))
    snapshot = seed(before)
    typist, merger = load_replica(snapshot), load_replica(snapshot)
    with record_changes(typist) as typed:
        source = cells_of(typist)["a"]["source"]
        assert isinstance(source, Text)
        source.insert(len(str(source).encode()), " typed")
    with record_changes(merger) as merged:
        merge_into(merger, base_of(before, "sha"), notebook(cell("a", "first 漢 line 😀\nlast line")))
    (cell_after,) = read_shape(load_replica(snapshot, [*typed, *merged])).cells
    assert cell_after.source == "first 漢 line 😀\nlast line typed"


def test_a_text_cut_within_a_character_is_replaced_as_a_whole() -> None:
    from notebooks_app.sync.outside_change import replace_text

    replica = load_replica(seed(notebook(cell("a", "x"))))
    raw = cells_of(replica)["a"]
    for text in ("é😀", "😀", "", "漢😀é" * 50):
        replace_text(raw, text)
        assert str(raw["source"]) == text


def test_both_moving_cells_leaves_ours() -> None:
    before = notebook(*(cell(name, name) for name in "abc"))
    replica = load_replica(seed(before))
    restore_into(replica, notebook(*(cell(name, name) for name in "cab")))
    merge_into(replica, base_of(before, "sha"), notebook(*(cell(name, name) for name in "bca")))
    assert [one.id for one in read_shape(replica).cells] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("ours", "theirs", "result", "is_conflict"),
    [
        ({"k": 1}, {"k": 2}, {"k": 2}, False),
        ({"k": 5}, {"k": 1}, {"k": 5}, False),
        ({"k": 5}, {"k": 2}, {"k": 5}, True),
        ({"k": 2}, {"k": 2}, {"k": 2}, False),
        ({"k": 1}, {}, {}, False),
        ({}, {"k": 1}, {}, False),
        ({"k": 1}, {"k": 1, "new": {"a": [1]}}, {"k": 1, "new": {"a": [1]}}, False),
    ],
)
def test_metadata_is_merged_by_key(
    ours: dict[str, Any], theirs: dict[str, Any], result: dict[str, Any], is_conflict: bool
) -> None:
    before = notebook(cell("a", "x", metadata={"k": 1}), k=1)
    replica = load_replica(seed(before))
    restore_into(replica, notebook(cell("a", "x", metadata=ours), **ours))
    merge = merge_into(replica, base_of(before, "sha"), notebook(cell("a", "x", metadata=theirs), **theirs))
    read = read_shape(replica)
    assert (read.cells[0].metadata, read.metadata) == (result, result)
    assert bool(merge.conflicts) == is_conflict


def test_outputs_that_differ_are_told() -> None:
    outputs = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    before = notebook(cell("a", "1"), cell("b", "2", outputs=outputs))
    theirs = notebook(cell("a", "1", outputs=outputs), cell("b", "2", outputs=outputs))
    merge = merge_into(load_replica(seed(before)), base_of(before, "sha"), theirs)
    assert [one.id for one in merge.outputs] == ["a"]


def test_a_whole_new_notebook_is_taken_in_quickly() -> None:
    theirs = notebook(*(cell(f"c{n}", f"x = {n}\n" * 20) for n in range(2_000)))
    replica = load_replica(seed(notebook()))
    merge_into(replica, FileBase(sha256=""), theirs)
    assert content(replica) == wanted(theirs)


# The base


def test_a_base_is_kept_as_it_is() -> None:
    base = base_of(notebook(cell("a", "é😀", metadata={"f": 1.0, "i": 2**70, "s": "\ud800"}), k=1), "sha")
    kept = KeptBase(current=base, coming=base)
    assert decode_base(encode_base(kept)) == kept


@pytest.mark.parametrize(
    "data", [b"", b"garbage", encode_base(KeptBase())[:-3], b"x\x9c\x03\x00\x00\x00\x00\x01"]
)
def test_a_damaged_base_is_none(data: bytes) -> None:
    assert decode_base(data) == KeptBase()


def test_cells_without_ids_are_told_by_their_place_and_text() -> None:
    known = base_of(notebook(cell("a", "one"), cell("b", "two"), cell("c", "three")), "sha").cells
    read = Notebook(
        nbformat_minor=4,
        cells=tuple(Cell(cell_type="code", source=text) for text in ("zero", "one", "two!", "three", "four")),
    )
    ids = [one.id for one in with_ids_of(read, known).cells]
    assert ids[1:4] == ["a", "b", "c"]
    assert len(set(ids)) == 5
    assert None not in ids
