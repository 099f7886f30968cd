"""Periodic work on accounts. `zasper_hub.celery` collects `BEAT_SCHEDULE` of every app."""

from __future__ import annotations

from datetime import timedelta

import structlog
from axes.models import AccessAttempt
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from zasper_hub.accounts.models import AccessChange, AuditEvent
from zasper_hub.accounts.services.login_sessions import forget_dead_login_sessions
from zasper_hub.accounts.services.tokens import forget_dead_tokens

log = structlog.get_logger(__name__)

ACCESS_CHANGES_ARE_KEPT = timedelta(days=1)
AUDIT_IS_KEPT = timedelta(days=400)  # a year, and a month in which to look at it


@shared_task(ignore_result=True)
def forget_expired_tokens() -> None:
    """Deletes tokens that ended a month ago. Expired ones stop working by themselves."""
    count = forget_dead_tokens(timezone.now())
    log.info("expired_tokens_deleted", count=count)


@shared_task(ignore_result=True)
def forget_expired_sign_ins() -> None:
    """Deletes sign-ins that ran out, and the counts of wrong passwords that no longer lock anybody out."""
    now = timezone.now()
    count = forget_dead_login_sessions(now)
    AccessAttempt.objects.filter(attempt_time__lt=now - settings.AXES_COOLOFF_TIME).delete()
    AccessChange.objects.filter(at__lt=now - ACCESS_CHANGES_ARE_KEPT).delete()
    log.info("expired_sign_ins_deleted", count=count)


@shared_task(ignore_result=True)
def trim_audit_log() -> None:
    """Deletes audit events older than `AUDIT_IS_KEPT`."""
    count, _by_model = AuditEvent.objects.filter(at__lt=timezone.now() - AUDIT_IS_KEPT).delete()
    log.info("audit_trimmed", count=count)


BEAT_SCHEDULE = {
    "forget-expired-tokens": {
        "task": "zasper_hub.accounts.tasks.forget_expired_tokens",
        "schedule": timedelta(hours=6),
    },
    "forget-expired-sign-ins": {
        "task": "zasper_hub.accounts.tasks.forget_expired_sign_ins",
        "schedule": timedelta(hours=1),
    },
    "trim-audit-log": {"task": "zasper_hub.accounts.tasks.trim_audit_log", "schedule": timedelta(days=1)},
}
