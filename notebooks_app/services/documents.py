"""Live documents: opened once from their file, found again under its name, exported to it."""

from __future__ import annotations

import secrets
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from kernels_app.bus.transport import TransportError
from notebooks_app.errors import HubError, NotebookTooLarge, NotFound, Unavailable
from notebooks_app.models import Checkpoint, Document, Project, ServedNotebook
from notebooks_app.notebook_format import with_cell_ids, write_notebook
from notebooks_app.services.documents_content import (
    LiveCell,
    LiveNotebook,
    fold_cells,
    has_outputs,
    keep_outputs,
    read_live_notebook,
    read_whole_notebook,
)
from notebooks_app.services.documents_file import export_document, read_notebook_file, take_in_file
from notebooks_app.storage.paths import split_path
from notebooks_app.storage.project_files import content_store
from notebooks_app.sync.compaction import compact
from notebooks_app.sync.file_base import KeptBase, base_of, decode_base, encode_base
from notebooks_app.sync.frames import CLOSE, SERVER_SENDER
from notebooks_app.sync.limits import MAX_DOCUMENT_BYTES
from notebooks_app.sync.shape import read_shape, seed
from notebooks_app.sync.update_log import document_key, load_live, topic_publication
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.models import User

__all__ = [
    "LiveCell",
    "LiveNotebook",
    "export_document",
    "flush_under",
    "follow_move",
    "live_kernelspec_name",
    "notebook_bytes",
    "open_document",
    "read_live_notebook",
    "read_whole_notebook",
]

log = structlog.get_logger(__name__)


def open_document(*, user: User, project: Project, path: str) -> Document:
    """The live document of a notebook file, with what changed in the file outside.

    Raises:
        NotFound: no such file, and nothing unsaved that would be in it.
        NotANotebook, NotebookTooOld, NotebookTooLarge: the file is none that can be opened.
        Unavailable: the wire is down.
    """
    shown = "/".join(split_path(path, allows_hidden=project.allows_hidden_files))
    document = Document.objects.filter(project=project, path=shown).select_related("project").first()
    if document is None:
        return _create(project, shown, timezone.now())
    try:
        take_in_file(document)
    except TransportError as error:
        raise Unavailable from error
    except HubError:
        # Gone or damaged outside. What is not in the file yet is still here to be worked on.
        document.refresh_from_db()
        if document.dirty_since is None:
            raise
    Document.objects.filter(pk=document.pk).update(last_opened_at=timezone.now())
    return document


def _create(project: Project, path: str, now: datetime) -> Document:
    sha256, _, notebook = read_notebook_file(content_store(project), path)
    notebook = with_cell_ids(notebook)
    snapshot = seed(notebook)
    if len(snapshot) > MAX_DOCUMENT_BYTES:
        raise NotebookTooLarge(
            f"The cells of this notebook have more than {MAX_DOCUMENT_BYTES // 1024**2} MB, mostly pictures in "
            "Markdown, presumably. Keep these as files beside it."
        )
    outputs = fold_cells(cell for cell in notebook.cells if has_outputs(cell))
    document = Document(
        project=project,
        path=path,
        epoch=secrets.token_hex(8),
        snapshot=snapshot,
        snapshot_version=1,
        file_sha256=sha256,
        file_base=encode_base(KeptBase(current=base_of(notebook, sha256))),
        last_opened_at=now,
    )
    try:
        with transaction.atomic():
            document.save(force_insert=True)
            keep_outputs(document, outputs)
    except IntegrityError:
        # Somebody else opened it at the same moment: theirs is the one.
        return Document.objects.select_related("project").get(project=project, path=path)
    return document


def live_kernelspec_name(document: Document) -> str | None:
    """The kernel that the notebook asks for, when it names one. Raises TransportError."""
    return read_shape(load_live(document)).kernelspec_name


def notebook_bytes(document: Document) -> bytes:
    """The notebook with its outputs, as the file would hold it now. Raises TransportError."""
    base = decode_base(bytes(document.file_base)).current
    return write_notebook(read_whole_notebook(document, base))


def _at_or_below(project: Project, path: str) -> Q:
    return Q(project=project) & (Q(path=path) | Q(path__startswith=f"{path}/") if path else Q())


def flush_under(project: Project, path: str) -> None:
    """Writes what is not in their files yet of the notebooks at or below `path`.

    Called before files are moved, copied, deleted or read as files. Never raises for a notebook that
    cannot be written: it stays dirty, and what is in it stays in the database.
    """
    for document_id in Document.objects.filter(_at_or_below(project, path)).values_list("pk", flat=True):
        try:
            compact(str(document_id))
            export_document(str(document_id))
        except (HubError, TransportError) as error:
            log.warning("flush_failed", document_id=str(document_id), kind=type(error).__name__)


def follow_move(project: Project, source: str, target: str) -> None:
    """Gives the documents at or below `source` their new paths. Called in the transaction of a move.

    A document that had the target's path loses its file to the moved one, and ends. What Jupyter clients have of the
    files (checkpoints, what they read) goes along.
    """
    for document in Document.objects.filter(_at_or_below(project, source)).order_by("path"):
        path = f"{target}{document.path[len(source) :]}"
        replaced = Document.objects.filter(project=project, path=path).exclude(pk=document.pk).first()
        if replaced is not None:
            close_sockets(replaced, NotFound())
            replaced.delete()
        Document.objects.filter(pk=document.pk).update(path=path)
    Checkpoint.objects.filter(_at_or_below(project, target)).delete()
    ServedNotebook.objects.filter(_at_or_below(project, target)).delete()
    for checkpoint in Checkpoint.objects.filter(_at_or_below(project, source)):
        checkpoint.path = f"{target}{checkpoint.path[len(source) :]}"
        checkpoint.save(update_fields=["path"])
    for served in ServedNotebook.objects.filter(_at_or_below(project, source)).only("path"):
        served.path = f"{target}{served.path[len(source) :]}"
        served.save(update_fields=["path"])


def forget_checkpoints(project: Project, path: str) -> None:
    """Of a file that is deleted, and of those in a folder: a new file of the name does not get them.

    The copies themselves go a day later (`checkpoints.forget_unused_checkpoints`).
    """
    Checkpoint.objects.filter(_at_or_below(project, path)).delete()


def close_sockets(document: Document, error: HubError) -> None:
    """Ends every socket of the document with the error's close code, once the transaction is committed."""
    publication = topic_publication(
        document_key(document), SERVER_SENDER, bytes([CLOSE]) + str(error.close_code).encode("ascii")
    )

    def publish() -> None:
        try:
            blocking_transport().write([publication])
        except TransportError:
            log.warning("close_not_sent", document_id=str(document.pk))

    transaction.on_commit(publish)
