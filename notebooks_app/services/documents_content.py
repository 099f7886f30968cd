"""What a live document holds now: its authored cells, and with them what they produced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from pycrdt import Doc

from kernels_app.bus.identifiers import DocumentId, run_rows_replaced, run_topic
from kernels_app.bus.operations import ROWS_REPLACED
from kernels_app.bus.transport import Publication, TransportError
from notebooks_app.models import CellOutput, Document
from notebooks_app.notebook_format import Cell, Notebook, fold_outputs, unfold_outputs
from notebooks_app.services.blobs import load_any_blob, refer_to_blobs
from notebooks_app.storage.blobs import store_blob
from notebooks_app.sync.file_base import BaseCell, FileBase
from notebooks_app.sync.shape import as_it_was, read_shape
from notebooks_app.sync.update_log import load_live
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

# A page that was away for longer than this and then comes back loads anew anyway.
REPLACED_S = 24 * 3600.0
_BUSY_STATES = ("queued", "running")


@dataclass(frozen=True)
class LiveCell:
    cell_id: str
    source: str


@dataclass(frozen=True)
class LiveNotebook:
    """The authored content as a run needs it: code cells in order, and the notebook's metadata."""

    code_cells: Sequence[LiveCell]
    metadata: Mapping[str, Any]


def read_live_notebook(document: Document) -> LiveNotebook:
    """With every update that is on the wire. Raises TransportError."""
    notebook = read_shape(load_live(document))
    cells = [LiveCell(cell.id or "", cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    return LiveNotebook(cells, notebook.metadata)


def read_whole_notebook(document: Document, base: FileBase | None = None) -> Notebook:
    """The notebook with its outputs, as it is exported. Raises TransportError."""
    return with_outputs(document, live_notebook(load_live(document), base))


def live_notebook(replica: Doc[Any], base: FileBase | None) -> Notebook:
    """The authored content; what a browser cannot have changed reads exactly as it was in the file."""
    notebook = read_shape(replica)
    if base is None:
        return notebook
    before = {cell.id: cell for cell in base.cells}
    cells = []
    for cell in notebook.cells:
        was = before.get(cell.id or "")
        cells.append(cell if was is None else _cell_as_it_was(cell, was))
    return msgspec.structs.replace(
        notebook,
        cells=tuple(cells),
        metadata=as_it_was(notebook.metadata, base.metadata),
        extra=as_it_was(notebook.extra, base.extra),
    )


def _cell_as_it_was(cell: Cell, was: BaseCell) -> Cell:
    attachments = cell.attachments
    if attachments is not None and was.attachments is not None:
        attachments = as_it_was(attachments, was.attachments)
    return msgspec.structs.replace(
        cell,
        metadata=as_it_was(cell.metadata, was.metadata),
        attachments=attachments,
        extra=as_it_was(cell.extra, was.extra),
    )


def with_outputs(document: Document, notebook: Notebook) -> Notebook:
    rows = {row.cell_id: row for row in CellOutput.objects.filter(document=document)}

    def complete(cell: Cell) -> Cell:
        row = rows.get(cell.id or "")
        if row is None or cell.cell_type != "code":
            return cell
        outputs = unfold_outputs(row.outputs, load_any_blob)
        return msgspec.structs.replace(cell, outputs=outputs, execution_count=row.execution_count)

    return msgspec.structs.replace(notebook, cells=tuple(map(complete, notebook.cells)))


@dataclass(frozen=True)
class FoldedOutputs:
    """Outputs that came with a file, their large payloads in the blob store already (`sizes`: by SHA-256)."""

    cells: Sequence[tuple[Cell, list[dict[str, Any]]]]
    sizes: Mapping[str, int]


def fold_cells(cells: Iterable[Cell]) -> FoldedOutputs:
    """Writes blobs, which may take a while: outside a transaction where that can be."""
    sizes: dict[str, int] = {}

    def store(data: bytes) -> dict[str, Any]:
        sha256 = store_blob(data)
        sizes[sha256] = len(data)
        return {"sha256": sha256, "size_bytes": len(data)}

    folded = [(cell, fold_outputs(cell.outputs, store)) for cell in cells if cell.cell_type == "code"]
    return FoldedOutputs(folded, sizes)


def keep_outputs(document: Document, folded: FoldedOutputs) -> None:
    """Makes the outputs the cells' own, in the caller's transaction. What is running now is not touched."""
    busy = set(
        CellOutput.objects.filter(document=document, state__in=_BUSY_STATES).values_list("cell_id", flat=True)
    )
    refer_to_blobs(document.pk, folded.sizes)
    rows = [
        CellOutput(
            document=document,
            cell_id=cell.id or "",
            execution_count=cell.execution_count,
            outputs=outputs,
            seq=document.log_seq,
        )
        for cell, outputs in folded.cells
        if cell.id not in busy
    ]
    CellOutput.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["document", "cell_id"],
        update_fields=[
            "execution_count",
            "outputs",
            "run_id",
            "state",
            "started_at",
            "finished_at",
            "queued_at",
        ],
    )


def tell_outputs(document: Document) -> None:
    """Brings outputs that `keep_outputs` put into the rows to the pages that are open, and to those that come back.
    After the transaction. While the wire is down they come with the next connection."""
    key = DocumentId(str(document.pk))
    try:
        blocking_transport().put_value(run_rows_replaced(key), b"1", ttl_s=REPLACED_S)
        blocking_transport().write([Publication(ROWS_REPLACED, topic=run_topic(key))])
    except TransportError as error:
        log.warning("outputs_not_told", document_id=key, error=str(error))


def has_outputs(cell: Cell) -> bool:
    return bool(cell.outputs) or cell.execution_count is not None
