"""Documents that are edited and exported: what the suites of exports share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Map

from notebooks_app.models import Document
from notebooks_app.services.documents import export_document
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.outside_change import replace_text
from notebooks_app.sync.replica import record_changes
from notebooks_app.sync.shape import cells_of, read_shape
from notebooks_app.sync.update_log import document_key, load_live, update_publications
from notebooks_app.wire import blocking_transport


def edit(document: Document, change: Callable[[Doc[Any]], object], *, is_compacted: bool = True) -> None:
    """A person's edit, acknowledged and, unless said otherwise, compacted by the recorder."""
    replica = load_live(document)
    with record_changes(replica) as changes, replica.transaction():
        change(replica)
    blocking_transport().write(update_publications(document_key(document), document.epoch, changes))
    if is_compacted:
        compact(str(document.pk))


def set_source(cell_id: str, text: str) -> Callable[[Doc[Any]], object]:
    return lambda replica: replace_text(cells_of(replica)[cell_id], text)


def put_cell(cell_id: str, made: Map[Any], replica: Doc[Any]) -> None:
    cells_of(replica)[cell_id] = made


def export(document: Document) -> bool:
    return export_document(str(document.pk))


def live_sources(document: Document) -> list[str]:
    return [one.source for one in read_shape(load_live(document)).cells]


def reloaded(document: Document) -> Document:
    return Document.objects.get(pk=document.pk)
