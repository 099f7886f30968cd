"""Brings what changed in a file outside the hub into the live document, as ordinary edits.

Three notebooks are compared by cell: the file as the hub knew it (base), the file as it is (theirs), and
the live document (ours). Theirs is applied where ours did not change; where both did and lines cannot
be merged, ours stays and the caller is told, so that it keeps theirs as a file of its own.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from pycrdt import Doc, Map, Text

from notebooks_app.notebook_format import Cell, Notebook
from notebooks_app.sync.file_base import FileBase, as_cell, outputs_sha256
from notebooks_app.sync.positions import position_between
from notebooks_app.sync.shape import cells_in_order, cells_of, equal_as_json, for_yjs, new_cell, read_shape
from notebooks_app.sync.text_merge import Conflict, merge_texts, text_edits


@dataclass
class Merge:
    """`outputs`: cells whose outputs are others in the file. `conflicts`: cells where ours stayed."""

    outputs: list[Cell] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def merge_into(replica: Doc[Any], base: FileBase, theirs: Notebook) -> Merge:
    """Edits the replica; its update since before is what to publish."""
    merge = Merge()
    ours = {cell.id or "": cell for cell in read_shape(replica).cells}
    before = {cell.id: as_cell(cell) for cell in base.cells}
    their_cells = {cell.id or "": cell for cell in theirs.cells}
    with replica.transaction():
        cells = cells_of(replica)
        for cell_id in before.keys() - their_cells.keys():
            if cell_id in ours:
                if _is_same(ours[cell_id], before[cell_id]):
                    del cells[cell_id]
                else:
                    merge.conflicts.append(cell_id)
        for cell_id in their_cells.keys() & ours.keys():
            # A cell that both made (the hub's own export, read back) is compared with nothing.
            origin = before.get(cell_id) or Cell(cell_type=ours[cell_id].cell_type, source="")
            if not _merge_cell(cells[cell_id], origin, ours[cell_id], their_cells[cell_id]):
                merge.conflicts.append(cell_id)
        for cell_id in their_cells.keys() & before.keys() - ours.keys():
            if not _is_same(their_cells[cell_id], before[cell_id]):
                merge.conflicts.append(cell_id)  # deleted here, changed there
        _insert_and_move(replica, list(before), theirs.cells, deleted=before.keys() - ours.keys())
        top = replica.get("notebook", type=Map)
        if not _merge_map(top, "metadata", base.metadata, read_shape(replica).metadata, theirs.metadata):
            merge.conflicts.append("")
        if theirs.nbformat_minor != base.nbformat_minor:
            top["nbformat_minor"] = theirs.nbformat_minor
        if not equal_as_json(theirs.extra, base.extra):
            top["extra"] = for_yjs(theirs.extra)
    known_outputs = {cell.id: cell.outputs_sha256 for cell in base.cells}
    merge.outputs = [
        cell for cell in theirs.cells if outputs_sha256(cell) != known_outputs.get(cell.id or "", "")
    ]
    return merge


def restore_into(replica: Doc[Any], wanted: Notebook) -> None:
    """Edits the replica so that it reads as `wanted`, with no more changes than that takes."""
    ours = {cell.id or "": cell for cell in read_shape(replica).cells}
    wanted_ids = {cell.id or "" for cell in wanted.cells}
    with replica.transaction():
        cells = cells_of(replica)
        for cell_id in ours.keys() - wanted_ids:
            del cells[cell_id]
        for cell in wanted.cells:
            if cell.id in ours:
                _merge_cell(cells[cell.id], ours[cell.id], ours[cell.id], cell)
        _insert_and_move(replica, [cell.id or "" for cell in read_shape(replica).cells], wanted.cells)
        metadata = read_shape(replica).metadata
        _merge_map(replica.get("notebook", type=Map), "metadata", metadata, metadata, wanted.metadata)


def _is_same(one: Cell, other: Cell) -> bool:
    return (
        one.cell_type == other.cell_type
        and one.source == other.source
        and equal_as_json(one.metadata, other.metadata)
        and equal_as_json(one.attachments, other.attachments)
        and equal_as_json(one.extra, other.extra)
    )


def _merge_cell(raw: Map[Any], base: Cell, ours: Cell, theirs: Cell) -> bool:
    """False when both changed the same thing and ours stayed."""
    is_clean = True
    if theirs.cell_type not in (base.cell_type, ours.cell_type):
        raw["type"] = theirs.cell_type
    try:
        replace_text(raw, merge_texts(base.source, ours.source, theirs.source))
    except Conflict:
        is_clean = False
    is_clean &= _merge_map(raw, "metadata", base.metadata, ours.metadata, theirs.metadata)
    for name in ("attachments", "extra"):
        before, here, there = getattr(base, name), getattr(ours, name), getattr(theirs, name)
        if equal_as_json(there, here) or equal_as_json(there, before):
            continue
        if not equal_as_json(here, before):
            is_clean = False
        elif there:
            raw[name] = for_yjs(there)
        elif name in raw:
            del raw[name]
    return is_clean


def replace_text(raw: Map[Any], wanted: str) -> None:
    """Makes the cell's source read `wanted` by the smallest edits, so that what others type stays."""
    source = raw["source"]
    assert isinstance(source, Text)
    now = str(source)
    if now == wanted:
        return
    for edit in text_edits(now, wanted):
        if edit.removed_bytes:
            del source[edit.start_byte : edit.start_byte + edit.removed_bytes]
        if edit.inserted:
            source.insert(edit.start_byte, edit.inserted)
    if str(source) != wanted:
        # A client left half a character in the text: positions cannot be trusted there.
        raw["source"] = Text(wanted)


