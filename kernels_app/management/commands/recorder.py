"""`manage.py recorder`: runs until it is told to stop (SIGTERM, SIGINT)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from kernels_app.bus.event_loops import loop_factory
from kernels_app.recorder.program import Recorder
from kernels_app.selectors.metrics import HubState
from notebooks_app.wire import close_hub_transport, hub_transport
from zasper_hub.accounts.metrics import serve_metrics

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Turns what kernels and browsers wrote on the wire into rows and files."
    # They load every view and schema of the web program, for good; `prepare` makes them at the hub's start.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        serve_metrics(settings.METRICS_HOST, settings.METRICS_PORT, HubState())
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run())


def _show_health() -> None:
    """For `python -m zasper_hub.embedded.health`."""
    if settings.HEALTH_FILE is not None:
        with contextlib.suppress(OSError):
            settings.HEALTH_FILE.touch()


async def _run() -> None:
    loop = asyncio.get_running_loop()
    recorder = asyncio.create_task(Recorder(await hub_transport(), on_round=_show_health).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, recorder.cancel)
    log.info("recorder_ready")
    try:
        await recorder
    except asyncio.CancelledError:
        log.info("recorder_stopped")
    finally:
        await close_hub_transport()
