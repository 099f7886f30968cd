"""`python -m zasper_hub.celery_worker`: the worker, with beat as one of its threads.

What `celery --app zasper_hub worker --beat --pool solo` does, in one process instead of two and without the
code of celery's command line: about half the memory.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from celery.signals import task_success
from django.conf import settings

from zasper_hub.celery import app


@task_success.connect
def show_health(**_: Any) -> None:
    """For `python -m zasper_hub.embedded.health`: beat asks for something every ten seconds."""
    path = settings.HEALTH_FILE
    if path is not None:
        with contextlib.suppress(OSError):
            path.touch()


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
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
