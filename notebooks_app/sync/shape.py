"""A notebook as a Yjs document and back (docs/reference/documents.md, "Shape of the Yjs document").

Reading never fails: what clients wrote may be anything, and a cell that is not of the shape is left
out. Outputs are not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

from pycrdt import Doc, Map, Text

from notebooks_app.notebook_format import Cell, Notebook
from notebooks_app.notebook_format.contents import CELL_ID, CellType
from notebooks_app.sync.positions import POSITION, positions
from notebooks_app.sync.replica import encode_since

CELL_TYPES: tuple[str, ...] = get_args(CellType)
_MAX_EXACT = 2**53 - 1
_MAX_DEPTH = 64


def seed(notebook: Notebook) -> bytes:
    """The update a new document starts with. Every cell has an id already (`with_cell_ids`)."""
    replica: Doc[Any] = Doc()
    with replica.transaction():
        top = replica.get("notebook", type=Map)
        top["nbformat"] = notebook.nbformat
        top["nbformat_minor"] = notebook.nbformat_minor
        top["metadata"] = Map(for_yjs(notebook.metadata))
        if notebook.extra:
            top["extra"] = for_yjs(notebook.extra)
        cells = cells_of(replica)
        for cell, position in zip(notebook.cells, positions(len(notebook.cells)), strict=True):
            assert cell.id is not None
            cells[cell.id] = new_cell(cell, position)
    return encode_since(replica)


def cells_of(replica: Doc[Any]) -> Map[Any]:
    cells: Map[Any] = replica.get("cells", type=Map)
    return cells


def new_cell(cell: Cell, position: str) -> Map[Any]:
    """A cell to be put into the map of cells."""
    content: dict[str, Any] = {
        "type": cell.cell_type,
        "source": Text(cell.source),
        "metadata": Map(for_yjs(cell.metadata)),
        "position": position,
    }
    if cell.attachments is not None:
        content["attachments"] = for_yjs(cell.attachments)
    if cell.extra:
        content["extra"] = for_yjs(cell.extra)
    return Map(content)


def read_shape(replica: Doc[Any]) -> Notebook:
    """The notebook, without outputs."""
    with replica.transaction():
        top = replica.get("notebook", type=Map)
        return Notebook(
            cells=tuple(cell for _, cell in cells_in_order(replica)),
            metadata=_read_map(top.get("metadata")),
            nbformat=4,
            nbformat_minor=_read_minor(top.get("nbformat_minor")),
            extra=_read_object(top.get("extra")) or {},
        )


def cells_in_order(replica: Doc[Any]) -> list[tuple[str, Cell]]:
    """Position and content of each cell of the right shape, in the order of the notebook."""
    found = [
        (str(raw["position"]), cell)
        for cell_id, raw in _maps(cells_of(replica))
        if (cell := _read_cell(cell_id, raw)) is not None
    ]
    found.sort(key=lambda one: (one[0], one[1].id or ""))
    return found


def _maps(cells: Map[Any]) -> Iterator[tuple[str, Map[Any]]]:
    for cell_id, raw in cells.items():
        if isinstance(raw, Map):
            yield cell_id, raw


def _read_cell(cell_id: str, raw: Map[Any]) -> Cell | None:
    cell_type, source, position = raw.get("type"), raw.get("source"), raw.get("position")
    if (
        CELL_ID.fullmatch(cell_id) is None
        or cell_type not in CELL_TYPES
        or not isinstance(source, Text)
        or not isinstance(position, str)
        or POSITION.fullmatch(position) is None
    ):
        return None
    return Cell(
        id=cell_id,
        cell_type=cast("CellType", cell_type),
        source=str(source),
        metadata=_read_map(raw.get("metadata")),
        attachments=_read_object(raw.get("attachments")),
        extra=_read_object(raw.get("extra")) or {},
    )


def _read_map(value: object) -> dict[str, Any]:
    """A metadata map; shared types in it are no JSON and left out."""
    if not isinstance(value, Map):
        return {}
    return {key: read for key, item in value.items() if (read := _read_json(item)) is not _NO_JSON}


def _read_object(value: object) -> dict[str, Any] | None:
    read = _read_json(value)
    return read if isinstance(read, dict) else None


def _read_minor(value: object) -> int:
    """nbformat 4.0 to 4.5 are known; anything else is written as the newest."""
    return int(value) if isinstance(value, int | float) and 0 <= value <= 5 and value == int(value) else 5


_NO_JSON = object()


def _read_json(value: object, depth: int = 0) -> Any:
    """A JSON value as Python has it: numbers of JavaScript that are whole become int again."""
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            if not math.isfinite(value):
                return None
            return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else value
        case list() if depth < _MAX_DEPTH:
            items = [_read_json(item, depth + 1) for item in value]
            return [None if item is _NO_JSON else item for item in items]
        case dict() if depth < _MAX_DEPTH:
            read = {str(key): _read_json(item, depth + 1) for key, item in value.items()}
            return {key: item for key, item in read.items() if item is not _NO_JSON}
        case _:
            return _NO_JSON


def for_yjs(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same as Yjs can hold it: whole numbers beyond 2**53 would be BigInt, which is no JSON there."""
    return cast("dict[str, Any]", _for_yjs(value, 0))


def _for_yjs(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    match value:
        case bool() | None | str():
            return value
        case int():
            return value if abs(value) <= _MAX_EXACT else float(value)
        case list():
            return [_for_yjs(item, depth + 1) for item in value]
        case Mapping():
            return {key: _for_yjs(item, depth + 1) for key, item in value.items()}
        case _:
            return value


def equal_as_json(one: Any, other: Any) -> bool:
    """Whether a browser could tell the two apart: 1 and 1.0 are the same, 1 and true are not."""
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case (int() | float(), int() | float()):
            return float(one) == float(other)
        case (dict(), dict()):
            return one.keys() == other.keys() and all(equal_as_json(one[key], other[key]) for key in one)
        case (list(), list()):
            return len(one) == len(other) and all(map(equal_as_json, one, other))
        case _:
            return bool(one == other)


def as_it_was(value: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """`value` with each entry that a browser cannot tell from the one in `before` exactly as it was there."""
    return {
        key: before[key] if key in before and equal_as_json(item, before[key]) else item
        for key, item in value.items()
    }
