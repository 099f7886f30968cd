"""What people use: now, and rolled up a day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Q, Sum
from django.utils import timezone

from kernels_app.models import LIVE_STATES, DailyUsage, Kernel, Run
from notebooks_app.models import Blob, ProjectMembership, Role
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.quotas import DEFINITIONS, Quota
from zasper_hub.accounts.selectors.quotas import effective_quotas


@dataclass(frozen=True, slots=True)
class Use:
    """One quota and how much of it is used; `limit` None: as much as there is. `origin`: who set the limit."""

    quota: str
    title: str
    limit: float | None
    used: float
    unit: str
    origin: str = "site"


@dataclass(slots=True)
class _Day:
    kernel_seconds: float = 0.0
    run_seconds: float = 0.0
    run_count: int = 0


def usage_of(user: User) -> list[Use]:
    """The person's use of each quota."""
    today = timezone.now().astimezone(UTC).date()
    rolled_up = DailyUsage.objects.filter(user=user, day=today).first()
    owned = ProjectMembership.objects.filter(user=user, role=Role.OWNER, project__deleted_at=None)
    payload_bytes = (
        Blob.objects.filter(references__document__project__in=owned.values("project"))
        .distinct()
        .aggregate(total=Sum("size_bytes"))["total"]
        or 0
    )
    quotas = effective_quotas(user, Team.objects.filter(personal_of=user).first())
    return [
        Use(
            Quota.MAX_KERNELS,
            DEFINITIONS[Quota.MAX_KERNELS].title,
            quotas.count(Quota.MAX_KERNELS),
            Kernel.objects.filter(user=user, state__in=LIVE_STATES).count(),
            DEFINITIONS[Quota.MAX_KERNELS].unit,
            quotas.origin(Quota.MAX_KERNELS),
        ),
        Use(
            "run_time_today",
            "Computing today",
            None,
            round(rolled_up.run_seconds if rolled_up else 0.0, 1),
            "s",
        ),
        Use("storage_outputs", "Large outputs kept in your projects", None, payload_bytes, "bytes"),
    ]


def roll_up(day: date) -> int:
    """Writes that day's (UTC) use of each person afresh, from the rows; how many persons. Repeating it is harmless."""
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    now = timezone.now()
    use: dict[int, _Day] = defaultdict(_Day)
    kernels = Kernel.objects.filter(
        Q(ended_at=None, state__in=LIVE_STATES) | Q(ended_at__gt=start),
        user__isnull=False,
        created_at__lt=end,
    )
    for user_id, created_at, ready_at, ended_at in kernels.values_list(
        "user_id", "created_at", "ready_at", "ended_at"
    ).iterator():
        use[user_id or 0].kernel_seconds += _overlap_s(ready_at or created_at, ended_at or now, start, end)
    runs = Run.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=start), user__isnull=False, started_at__lt=end
    )
    for user_id, started_at, finished_at in runs.values_list(
        "user_id", "started_at", "finished_at"
    ).iterator():
        if started_at is None:
            continue
        person = use[user_id or 0]
        person.run_seconds += _overlap_s(started_at, finished_at or now, start, end)
        person.run_count += start <= started_at < end
    for user_id, person in use.items():
        DailyUsage.objects.update_or_create(
            user_id=user_id,
            day=day,
            defaults={
                "kernel_seconds": person.kernel_seconds,
                "run_seconds": person.run_seconds,
                "run_count": person.run_count,
            },
        )
    return len(use)


def _overlap_s(begins: datetime, ends: datetime, start: datetime, end: datetime) -> float:
    return max((min(ends, end) - max(begins, start)).total_seconds(), 0.0)
