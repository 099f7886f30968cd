"""`python -m zasper_hub.celery_worker`: the worker, with beat as one of its threads.

What `celery --app zasper_hub worker --beat --pool solo` does, in one process instead of two and without the
code of celery's command line: about half the memory.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from celery.signals import task_failure, task_prerun, task_success
from django.conf import settings
from prometheus_client import Counter, Gauge

from zasper_hub.accounts.metrics import serve_metrics
from zasper_hub.celery import app

TASKS = Counter(
    "hub_tasks", "Periodic and background work that ended, by name and outcome.", ["task", "outcome"]
)
LAST_TASK = Gauge("hub_last_task_timestamp_seconds", "When the worker began its last piece of work.")


@task_success.connect
def show_health(sender: Any = None, **_: Any) -> None:
    """For `python -m zasper_hub.embedded.health`: beat asks for something every ten seconds."""
    TASKS.labels(str(getattr(sender, "name", "")), "ok").inc()
    path = settings.HEALTH_FILE
    if path is not None:
        with contextlib.suppress(OSError):
            path.touch()


@task_failure.connect
def count_failure(sender: Any = None, **_: Any) -> None:
    TASKS.labels(str(getattr(sender, "name", "")), "failed").inc()


@task_prerun.connect
def note_begin(**_: Any) -> None:
    LAST_TASK.set_to_current_time()


def main() -> int:
    """Runs until it is told to stop (SIGTERM, SIGINT); the exit code."""
    worker = app.Worker(
        pool="solo",
        loglevel="WARNING",
        beat_thread=True,
        # One worker on its own bus: nobody to gossip with.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    serve_metrics(settings.METRICS_HOST, settings.METRICS_PORT)
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
