"""What Celery does for projects and notebooks, and when."""

from __future__ import annotations

import structlog
from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from notebooks_app.services import blobs, checkpoints, client_notebooks, files, projects

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


# Read by zasper_hub.celery. At night, and apart, so that none holds up another.
BEAT_SCHEDULE = {
    "purge-trash": {"task": purge_trash.name, "schedule": crontab(hour=3, minute=10)},
    "purge-deleted-projects": {"task": purge_deleted_projects.name, "schedule": crontab(hour=3, minute=25)},
    "forget-unused-blobs": {"task": forget_unused_blobs.name, "schedule": crontab(hour=3, minute=40)},
    "forget-client-leftovers": {
        "task": forget_client_leftovers.name,
        "schedule": crontab(hour=3, minute=55),
    },
}
