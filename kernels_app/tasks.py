"""What the worker does for kernels and runs. Each task may be run twice or at the same time as itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import structlog
from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from kernels_app.bus.transport import TransportError
from kernels_app.errors import Unavailable
from kernels_app.models import DEMO_FENCE, LIVE_STATES, Kernel
from kernels_app.services import nodes, upkeep
from kernels_app.services.budget import end_over_budget
from kernels_app.services.culling import watch_lives
from kernels_app.services.endings import end_leftover_runs
from kernels_app.services.queue import fill_places
from kernels_app.services.run_versions import keep_versions_of_whole_runs
from kernels_app.services.usage import add_measured, roll_up
from notebooks_app.services.storage_quota import measure_in_use

log = structlog.get_logger(__name__)


def end_lives() -> None:
    """Warns of, and carries out, the ends of idle kernels and of those that have lived long enough."""
    watch_lives(timezone.now())


# In this order; True: has something to do only while there are kernels, which mostly there are none of at night.
_STEPS: tuple[tuple[Callable[[], object], bool], ...] = (
    (upkeep.reap_lost_nodes, False),
    (upkeep.send_again, True),
    (upkeep.stop_kernels_of_nobody, True),
    (nodes.tell_draining_nodes, False),
    (nodes.reap_orphans, False),
    (end_leftover_runs, False),
    (fill_places, True),
    (end_lives, True),
)


@shared_task(name="kernels.watch")
def watch_kernels() -> None:
    """Finds lost nodes, commands and runs, fills free places, ends what nobody uses. What needs the message server
    waits while it is away.
    """
    has_kernels = Kernel.objects.filter(state__in=LIVE_STATES).exists()
    for step, is_of_kernels in _STEPS:
        if is_of_kernels and not has_kernels:
            continue
        try:
            step()
        except (TransportError, Unavailable) as error:
            log.info("kernels_not_watched", step=step.__name__, error=str(error))


@shared_task(name="kernels.forget_silent_mailboxes")
def forget_silent_mailboxes() -> None:
    try:
        upkeep.forget_silent_mailboxes()
    except TransportError as error:
        log.info("mailboxes_not_looked_at", error=str(error))


@shared_task(name="kernels.roll_up_usage")
def roll_up_usage() -> None:
    """Today's and yesterday's use: a run may end after midnight. Ends what budgets do not pay for any more."""
    today = timezone.now().astimezone(UTC).date()
    for day in (today - timedelta(days=1), today):
        roll_up(day)
    try:
        add_measured(timezone.now())
    except TransportError as error:
        log.info("memory_not_counted", error=str(error))
    end_over_budget()
    used = Kernel.objects.filter(state__in=LIVE_STATES).exclude(fence=DEMO_FENCE)
    measure_in_use(timezone.now(), used.values_list("project_id", flat=True).distinct())


@shared_task(name="kernels.forget_old_runs")
def forget_old_runs() -> None:
    """Deletes what is only history: runs that ended months ago, usage of long ago."""
    log.info("old_runs_forgotten", count=upkeep.forget_old_runs(timezone.now()))


@shared_task(name="kernels.keep_versions_of_whole_runs")
def keep_versions() -> None:
    """Makes versions of the notebooks that were run from top to bottom."""
    try:
        count = keep_versions_of_whole_runs(timezone.now())
    except Unavailable as error:
        log.info("versions_put_off", error=str(error))
        return
    if count:
        log.info("versions_kept", count=count)


# `expires`: what a worker that was away finds waiting is out of date.
BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "kernels-watch": {"task": "kernels.watch", "schedule": 5.0, "options": {"expires": 10}},
    "kernels-forget-silent-mailboxes": {
        "task": "kernels.forget_silent_mailboxes", "schedule": 300.0, "options": {"expires": 300},
    },
    "kernels-roll-up-usage": {"task": "kernels.roll_up_usage", "schedule": 300.0, "options": {"expires": 300}},
    "kernels-keep-versions-of-whole-runs": {
        "task": "kernels.keep_versions_of_whole_runs", "schedule": 60.0, "options": {"expires": 60},
    },
    "kernels-forget-old-runs": {"task": "kernels.forget_old_runs", "schedule": crontab(hour=3, minute=55)},
}  # fmt: skip
