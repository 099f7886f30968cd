"""Tells the web processes that someone's access changed, so that sockets which may no longer be open are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from zasper_hub.accounts.models import AccessChange
from zasper_hub.accounts.selectors.access_changes import HINT_GROUP

log = structlog.get_logger(__name__)

_HINT_TIMEOUT_S = 1.0  # the rows are enough; the hint only makes it quicker


def note_access_change(user_ids: Iterable[int]) -> None:
    """Leaves a row for each person, in the caller's transaction, and hints at it after the commit.

    Called by the signal handlers of users, tokens, sign-ins and memberships; a service that changes those by a bulk
    update calls it itself.
    """
    rows = [AccessChange(user_id=user_id) for user_id in set(user_ids)]
    if rows:
        AccessChange.objects.bulk_create(rows)
        transaction.on_commit(_hint)


def _hint() -> None:
    layer = get_channel_layer()
    if layer is None:
        return

    async def send() -> None:
        async with asyncio.timeout(_HINT_TIMEOUT_S):
            await layer.group_send(HINT_GROUP, {"type": "access.changed"})

    try:
        async_to_sync(send)()
    except Exception as error:
        log.warning("access_hint_lost", error=type(error).__name__)
