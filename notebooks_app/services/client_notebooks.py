"""Notebooks as programs outside the browser read and save them: whole files, while people may have them open.

A save says nothing of what it started from. So the hub remembers what each client last read or saved, and merges a
save from there: what others changed since stays, as it does when a file changes outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from datetime import timedelta

import msgspec
import structlog
from django.db import transaction
from django.utils import timezone

from kernels_app.bus.transport import TransportError
from notebooks_app.errors import NotFound, Unavailable
from notebooks_app.models import Document, Project, ServedNotebook
from notebooks_app.notebook_format import Notebook, read_notebook, with_cell_ids, write_notebook
from notebooks_app.services.documents import notebook_bytes
from notebooks_app.services.documents_content import (
    fold_cells,
    keep_outputs,
    live_notebook,
    tell_outputs,
    with_outputs,
)
from notebooks_app.services.documents_file import export_document, keep_beside, read_notebook_file
from notebooks_app.services.documents_versions import save_version
from notebooks_app.services.files import write_file
from notebooks_app.storage.content_store import Entry
from notebooks_app.storage.paths import split_path
from notebooks_app.storage.project_files import content_store
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.file_base import (
    BaseCell,
    FileBase,
    KeptBase,
    base_of,
    decode_base,
    encode_base,
    outputs_sha256,
    with_ids_of,
)
from notebooks_app.sync.outside_change import merge_into
from notebooks_app.sync.replica import record_changes
from notebooks_app.sync.update_log import document_key, load_live, update_publications
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.models import User

log = structlog.get_logger(__name__)

SERVED_KEPT = timedelta(days=30)  # a client that saves after longer is merged as one that never read


def document_at(project: Project, path: str) -> Document | None:
    """The live document of a notebook file, if it was ever opened."""
    shown = "/".join(split_path(path, allows_hidden=project.allows_hidden_files))
    return Document.objects.select_related("project").filter(project=project, path=shown).first()


def settle_notebook(project: Project, path: str) -> bool:
    """Writes what is live into the file, so that reading the file is reading what people see. Whether it is all there.

    Raises Unavailable.
    """
    document = document_at(project, path)
    if document is None:
        return True
    try:
        compact(str(document.pk))
        return export_document(str(document.pk))
    except TransportError as error:
        raise Unavailable("The hub's message server does not answer. Try again in a moment.") from error


def read_notebook_now(project: Project, path: str) -> tuple[Entry, Notebook]:
    """The notebook as people see it, live edits and outputs included.

    Raises NotFound, NotANotebook, NotebookTooOld, NotebookTooLarge, Unavailable.
    """
    is_settled = settle_notebook(project, path)
    store = content_store(project)
    document = None if is_settled else document_at(project, path)
    if document is None:
        sha256, data, notebook = read_notebook_file(store, path)
    else:  # a full disk, say: what people see is read all the same
        data = notebook_bytes(document)
        sha256, notebook = hashlib.sha256(data).hexdigest(), read_notebook(data)
    entry = store.entry(path)
    return msgspec.structs.replace(entry, size_bytes=len(data), sha256=sha256, etag=sha256), notebook


def read_client_notebook(
    project: Project, path: str, *, client: str
) -> tuple[Entry, Notebook, frozenset[str]]:
    """As `read_notebook_now`, with the cells whose outputs the client trusts; remembered as what it has."""
    entry, notebook = read_notebook_now(project, path)
    row = ServedNotebook.objects.filter(project=project, path=entry.path, client=client).first()
    trusted = frozenset() if row is None else _still_trusted(row, notebook)
    remember(project, entry.path, client, notebook, trusted)
    return entry, notebook, trusted


def _still_trusted(row: ServedNotebook, notebook: Notebook) -> frozenset[str]:
    """Of the cells trusted once, those that show the same still: everybody who may edit can change the others."""
    base = decode_base(bytes(row.base)).current
    known = {} if base is None else {cell.id: cell.outputs_sha256 for cell in base.cells}
    return frozenset(
        cell.id or ""
        for cell in notebook.cells
        if cell.id in row.trusted_cells and known.get(cell.id or "") == outputs_sha256(cell)
    )


def save_client_notebook(
    project: Project,
    path: str,
    notebook: Notebook,
    *,
    client: str | None,
    user: User,
    trusted: Set[str] = frozenset(),
) -> tuple[Entry, bool]:
    """Saves a notebook: the entry and whether it is new. An open one gets it as edits that everyone sees.

    Without a client it is to be exactly this, whatever is there; a version of that is kept.

    Where a client and a person changed the same lines, the person's stay, and the client's notebook is kept
    beside as a file. Raises Unavailable, DiskFull, Invalid.
    """
    document = document_at(project, path)
    if document is not None:
        settle_notebook(project, path)
        document = document_at(project, path)
    if document is None or not _is_there(document):
        # The bytes of a client that saves the whole: nobody has it open. One that is opened meanwhile takes it in.
        written = write_file(project, path, [write_notebook(notebook)])
        if client is not None:
            remember(project, written.entry.path, client, notebook, trusted)
        return written.entry, written.is_new
    try:
        _merge_save(document, notebook, client=client, user=user, trusted=trusted)
    except TransportError as error:
        raise Unavailable(
            "The hub's message server does not answer. Nothing was saved: try again."
        ) from error
    settle_notebook(project, path)
    return content_store(project).entry(path), False


def _is_there(document: Document) -> bool:
    try:
        content_store(document.project).entry(document.path)
    except NotFound:
        return False
    return True


def _merge_save(
    document: Document, notebook: Notebook, *, client: str | None, user: User, trusted: Set[str]
) -> None:
    base = None if client is None else _remembered(document.project, document.path, client)
    if base is None:
        # Nothing tells what the client started from: it may take anything away. What was there can be gone back to.
        save_version(document, user=user, reason="auto")
    with transaction.atomic():
        row = Document.objects.select_for_update(no_key=True).select_related("project").get(pk=document.pk)
        replica = load_live(row)
        if base is None:
            live = live_notebook(replica, decode_base(bytes(row.file_base)).current)
            base = base_of(with_cell_ids(with_outputs(row, live)), "")
        theirs = aligned(notebook, base.cells)
        with record_changes(replica) as changes:
            merge = merge_into(replica, base, theirs)
        if merge.conflicts:
            keep_beside(content_store(row.project), row.path, write_notebook(theirs), "not merged")
            log.warning("client_save_kept", document_id=str(row.pk), cell_count=len(merge.conflicts))
        keep_outputs(row, fold_cells(merge.outputs))
        # First the wire, then the rows: ended between the two, the client saves again and finds its edits there.
        if changes:
            blocking_transport().write(update_publications(document_key(row), row.epoch, changes))
        if row.dirty_since is None and (changes or merge.outputs):
            row.dirty_since = timezone.now()
            row.save(update_fields=["dirty_since"])
        if client is not None:
            remember(row.project, row.path, client, theirs, trusted)
    if merge.outputs:
        tell_outputs(row)


def aligned(notebook: Notebook, known: Sequence[BaseCell]) -> Notebook:
    """The notebook with the ids that its cells have here. A client that read a file without ids gives them its own."""
    known_ids = {cell.id for cell in known}
    if known_ids and notebook.cells and not any(cell.id in known_ids for cell in notebook.cells):
        bare = tuple(msgspec.structs.replace(cell, id=None) for cell in notebook.cells)
        notebook = msgspec.structs.replace(notebook, cells=bare)
    return with_cell_ids(with_ids_of(notebook, known))


def remember(
    project: Project, path: str, client: str, notebook: Notebook, trusted: Set[str] = frozenset()
) -> None:
    """Makes this notebook what the client is known to have, and to trust."""
    data = write_notebook(notebook)
    sha256 = hashlib.sha256(data).hexdigest()
    served = ServedNotebook.objects.filter(project=project, path=path, client=client)
    if served.filter(
        content_sha256=sha256, trusted_cells=sorted(trusted), served_at__gt=timezone.now() - timedelta(days=1)
    ).exists():
        return
    base = encode_base(KeptBase(current=base_of(with_cell_ids(notebook), sha256)))
    ServedNotebook.objects.update_or_create(
        project=project,
        path=path,
        client=client,
        defaults={"content_sha256": sha256, "base": base, "trusted_cells": sorted(trusted)},
    )


def _remembered(project: Project, path: str, client: str) -> FileBase | None:
    row = ServedNotebook.objects.filter(project=project, path=path, client=client).first()
    return None if row is None else decode_base(bytes(row.base)).current


def forget_served_notebooks() -> int:
    """Drops what clients read long ago; how many rows."""
    count, _ = ServedNotebook.objects.filter(served_at__lt=timezone.now() - SERVED_KEPT).delete()
    return count
