"""Tells the web processes that someone's access changed, so that sockets which may no longer be open are closed."""

from __future__ import annotations

from collections.abc import Iterable

from zasper_hub.accounts.models import AccessChange
from zasper_hub.accounts.selectors.access_changes import HINT_GROUP
from zasper_hub.accounts.services.hints import send_hint


def note_access_change(user_ids: Iterable[int]) -> None:
    """Leaves a row for each person, in the caller's transaction, and hints at it after the commit.

    Called by the signal handlers of users, tokens, sign-ins and memberships; a service that changes those by a bulk
    update calls it itself.
    """
    rows = [AccessChange(user_id=user_id) for user_id in set(user_ids)]
    if rows:
        AccessChange.objects.bulk_create(rows)
        send_hint(HINT_GROUP, {"type": "access.changed"})
