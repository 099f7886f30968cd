"""The worker: Celery with beat, for what is done periodically and in the background."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, bootsteps
from celery.beat import EmbeddedService
from celery.signals import import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zasper_hub.settings.production")
# Django's checks would load every view and schema of the web program, for good; `prepare` makes them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("zasper_hub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class BeatThread(bootsteps.StartStopStep):
    """Beat as a thread of the worker; celery's own `--beat` is a second process, as large as the first."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, *, beat_thread: bool = False, **options: Any) -> None:
        self.enabled = beat_thread
        super().__init__(parent, **options)

    def create(self, parent: Any) -> Any:
        """Called by the worker when it starts; what it returns is started and stopped with it."""
        return EmbeddedService(parent.app, thread=True)


app.steps["worker"].add(BeatThread)


# Told by worker and beat when they start, after autodiscovery, which is connected before. Not when the app is
# finalized: the first task module that asks for a task's name causes that half-way through its own import.
@import_modules.connect(sender=app)
def collect_schedules(**_: Any) -> None:
    """Beat's schedule is each app's own `tasks.BEAT_SCHEDULE`, put together here."""
    from kernels_app import tasks as kernel_tasks
    from notebooks_app import tasks as notebook_tasks
    from zasper_hub.accounts import tasks as account_tasks

    for module in (account_tasks, notebook_tasks, kernel_tasks):
        app.conf.beat_schedule.update(module.BEAT_SCHEDULE)
