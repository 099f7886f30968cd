"""What Celery does for projects and notebooks, and when."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from kernels_app.bus.transport import TransportError
from notebooks_app.services import (
    blobs,
    checkpoints,
    client_notebooks,
    documents_versions,
    files,
    projects,
    storage_quota,
)

log = structlog.get_logger(__name__)


@shared_task
def purge_trash() -> None:
    """Deletes for good what was deleted 30 days ago, and what broken uploads left."""
    log.info("trash_purged", count=files.purge_old_trash(), upload_count=files.remove_stale_uploads())


@shared_task
def forget_unused_blobs() -> None:
    """Deletes the payloads that no notebook shows any more."""
    log.info("blobs_forgotten", count=blobs.forget_unused_blobs())


@shared_task
def purge_deleted_projects() -> None:
    """Deletes for good the projects that were deleted 30 days ago."""
    log.info("projects_purged", count=projects.purge_deleted_projects(timezone.now()))


@shared_task
def forget_client_leftovers() -> None:
    """Deletes checkpoints of files that are gone, and what Jupyter clients read long ago."""
    log.info(
        "client_leftovers_forgotten",
        checkpoint_count=checkpoints.forget_unused_checkpoints(),
        served_count=client_notebooks.forget_served_notebooks(),
    )


@shared_task
def keep_versions_of_left() -> None:
    """Makes versions of the notebooks that somebody changed and closed."""
    try:
        count = documents_versions.keep_versions_of_left(timezone.now())
    except TransportError as error:
        log.info("versions_put_off", error=str(error))
        return
    if count:
        log.info("versions_kept", count=count)


@shared_task
def measure_storage() -> None:
    """Looks how much the projects keep that people work in; each project once a day."""
    log.info("storage_measured", count=storage_quota.measure_in_use(timezone.now()))


# Read by zasper_hub.celery. The large ones at night, and apart, so that none holds up another.
BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "measure-storage": {"task": measure_storage.name, "schedule": 300.0, "options": {"expires": 300}},
    "keep-versions-of-left": {
        "task": keep_versions_of_left.name,
        "schedule": 60.0,
        "options": {"expires": 60},  # what a worker that was away finds waiting is out of date
    },
    "purge-trash": {"task": purge_trash.name, "schedule": crontab(hour=3, minute=10)},
    "purge-deleted-projects": {"task": purge_deleted_projects.name, "schedule": crontab(hour=3, minute=25)},
    "forget-unused-blobs": {"task": forget_unused_blobs.name, "schedule": crontab(hour=3, minute=40)},
    "forget-client-leftovers": {
        "task": forget_client_leftovers.name,
        "schedule": crontab(hour=3, minute=55),
    },
}
