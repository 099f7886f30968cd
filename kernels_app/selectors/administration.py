"""What administrators see of people, teams and kernels; each within their reach."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import (
    BigIntegerField,
    Count,
    F,
    FloatField,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from kernels_app.models import LIVE_STATES, Kernel, Node
from notebooks_app.models import Project, ProjectMembership
from notebooks_app.selectors.storage import with_holder
from zasper_hub.accounts.models import Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.reach import Reach

ONLINE_FOR = timedelta(minutes=10)  # a page or a token is noted every five minutes at most


def kernels_in(reach: Reach) -> QuerySet[Kernel]:
    """Live kernels, those of deleted projects too while they end."""
    live = Kernel.objects.filter(state__in=LIVE_STATES)
    return live if reach.team_ids is None else live.filter(project__team_id__in=reach.team_ids)


def projects_in(reach: Reach) -> QuerySet[Project]:
    projects = Project.objects.filter(deleted_at=None)
    return projects if reach.team_ids is None else projects.filter(team_id__in=reach.team_ids)


def people_in(reach: Reach, *, search: str = "", state: str = "", team: str = "") -> QuerySet[User]:
    """People with `kernel_count` and `memory_bytes` of their live kernels, within reach."""
    people = User.objects.filter(pk__in=reach.people().values("pk"))
    if search:
        people = people.filter(
            Q(username__icontains=search) | Q(display_name__icontains=search) | _by_email(reach, search)
        )
    if team:
        found = reach.teams().filter(slug=team)
        people = people.filter(pk__in=TeamMembership.objects.filter(team__in=found).values("user"))
    match state:
        case "active":
            people = people.filter(is_active=True)
        case "disabled":
            people = people.filter(is_active=False)
        case "online":
            people = people.filter(online_now())
        case "administrator":
            people = people.filter(is_staff=True)
        case _:
            pass
    own = kernels_in(reach).filter(user=OuterRef("pk"))
    return people.annotate(
        kernel_count=_count(own),
        memory_bytes=_sum(own, "memory_bytes"),
        storage_bytes=_stored(with_holder(Project.objects.all()), holder_id=OuterRef("pk")),
    )


def _by_email(reach: Reach, search: str) -> Q:
    # Who may not see an address may not guess at it either.
    return Q(email__icontains=search) if reach.is_hub else Q(pk__in=[])


def online_now() -> Q:
    return Q(is_active=True, last_seen_at__gte=timezone.now() - ONLINE_FOR)


def is_online(person: User) -> bool:
    seen_at = person.last_seen_at
    return person.is_active and seen_at is not None and seen_at >= timezone.now() - ONLINE_FOR


def memberships_of_people(people: list[User], reach: Reach) -> dict[int, list[TeamMembership]]:
    """The memberships of each person in teams within reach, by the person's key."""
    rows = TeamMembership.objects.filter(user__in=people, team__in=reach.teams()).select_related("team")
    found: dict[int, list[TeamMembership]] = {person.pk: [] for person in people}
    for membership in rows.order_by("-team__personal_of", "team__name", "team__pk"):
        found[membership.user_id].append(membership)
    return found


def teams_in(reach: Reach, *, search: str = "", is_personal: bool = False) -> QuerySet[Team]:
    """Teams with `member_count`, `administrator_count`, `project_count`, `kernel_count` and `memory_bytes`."""
    teams = Team.objects.filter(pk__in=reach.teams().values("pk"), personal_of__isnull=not is_personal)
    if search:
        teams = teams.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    return with_team_figures(teams)


def with_team_figures(teams: QuerySet[Team]) -> QuerySet[Team]:
    members = TeamMembership.objects.filter(team=OuterRef("pk"))
    kernels = Kernel.objects.filter(state__in=LIVE_STATES, project__team=OuterRef("pk"))
    return teams.annotate(
        member_count=_count(members),
        administrator_count=_count(members.filter(role=TeamRole.ADMIN)),
        project_count=_count(Project.objects.filter(team=OuterRef("pk"), deleted_at=None)),
        kernel_count=_count(kernels),
        memory_bytes=_sum(kernels, "memory_bytes"),
        storage_bytes=_stored(Project.objects.filter(deleted_at=None), team=OuterRef("pk")),
    )


def projects_of_team(team: Team) -> QuerySet[Project]:
    return (
        Project.objects.filter(team=team, deleted_at=None)
        .annotate(
            member_count=_count(ProjectMembership.objects.filter(project=OuterRef("pk"))),
            kernel_count=_count(Kernel.objects.filter(project=OuterRef("pk"), state__in=LIVE_STATES)),
        )
        .order_by("name", "pk")
    )


def projects_of_person(person: User, reach: Reach) -> QuerySet[ProjectMembership]:
    """The person's places in projects within reach (with `.project.team`), with `owner_count` and `member_count`."""
    others = ProjectMembership.objects.filter(project=OuterRef("project"))
    return (
        person.project_memberships.filter(project__in=projects_in(reach))
        .select_related("project__team")
        .annotate(owner_count=_count(others.filter(role="owner")), member_count=_count(others))
        .order_by("project__name", "pk")
    )


def kernel_rows(reach: Reach) -> QuerySet[Kernel]:
    """Live kernels with all that a list of them shows."""
    return (
        kernels_in(reach)
        .select_related("user", "project__team", "document")
        .defer("document__snapshot", "document__file_base", "environment")
    )


def node_figures() -> dict[str, dict[str, Any]]:
    """Of each node with live kernels: `count`, `used_bytes`, `reserved_bytes`, `used_cores`."""
    rows = Kernel.objects.filter(state__in=LIVE_STATES).exclude(node=None).values("node_id")
    columns = {
        "used_bytes": "memory_bytes",
        "reserved_bytes": "memory_limit_bytes",
        "used_cores": "cpu_cores",
    }
    sums = {name: Sum(column) for name, column in columns.items()}
    figures = rows.annotate(count=Count("pk"), **sums).order_by()
    return {row["node_id"]: dict(row) for row in figures}


def nodes_with_counts() -> QuerySet[Node]:
    live = Kernel.objects.filter(node=OuterRef("pk"), state__in=LIVE_STATES)
    return Node.objects.annotate(kernel_count=_count(live))


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().annotate(one=Value(1)).values("one").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _stored(projects: QuerySet[Project], **whose: object) -> Coalesce:
    """What these projects keep: files, trash and outputs."""
    kept = F("storage__files_bytes") + F("storage__trash_bytes") + F("storage__outputs_bytes")
    summed = projects.filter(**whose).order_by().annotate(one=Value(1)).values("one")
    return Coalesce(Subquery(summed.annotate(n=Sum(kept)).values("n"), output_field=BigIntegerField()), 0)


def _sum(rows: QuerySet[Any], column: str) -> Subquery:
    summed = rows.order_by().annotate(one=Value(1)).values("one").annotate(n=Sum(column)).values("n")
    return Subquery(summed, output_field=FloatField())
