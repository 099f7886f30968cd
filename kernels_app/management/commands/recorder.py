"""`manage.py recorder`: runs until it is told to stop (SIGTERM, SIGINT)."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import structlog
from django.core.management.base import BaseCommand

from kernels_app.recorder.program import Recorder
from notebooks_app.wire import close_hub_transport, hub_transport

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Turns what kernels and browsers wrote on the wire into rows and files."
    # They load every view and schema of the web program, for good; `prepare` makes them at the hub's start.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(_run())


async def _run() -> None:
    loop = asyncio.get_running_loop()
    recorder = asyncio.create_task(Recorder(await hub_transport()).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, recorder.cancel)
    log.info("recorder_ready")
    try:
        await recorder
    except asyncio.CancelledError:
        log.info("recorder_stopped")
    finally:
        await close_hub_transport()
