"""Whose access changed lately."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from zasper_hub.accounts.models import AccessChange

HINT_GROUP = "access-changes"  # group of the stock channel layer: "look now", without content
# Rows of the last minute are read each time: a transaction may commit after a later one, and clocks differ.
LOOK_BACK = timedelta(seconds=60)


class NewChanges(NamedTuple):
    """People whose access changed: since the last look, and when it last did within the whole of `LOOK_BACK`."""

    new: frozenset[int]
    recent: Mapping[int, datetime]


class AccessChanges:
    """A reader with a memory of what it has seen; one a process."""

    def __init__(self) -> None:
        self._seen: frozenset[int] = frozenset()

    def read(self) -> NewChanges:
        rows = list(
            AccessChange.objects.filter(at__gte=timezone.now() - LOOK_BACK)
            .order_by("at")
            .values_list("pk", "user_id", "at")
        )
        new = frozenset(user_id for pk, user_id, _at in rows if pk not in self._seen)
        self._seen = frozenset(pk for pk, _user_id, _at in rows)
        return NewChanges(new, {user_id: at for _pk, user_id, at in rows})
