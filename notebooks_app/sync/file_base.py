"""What a notebook file held when the hub last read or wrote it: the base of a three-way merge. Pure."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, cast

import msgspec

from notebooks_app.notebook_format import Cell, Notebook, with_cell_ids
from notebooks_app.notebook_format.contents import FIRST_MINOR_WITH_IDS, CellType

_MAX_BASE_BYTES = 256 * 1024 * 1024


class BaseCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of the file; of its outputs only what they were, not the outputs."""

    id: str
    cell_type: str
    source: str
    metadata: dict[str, Any] = {}
    attachments: dict[str, Any] | None = None
    extra: dict[str, Any] = {}
    outputs_sha256: str = ""


class FileBase(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256` is that of the file's bytes."""

    sha256: str
    cells: list[BaseCell] = []
    metadata: dict[str, Any] = {}
    nbformat_minor: int = 5
    extra: dict[str, Any] = {}


class KeptBase(msgspec.Struct, frozen=True, kw_only=True):
    """What the row keeps. `coming` is what an export is about to write: should it end between the file
    and the row, the next one knows that file for the hub's own."""

    current: FileBase | None = None
    coming: FileBase | None = None


def base_of(notebook: Notebook, sha256: str) -> FileBase:
    """Every cell has an id (`with_cell_ids`)."""
    return FileBase(
        sha256=sha256,
        cells=[
            BaseCell(
                id=cell.id or "",
                cell_type=cell.cell_type,
                source=cell.source,
                metadata=cell.metadata,
                attachments=cell.attachments,
                extra=cell.extra,
                outputs_sha256=outputs_sha256(cell),
            )
            for cell in notebook.cells
        ],
        metadata=notebook.metadata,
        nbformat_minor=notebook.nbformat_minor,
        extra=notebook.extra,
    )


def as_cell(cell: BaseCell) -> Cell:
    return Cell(
        id=cell.id,
        cell_type=cast("CellType", cell.cell_type),
        source=cell.source,
        metadata=cell.metadata,
        attachments=cell.attachments,
        extra=cell.extra,
    )


def outputs_sha256(cell: Cell) -> str:
    """Tells apart what cells show; empty for a cell that never ran."""
    if not cell.outputs and cell.execution_count is None:
        return ""
    content = json.dumps([cell.execution_count, cell.outputs], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def encode_base(kept: KeptBase) -> bytes:
    # Not by msgspec: it turns whole numbers beyond 64 bits into floats.
    text = json.dumps(msgspec.to_builtins(kept), ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 6)


def decode_base(data: bytes) -> KeptBase:
    """An empty one when there is none; it can be made again, so a damaged one is none."""
    if not data:
        return KeptBase()
    try:
        unpacked = zlib.decompressobj().decompress(data, _MAX_BASE_BYTES)
        return msgspec.convert(json.loads(unpacked.decode("utf-8", "surrogatepass")), type=KeptBase)
    except (zlib.error, ValueError, msgspec.MsgspecError):
        return KeptBase()


def with_ids_of(notebook: Notebook, known: Sequence[BaseCell]) -> Notebook:
    """The notebook with an id on every cell; a file without ids (below nbformat 4.5) gets those that
    its cells had before, as far as the cells can be told."""
    if notebook.nbformat_minor >= FIRST_MINOR_WITH_IDS and all(cell.id for cell in notebook.cells):
        return notebook
    taken = {cell.id for cell in notebook.cells if cell.id}
    cells = list(notebook.cells)

    def adopt(index: int, before: BaseCell) -> None:
        if cells[index].id is None and before.id not in taken:
            taken.add(before.id)
            cells[index] = msgspec.structs.replace(cells[index], id=before.id)

    old = [(cell.cell_type, cell.source) for cell in known]
    new = [(cell.cell_type, cell.source) for cell in notebook.cells]
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, False).get_opcodes():
        if tag in ("equal", "replace"):
            # Changed cells between unchanged ones are the same cells, as far as their types agree.
            for before, index in zip(known[old_start:old_end], range(new_start, new_end), strict=False):
                if tag == "equal" or before.cell_type == cells[index].cell_type:
                    adopt(index, before)
    return with_cell_ids(msgspec.structs.replace(notebook, cells=tuple(cells)))
