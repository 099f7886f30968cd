"""Versions of a notebook: kept as nbformat JSON in the blob store, restored as an ordinary edit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from notebooks_app.errors import HubError, Invalid, NotFound, QuotaExceeded
from notebooks_app.models import Document, Version
from notebooks_app.notebook_format import BlobMissing, read_notebook, with_cell_ids, write_notebook
from notebooks_app.services.blobs import load_any_blob, store_document_blob
from notebooks_app.services.documents_content import read_whole_notebook
from notebooks_app.services.storage_quota import Room, is_full
from notebooks_app.sync.file_base import decode_base, with_ids_of
from notebooks_app.sync.outside_change import restore_into
from notebooks_app.sync.replica import record_changes
from notebooks_app.sync.update_log import document_key, load_live, update_publications
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.models import User

log = structlog.get_logger(__name__)

Reason = Literal["auto", "run_all", "close", "named"]
MAX_NAME_CHARS = 200
AUTOMATIC_INTERVAL = timedelta(minutes=5)
RELOAD = timedelta(seconds=20)  # a page that is loaded again was not left
LEFT_AT_ONCE = 50  # the rest a minute later
MAX_UNNAMED_VERSIONS = 100  # a working day at one every five minutes


def save_version(document: Document, *, user: User | None, reason: Reason, name: str = "") -> Version:
    """A version of what the notebook holds now. Raises Invalid for too long a name, TransportError, QuotaExceeded."""
    name = name.strip()
    if len(name) > MAX_NAME_CHARS:
        raise Invalid(f"A version's name has at most {MAX_NAME_CHARS} characters.", field="name")
    base = decode_base(bytes(document.file_base)).current
    data = write_notebook(read_whole_notebook(document, base))
    return _keep(document, data, user=user, reason=reason, name=name)


def save_automatic_version(document: Document, data: bytes) -> None:
    """Called after an export, with what was written: keeps it when the newest version is old enough.

    Never raises: a version that is not kept must not look like a file that was not written.
    """
    try:
        newest = document.versions.order_by("-created_at").values_list("created_at", flat=True).first()
        is_due = newest is None or timezone.now() - newest >= AUTOMATIC_INTERVAL
        if is_due and not is_full(document.project):
            _keep(document, data, user=None, reason="auto", name="")
    except HubError as error:
        log.warning("version_not_kept", document_id=str(document.pk), code=error.code)


def note_left(document_id: str, user: User) -> None:
    """Somebody who changed the notebook closed it: `keep_versions_of_left` makes a version of what they left."""
    Document.objects.filter(pk=document_id).update(left_at=timezone.now(), left_by=user)


def keep_versions_of_left(now: datetime) -> int:
    """A version of each notebook that was left and not come back to; how many. Called by the worker every minute.

    Raises TransportError.
    """
    count = 0
    left = Document.objects.filter(left_at__lt=now - RELOAD, project__deleted_at=None)
    for document in left.select_related("left_by").order_by("left_at")[:LEFT_AT_ONCE]:
        try:
            save_version(document, user=document.left_by, reason="close")
            count += 1
        except HubError as error:
            log.warning("version_not_kept", document_id=str(document.pk), code=error.code)
        # Left again in the meantime: that is for the next time.
        Document.objects.filter(pk=document.pk, left_at=document.left_at).update(left_at=None, left_by=None)
    return count


def _keep(document: Document, data: bytes, *, user: User | None, reason: Reason, name: str) -> Version:
    if reason == "named":
        Room(document.project).need(len(data))
    elif reason in ("run_all", "close") and is_full(document.project):
        raise QuotaExceeded("There is no storage left to keep a version by itself.")
    with transaction.atomic():
        sha256 = store_document_blob(document.pk, data)["sha256"]
        if reason != "named":
            same = document.versions.order_by("-created_at").first()
            if same is not None and same.notebook_sha256 == sha256:
                return same
        version = Version.objects.create(
            document=document, name=name, reason=reason, notebook_sha256=sha256, created_by=user
        )
        _forget_oldest(document)
    return version


def _forget_oldest(document: Document) -> None:
    """Their blobs go with the sweep of what nothing names any more."""
    unnamed = document.versions.exclude(reason="named").order_by("-created_at")
    old = list(unnamed[MAX_UNNAMED_VERSIONS:].values_list("pk", flat=True))
    if old:
        Version.objects.filter(pk__in=old).delete()


def list_versions(document: Document) -> list[Version]:
    """Newest first."""
    return list(document.versions.select_related("created_by").order_by("-created_at"))


def version_content(document: Document, version_id: UUID) -> bytes:
    """The version as nbformat JSON. Raises NotFound."""
    version = document.versions.filter(pk=version_id).first()
    if version is None:
        raise NotFound("There is no such version.")
    try:
        return load_any_blob(version.notebook_sha256)
    except BlobMissing as error:
        raise NotFound("This version is not kept any more.") from error


def restore_version(document: Document, version_id: UUID, *, user: User) -> None:
    """Makes the notebook's cells those of the version, by an edit that everyone sees and can undo.

    What was there before is kept as a version of its own. Outputs stay those of the last runs.
    Raises NotFound, TransportError.
    """
    wanted = read_notebook(version_content(document, version_id))
    save_version(document, user=user, reason="auto")
    with transaction.atomic():
        row = Document.objects.select_for_update(no_key=True).get(pk=document.pk)
        base = decode_base(bytes(row.file_base)).current
        wanted = with_cell_ids(with_ids_of(wanted, base.cells if base is not None else []))
        replica = load_live(row)
        with record_changes(replica) as changes:
            restore_into(replica, wanted)
        if changes:
            blocking_transport().write(update_publications(document_key(row), row.epoch, changes))