def _merge_map(
    owner: Map[Any], key: str, base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> bool:
    is_clean = True
    absent = object()
    for name in base.keys() | theirs.keys():
        before, here, there = base.get(name, absent), ours.get(name, absent), theirs.get(name, absent)
        if equal_as_json(there, here) or equal_as_json(there, before):
            continue
        if not equal_as_json(here, before):
            is_clean = False
            continue
        if not isinstance(owner.get(key), Map):
            owner[key] = Map()
        if there is absent:
            del owner[key][name]
        else:
            owner[key][name] = for_yjs({"": there})[""]
    return is_clean


def _insert_and_move(
    replica: Doc[Any], base_order: Sequence[str], wanted: Sequence[Cell], *, deleted: Set[str] = frozenset()
) -> None:
    """Puts in the cells that are new in `wanted`, and moves those that were moved there."""
    cells = cells_of(replica)
    wanted_order = [cell.id or "" for cell in wanted]
    place = {cell_id: index for index, cell_id in enumerate(base_order)}
    common = [cell_id for cell_id in wanted_order if cell_id in place]
    order = [(position, cell.id or "") for position, cell in cells_in_order(replica)]
    position_of = {cell_id: position for position, cell_id in order}
    moved: set[str] = set()
    common_set = set(common)
    ours = [place[cell_id] for _, cell_id in order if cell_id in common_set]
    if ours == sorted(ours):  # else the cells were moved here too, and stay as they are here
        staying = _longest_rising([place[cell_id] for cell_id in common])
        moved = {cell_id for cell_id in common if place[cell_id] not in staying}
    previous: str | None = None
    for cell in wanted:
        cell_id = cell.id or ""
        is_here = cell_id in position_of
        if not is_here and cell_id in deleted:
            continue
        if not is_here or cell_id in moved:
            if is_here:
                order.remove((position_of[cell_id], cell_id))
            index = 0 if previous is None else bisect_right(order, (position_of[previous], previous))
            before = order[index - 1][0] if index else None
            after = order[index][0] if index < len(order) else None
            position = position_between(before, after)
            if is_here:
                cells[cell_id]["position"] = position
            else:
                cells[cell_id] = new_cell(cell, position)
            position_of[cell_id] = position
            insort(order, (position, cell_id))
        previous = cell_id


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """A longest rising subsequence of distinct numbers: the cells that need not move."""
    tails: list[int] = []  # the smallest last number of a rising run, by its length
    before: dict[int, int | None] = {}
    for number in numbers:
        length = bisect_right(tails, number)
        before[number] = tails[length - 1] if length else None
        tails[length : length + 1] = [number]
    rising = set()
    at = tails[-1] if tails else None
    while at is not None:
        rising.add(at)
        at = before[at]
    return rising
