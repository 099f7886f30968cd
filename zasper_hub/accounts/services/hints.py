"""Hints on the stock channel layer: something changed, look again. A lost one costs a refetch, nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from asgiref.sync import SyncToAsync, async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = structlog.get_logger(__name__)

_TIMEOUT_S = 1.0  # the rows are enough; a hint only makes it quicker

_on_their_way: set[asyncio.Task[None]] = set()


def send_hint(group: str, message: dict[str, Any]) -> None:
    """Sends `message` to who listens in `group`, after the commit. Never fails, never waits for an event loop.

    A thread that waited for its event loop here would wait for ever if the loop ended in between.
    """
    transaction.on_commit(lambda: _send_from_thread(group, message))


def _send_from_thread(group: str, message: dict[str, Any]) -> None:
    loop: asyncio.AbstractEventLoop | None = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    if loop is None or not loop.is_running():
        async_to_sync(_send)(group, message)
        return
    try:
        loop.call_soon_threadsafe(_start, group, message)
    except RuntimeError:
        log.info("hint_lost", group=group, error="the event loop ended")


def _start(group: str, message: dict[str, Any]) -> None:
    task = asyncio.get_running_loop().create_task(_send(group, message))
    _on_their_way.add(task)
    task.add_done_callback(_on_their_way.discard)


async def _send(group: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await layer.group_send(group, message)
    except Exception as error:  # whatever the layer's backend raises: a hint is never worth a failure
        log.info("hint_lost", group=group, error=type(error).__name__)
