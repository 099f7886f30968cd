"""A live document and its `.ipynb`: what changed in the file outside comes in, what was edited goes out.

The file is never overwritten unseen. Each write names the content it replaces; when something else is
there by now, that is merged first, and what cannot be merged is kept beside the notebook.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import PurePosixPath

import structlog
from django.db import transaction
from django.utils import timezone

from notebooks_app.errors import (
    Exists,
    HubError,
    Invalid,
    NotANotebook,
    NotebookTooLarge,
    NotebookTooOld,
    NotFound,
    Stale,
    TooLarge,
)
from notebooks_app.models import Document
from notebooks_app.notebook_format import (
    MAX_NOTEBOOK_BYTES,
    Notebook,
    NotebookError,
    read_notebook,
    with_cell_ids,
    write_notebook,
)
from notebooks_app.services.documents_content import (
    fold_cells,
    keep_outputs,
    live_notebook,
    tell_outputs,
    with_outputs,
)
from notebooks_app.services.documents_versions import save_automatic_version
from notebooks_app.services.file_hints import send_files_hint
from notebooks_app.storage.content_store import ContentStore
from notebooks_app.storage.project_files import content_store
from notebooks_app.sync.file_base import (
    FileBase,
    KeptBase,
    base_of,
    decode_base,
    encode_base,
    with_ids_of,
)
from notebooks_app.sync.outside_change import merge_into
from notebooks_app.sync.replica import record_changes
from notebooks_app.sync.shape import equal_as_json
from notebooks_app.sync.update_log import document_key, load_live, update_publications
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

# Each round lost means that somebody else wrote the file in the meantime.
_MAX_ROUNDS = 5
_ERRORS = {
    "not_a_notebook": NotANotebook,
    "notebook_too_old": NotebookTooOld,
    "notebook_too_large": NotebookTooLarge,
}


def read_notebook_file(store: ContentStore, path: str) -> tuple[str, bytes, Notebook]:
    """SHA-256, bytes and content of a notebook file.

    Raises NotFound, NotANotebook, NotebookTooOld, NotebookTooLarge.
    """
    try:
        entry, data = store.read(path, max_bytes=MAX_NOTEBOOK_BYTES)
    except Invalid as error:
        raise NotANotebook("That is a folder, not a notebook.") from error
    except TooLarge as error:
        raise NotebookTooLarge(
            f"This notebook is larger than the {MAX_NOTEBOOK_BYTES // 1024**2} MB that this hub opens. "
            "Clear its outputs, for example with `jupyter nbconvert --clear-output --inplace`."
        ) from error
    try:
        notebook = read_notebook(data)
    except NotebookError as error:
        raise _ERRORS[error.code](str(error)) from error
    assert entry.sha256 is not None
    return entry.sha256, data, notebook


def take_in_file(document: Document) -> None:
    """Merges what changed in the file outside into the live document; refreshes `document`.

    Raises:
        NotFound: there is no file (any more).
        NotANotebook, NotebookTooOld, NotebookTooLarge: what is there now cannot be merged.
        TransportError: the wire is down.
    """
    store = content_store(document.project)
    for _ in range(_MAX_ROUNDS):
        document.refresh_from_db()
        sha256 = store.entry(document.path).sha256
        if sha256 == document.file_sha256:
            return
        kept = decode_base(bytes(document.file_base))
        if kept.coming is not None and kept.coming.sha256 == sha256:
            # An export ended between the file and the row.
            if _take_base(document, kept.coming):
                return
            continue
        sha256, data, theirs = read_notebook_file(store, document.path)
        base = kept.current or FileBase(sha256="")
        if _merge(document, store, base, sha256, data, with_ids_of(theirs, base.cells)):
            return


def _take_base(document: Document, base: FileBase) -> bool:
    """Makes `base` the row's; False when the row's file is another by now."""
    taken = Document.objects.filter(pk=document.pk, file_sha256=document.file_sha256).update(
        file_sha256=base.sha256, file_base=encode_base(KeptBase(current=base))
    )
    document.refresh_from_db()
    return bool(taken)


def _merge(
    document: Document, store: ContentStore, base: FileBase, sha256: str, data: bytes, theirs: Notebook
) -> bool:
    with transaction.atomic():
        # Two that merge the same change at once would make it twice: the row's lock lets one first.
        row = Document.objects.select_for_update(no_key=True).get(pk=document.pk)
        if row.file_sha256 != document.file_sha256:
            return False
        replica = load_live(row)
        with record_changes(replica) as changes:
            merge = merge_into(replica, base, theirs)
        if merge.conflicts:
            kept_as = keep_beside(store, row.path, data, "changed outside")
            log.warning("outside_change_kept", document_id=str(row.pk), cell_count=len(merge.conflicts))
            send_files_hint(row.project_id, str(PurePosixPath(kept_as).parent))
        keep_outputs(row, fold_cells(merge.outputs))
        # First the wire, then the row: ended between the two, the merge is done once more, and finds
        # its own edits there already.
        if changes:
            publications = update_publications(document_key(row), row.epoch, changes)
            blocking_transport().write(publications)
        row.file_sha256 = sha256
        row.file_base = encode_base(KeptBase(current=base_of(theirs, sha256)))
        if row.dirty_since is None and (merge.conflicts or changes):
            row.dirty_since = timezone.now()
        row.save(update_fields=["file_sha256", "file_base", "dirty_since"])
    if merge.outputs:
        tell_outputs(row)
    document.refresh_from_db()
    return True


def keep_beside(store: ContentStore, path: str, data: bytes, label: str) -> str:
    """Writes `data` under a new name beside `path`; that name. Raises DiskFull."""
    pure = PurePosixPath(path)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H.%M.%S")
    for number in range(1, 100):
        words = f"{label} {now}" if number == 1 else f"{label} {now}, {number}"
        room = 255 - len(f" ({words}){pure.suffix}".encode())
        stem = pure.stem.encode()[:room].decode(errors="ignore")
        kept_as = str(pure.with_name(f"{stem} ({words}){pure.suffix}"))
        try:
            store.write(kept_as, [data], if_absent=True)
        except Exists:
            continue
        return kept_as
    raise Exists("There are too many files of that name.")


def export_document(document_id: str) -> bool:
    """Whether the file holds everything now. Writes it when something changed since it was written.

    What keeps it from being written is in `export_error` then, and the document stays dirty: call again
    later. Raises TransportError when the wire is down.
    """
    document = Document.objects.select_related("project").filter(pk=document_id).first()
    if document is None or document.dirty_since is None:
        return True
    try:
        for _ in range(_MAX_ROUNDS):
            if _export(document):
                return Document.objects.filter(pk=document_id, dirty_since=None).exists()
        raise Stale("Something else keeps writing this notebook's file.")
    except HubError as error:
        log.warning("export_failed", document_id=str(document_id), code=error.code)
        Document.objects.filter(pk=document_id).update(export_error=error.message[:500])
        return False


def _export(document: Document) -> bool:
    """One try; False when the file changed under it."""
    store = content_store(document.project)
    _see_file(document, store)
    changed_at = document.changed_at
    base = decode_base(bytes(document.file_base)).current
    notebook = live_notebook(load_live(document), base)
    is_there = _is_there(store, document.path)
    if not is_there and base is not None and _is_as_in(notebook, base):
        # Deleted, and nothing was written into it since: outputs alone do not bring it back.
        _mark_clean(document, document.file_sha256, bytes(document.file_base), changed_at)
        return True
    notebook = with_outputs(document, notebook)
    data = write_notebook(notebook)
    coming = base_of(with_cell_ids(notebook), hashlib.sha256(data).hexdigest())
    if not is_there or coming.sha256 != document.file_sha256:
        announced = Document.objects.filter(pk=document.pk, file_sha256=document.file_sha256).update(
            file_base=encode_base(KeptBase(current=base, coming=coming))
        )
        if not announced:
            return False
        try:
            store.write(
                document.path,
                [data],
                if_match=document.file_sha256 if is_there else None,
                if_absent=not is_there,
                keeps_refused=lambda size_bytes: False,
            )
        except (Stale, Exists):
            return False
        send_files_hint(document.project_id, str(PurePosixPath(document.path).parent))
    _mark_clean(document, coming.sha256, encode_base(KeptBase(current=coming)), changed_at)
    save_automatic_version(document, data)
    return True


def _see_file(document: Document, store: ContentStore) -> None:
    """Takes in what is in the file; what cannot be read as a notebook is kept beside it."""
    try:
        take_in_file(document)
    except NotFound:
        document.refresh_from_db()
    except (NotANotebook, NotebookTooOld, NotebookTooLarge):
        with store.open_file(document.path) as (entry, stream):
            sha256 = entry.sha256 or ""
            data = stream.read(MAX_NOTEBOOK_BYTES + 1)
        if len(data) > MAX_NOTEBOOK_BYTES:
            raise NotebookTooLarge(
                "The notebook's file was replaced by something too large to read. Move it away to save again."
            ) from None
        if data:
            keep_beside(store, document.path, data, "changed outside")
        Document.objects.filter(pk=document.pk).update(file_sha256=sha256)
        document.refresh_from_db()


def _is_there(store: ContentStore, path: str) -> bool:
    try:
        store.entry(path)
    except NotFound:
        return False
    return True


def _is_as_in(notebook: Notebook, base: FileBase) -> bool:
    now = base_of(with_cell_ids(notebook), base.sha256)
    return len(now.cells) == len(base.cells) and all(
        one.id == other.id
        and one.cell_type == other.cell_type
        and one.source == other.source
        and equal_as_json(one.metadata, other.metadata)
        and equal_as_json(one.attachments, other.attachments)
        for one, other in zip(now.cells, base.cells, strict=True)
    )


def _mark_clean(document: Document, sha256: str, file_base: bytes, changed_at: datetime | None) -> None:
    """The file is written; clean unless something changed meanwhile."""
    fields = {"file_sha256": sha256, "file_base": file_base, "export_error": ""}
    rows = Document.objects.filter(pk=document.pk)
    if not rows.filter(changed_at=changed_at).update(**fields, dirty_since=None):
        rows.update(**fields, dirty_since=timezone.now())
    document.refresh_from_db()
