"""What people use: now, and rolled up a day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from kernels_app.models import LIVE_STATES, DailyUsage, Kernel, Run
from kernels_app.selectors.compute import GIB, gib_hours_of, overlap_s, reserved_gib_hours
from notebooks_app.models import Project, ProjectStorage
from notebooks_app.selectors.storage import person_storage_bytes, with_holder
from notebooks_app.services.storage_quota import measured
from notebooks_app.wire import blocking_transport
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.quotas import DEFINITIONS, Quota, Value
from zasper_hub.accounts.selectors.quotas import effective_quotas, effective_quotas_of_many

MAX_PROJECTS_SHOWN = 500
MEASURED_AT_KEY = "usage:measured_at"  # seconds since 1970
LONGEST_MEASURED_S = 900.0  # what a worker that was away longer missed is not guessed


@dataclass(frozen=True, slots=True)
class Use:
    """One quota and how much of it is used.

    `limit` None: as much as there is. `used` None: a limit of each kernel or project, of which nothing is used up.
    """

    quota: str
    title: str
    help: str
    unit: str
    limit: Value
    used: float | None
    origin: str


@dataclass(slots=True)
class _Day:
    kernel_seconds: float = 0.0
    reserved_gib_hours: float = 0.0
    run_seconds: float = 0.0
    run_count: int = 0


def usage_of(user: User, team: Team | None = None) -> list[Use]:
    """The person's use of each quota, with the limits that count for them in the team (default: their personal one)."""
    quotas = effective_quotas(user, team or Team.objects.filter(personal_of=user).first())
    figures = figures_of(user)
    return [
        Use(
            quota=quota.value,
            title=definition.title,
            help=definition.help,
            unit=definition.unit,
            limit=quotas[quota].value,
            used=figures.get(quota),
            origin=quotas.origin(quota).value,
        )
        for quota, definition in DEFINITIONS.items()
    ]


def figures_of(user: User) -> dict[Quota, float]:
    """What the person uses now of the quotas that can be used up."""
    running = Kernel.objects.filter(user=user, state__in=LIVE_STATES).aggregate(
        count=Count("pk"), memory_bytes=Sum("memory_limit_bytes")
    )
    return {
        Quota.MAX_KERNELS: running["count"],
        Quota.TOTAL_MEMORY_BYTES: running["memory_bytes"] or 0,
        Quota.PERSON_STORAGE_BYTES: person_storage_bytes(user),
        Quota.COMPUTE_GIB_HOURS: round(gib_hours_of(user.pk, timezone.now()), 3),
    }


@dataclass(frozen=True, slots=True)
class ProjectUse:
    """What one project keeps. `counts_for_me`: it is the person's storage, by `person_storage_bytes`."""

    project: Project
    storage: ProjectStorage
    limit: int | None
    origin: str
    counts_for_me: bool


def project_uses(user: User) -> list[ProjectUse]:
    """The storage of the person's projects, largest first. Those never measured are measured now.

    Deleted ones too as long as they count for the person.
    """
    mine_or_shared = with_holder(Project.objects.filter(memberships__user=user)).select_related("team")
    projects = mine_or_shared.filter(Q(deleted_at=None) | Q(holder_id=user.pk))
    found = list(projects.order_by("pk")[:MAX_PROJECTS_SHOWN])
    holders: dict[UUID, int | None] = {project.pk: project.holder_id for project in found}  # type: ignore[attr-defined]  # annotated
    quotas = effective_quotas_of_many({(holders[project.pk], project.team_id) for project in found})
    rows = {row.project_id: row for row in ProjectStorage.objects.filter(project__in=found)}
    uses = []
    for project in found:
        holder_id = holders[project.pk]
        row = rows.get(project.pk)
        mine = quotas[(holder_id, project.team_id)]
        uses.append(
            ProjectUse(
                project=project,
                storage=row if row is not None and row.measured_at is not None else measured(project),
                limit=mine.count(Quota.PROJECT_STORAGE_BYTES),
                origin=mine.origin(Quota.PROJECT_STORAGE_BYTES).value,
                counts_for_me=holder_id == user.pk,
            )
        )
    return sorted(uses, key=lambda use: -use.storage.total_bytes)


def days_of(user: User, now: datetime, count: int = 30) -> list[DailyUsage]:
    """What the person computed on each of the last days on which they did, oldest first."""
    first_day = now.astimezone(UTC).date() - timedelta(days=count - 1)
    return list(DailyUsage.objects.filter(user=user, day__gte=first_day).order_by("day"))


def add_measured(now: datetime) -> None:
    """Adds what kernels without a memory limit used since the last call, by their memory as last measured.

    Called periodically; a repeat at once adds next to nothing. Raises TransportError.
    """
    transport = blocking_transport()
    last = transport.get_value(MEASURED_AT_KEY)
    transport.put_value(MEASURED_AT_KEY, str(now.timestamp()).encode(), ttl_s=86_400)
    if last is None:
        return
    elapsed_s = min(max(now.timestamp() - float(last), 0.0), LONGEST_MEASURED_S)
    kernels = Kernel.objects.filter(
        state__in=LIVE_STATES, memory_limit_bytes=None, memory_bytes__gt=0, user__isnull=False
    )
    used: dict[int, float] = defaultdict(float)
    for user_id, created_at, memory_bytes in kernels.values_list("user_id", "created_at", "memory_bytes"):
        lived_s = min(elapsed_s, max((now - created_at).total_seconds(), 0.0))
        used[user_id or 0] += (memory_bytes or 0) / GIB * lived_s / 3600
    day = now.astimezone(UTC).date()
    for user_id, gib_hours in used.items():
        DailyUsage.objects.get_or_create(user_id=user_id, day=day)
        DailyUsage.objects.filter(user_id=user_id, day=day).update(
            measured_gib_hours=F("measured_gib_hours") + gib_hours
        )


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
    for user_id, created_at, ready_at, ended_at, limit_bytes in kernels.values_list(
        "user_id", "created_at", "ready_at", "ended_at", "memory_limit_bytes"
    ).iterator():
        person = use[user_id or 0]
        person.kernel_seconds += overlap_s(ready_at or created_at, ended_at or now, start, end)
        person.reserved_gib_hours += reserved_gib_hours(limit_bytes, ready_at, ended_at or now, start, end)
    runs = Run.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=start), user__isnull=False, started_at__lt=end
    )
    for user_id, started_at, finished_at in runs.values_list(
        "user_id", "started_at", "finished_at"
    ).iterator():
        if started_at is None:
            continue
        person = use[user_id or 0]
        person.run_seconds += overlap_s(started_at, finished_at or now, start, end)
        person.run_count += start <= started_at < end
    for user_id, person in use.items():
        DailyUsage.objects.update_or_create(
            user_id=user_id,
            day=day,
            defaults={
                "kernel_seconds": person.kernel_seconds,
                "reserved_gib_hours": person.reserved_gib_hours,
                "run_seconds": person.run_seconds,
                "run_count": person.run_count,
            },
        )
    return len(use)
