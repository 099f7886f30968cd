"""What Celery does for projects and notebooks, and when."""

from __future__ import annotations

import structlog
from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from notebooks_app.services import blobs, files, projects

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


# Read by zasper_hub.celery. At night, and apart, so that none holds up another.
BEAT_SCHEDULE = {
    "purge-trash": {"task": purge_trash.name, "schedule": crontab(hour=3, minute=10)},
    "purge-deleted-projects": {"task": purge_deleted_projects.name, "schedule": crontab(hour=3, minute=25)},
    "forget-unused-blobs": {"task": forget_unused_blobs.name, "schedule": crontab(hour=3, minute=40)},
}
