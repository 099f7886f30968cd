"""What a notebook file holds, in a neutral form. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

CellType = Literal["code", "markdown", "raw"]
ErrorCode = Literal["not_a_notebook", "notebook_too_old", "notebook_too_large"]

# nbformat 4.5, definition `cell_id`.
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
FIRST_MINOR_WITH_IDS = 5


class NotebookError(Exception):
    """A file that cannot be opened as a notebook. `str()` is a sentence for a person."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell. `extra` holds the fields this hub does not know, as they came."""

    cell_type: CellType
    source: str
    id: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    attachments: dict[str, Any] | None = None
    # Code cells only. nbformat's outputs, multi-line strings joined.
    outputs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    execution_count: int | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Notebook(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook of nbformat 4. `extra` holds unknown top-level fields. No id occurs twice."""

    cells: tuple[Cell, ...] = ()
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    nbformat: int = 4
    nbformat_minor: int = 5
    extra: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def kernelspec_name(self) -> str | None:
        """The kernel the notebook asks for, when it names one."""
        kernelspec = self.metadata.get("kernelspec")
        name = kernelspec.get("name") if isinstance(kernelspec, dict) else None
        return name if isinstance(name, str) and name else None


def with_cell_ids(notebook: Notebook) -> Notebook:
    """The notebook with an id on every cell, no id twice.

    The same notebook always gets the same ids, so that two people who open one file at the same
    moment, or a file that is read again, do not end with two of each cell.
    """
    taken = {cell.id for cell in notebook.cells if cell.id is not None}
    if len(taken) == len(notebook.cells):
        return notebook
    cells: list[Cell] = []
    seen: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        if cell.id is not None and cell.id not in seen:
            seen.add(cell.id)
            cells.append(cell)
            continue
        made = _made_id(index, cell, taken)
        taken.add(made)
        seen.add(made)
        cells.append(msgspec.structs.replace(cell, id=made))
    return msgspec.structs.replace(notebook, cells=tuple(cells))


def _made_id(index: int, cell: Cell, taken: set[str]) -> str:
    for attempt in range(len(taken) + 1):
        text = f"{attempt}\0{index}\0{cell.cell_type}\0{cell.source}"
        made = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        if made not in taken:
            return made
    raise AssertionError("more hashes than ids are taken")
