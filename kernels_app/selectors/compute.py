"""What a person's kernels have used of a computing budget."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.db.models import F, Q, Sum

from kernels_app.models import LIVE_STATES, DailyUsage, Kernel

GIB = 1 << 30
# Days that are counted from the kernels' rows; those before are rolled up for good.
COUNTED_DAYS = 2


def gib_hours_of(user_id: int, now: datetime) -> float:
    """GiB-hours of the person's kernels in the budget's window, which ends now. Two queries."""
    return gib_hours_of_many([user_id], now)[user_id]


def gib_hours_of_many(user_ids: Collection[int], now: datetime) -> dict[int, float]:
    """As `gib_hours_of`, of many people."""
    today = now.astimezone(UTC).date()
    first_day = today - timedelta(days=settings.HUB_COMPUTE_WINDOW_DAYS - 1)
    counted_from = max(first_day, today - timedelta(days=COUNTED_DAYS - 1))
    start = datetime.combine(counted_from, time(), UTC)
    used = dict.fromkeys(user_ids, 0.0)
    days = DailyUsage.objects.filter(user_id__in=user_ids, day__gte=first_day, day__lte=today)
    sums = days.values("user_id").annotate(
        measured=Sum("measured_gib_hours"),
        reserved=Sum("reserved_gib_hours", filter=Q(day__lt=counted_from)),
    )
    for row in sums:
        used[row["user_id"]] += (row["measured"] or 0.0) + (row["reserved"] or 0.0)
    kernels = Kernel.objects.filter(
        Q(ended_at=None, state__in=LIVE_STATES) | Q(ended_at__gt=start),
        user_id__in=user_ids,
        memory_limit_bytes__isnull=False,
    ).annotate(owner=F("user_id"))
    for owner, limit_bytes, ready_at, ended_at in kernels.values_list(
        "owner", "memory_limit_bytes", "ready_at", "ended_at"
    ):
        used[owner] += reserved_gib_hours(limit_bytes, ready_at, ended_at, start, now)
    return used


def reserved_gib_hours(
    limit_bytes: int | None,
    ready_at: datetime | None,
    ended_at: datetime | None,
    start: datetime,
    end: datetime,
) -> float:
    """Of one kernel, between `start` and `end`; 0 for one without a limit, or that never came up."""
    if limit_bytes is None or ready_at is None:
        return 0.0
    return limit_bytes / GIB * overlap_s(ready_at, ended_at or end, start, end) / 3600


def overlap_s(begins: datetime, ends: datetime, start: datetime, end: datetime) -> float:
    return max((min(ends, end) - max(begins, start)).total_seconds(), 0.0)
