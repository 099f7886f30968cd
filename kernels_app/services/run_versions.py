"""A version of a notebook whenever all of it was run: what somebody will want to come back to."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from kernels_app.errors import HubError
from kernels_app.models import Run
from kernels_app.selectors.kernels import UNFINISHED_STATES
from kernels_app.selectors.notebooks import live_notebook
from notebooks_app.models import Document, Version
from notebooks_app.services.documents_versions import save_version

log = structlog.get_logger(__name__)

LOOK_BACK = timedelta(minutes=5)  # the worker looks every minute, and may have been away
MIN_CELLS = 2  # a single cell is run all day long


def keep_versions_of_whole_runs(now: datetime) -> int:
    """A version of each notebook of which every cell with code was run by one request that ended lately; how many.

    Raises Unavailable.
    """
    lately = Run.objects.filter(finished_at__gt=now - LOOK_BACK, document__project__deleted_at=None)
    return sum(
        _keep_version_of(document_id, request_id)
        for document_id, request_id in lately.values_list("document", "request_id").distinct()
    )


def _keep_version_of(document_id: UUID, request_id: str) -> bool:
    runs = Run.objects.filter(document=document_id, request_id=request_id).select_related("user")
    cell_ids = {run.cell_id for run in runs}
    ended_at = max((run.finished_at for run in runs if run.finished_at is not None), default=None)
    if len(cell_ids) < MIN_CELLS or ended_at is None or any(run.state in UNFINISHED_STATES for run in runs):
        return False
    if Version.objects.filter(document=document_id, created_at__gte=ended_at).exists():
        return False
    document = Document.objects.get(pk=document_id)
    code = {cell.cell_id for cell in live_notebook(document).code_cells if cell.source.strip()}
    if not code or not code <= cell_ids:
        return False
    try:
        save_version(document, user=runs[0].user, reason="run_all")
    except HubError as error:
        log.warning("version_not_kept", document_id=str(document_id), code=error.code)
        return False
    return True
