"""A hub full of people, kernels and nodes that are rows only: to look at screens, never to work with.

Everything made here can be told from the rest: people by their address at `DEMO_DOMAIN`, teams by their slug, nodes by
`info["demo"]`, kernels by `DEMO_FENCE`. No file is written, no command sent; what watches over kernels
leaves these alone.
"""

from __future__ import annotations

import itertools
import random
import uuid
from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.db import models, transaction
from django.utils import timezone

from kernels_app.models import DEMO_FENCE, Kernel, KernelState, Node
from notebooks_app.models import Document, Project, ProjectMembership, ProjectStorage, Role
from zasper_hub.accounts.models import Announcement, AuditEvent, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.services.teams import make_personal_team

DEMO_DOMAIN = "demo.invalid"
TEAM_PREFIX = "demo-"
FIRST = (
    "Ada", "Amara", "Anton", "Bao", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ines",
    "Jamal", "Jonas", "Kaya", "Leila", "Liang", "Malik", "Marta", "Mei", "Nia", "Oskar", "Priya", "Rosa",
    "Samir", "Sofia",
)  # fmt: skip
LAST = (
    "Abebe", "Becker", "Castillo", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen",
    "Kowalski", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Rossi", "Singh", "Tanaka",
    "Weber",
)  # fmt: skip
TEAMS = ("Genomics", "Market research", "Climate models", "Data platform", "Quality", "Night shift")
PROJECTS = (
    "Churn",
    "Sequencing",
    "Forecast 2027",
    "Sensor drift",
    "Pricing",
    "Onboarding",
    "Survey",
    "Benchmarks",
)
NOTEBOOKS = ("explore", "train", "report", "cleaning", "figures", "ad-hoc/try", "features", "weekly/summary")
GIB = 1 << 30


@transaction.atomic
def make_demo(*, people: int, kernels: int, nodes: int, now: datetime | None = None) -> dict[str, int]:
    """Makes that many of each, with teams, projects, audit events and an announcement; how many of each."""
    chance = random.Random(2026)  # noqa: S311  # the same picture every time
    at = now or timezone.now()
    members = _people(people, at, chance)
    projects = _projects(_teams(members, chance), at, chance)
    hosts = _nodes(nodes, at)
    made = _kernels(kernels, projects, hosts, at, chance)
    _log(members, projects, at, chance)
    Announcement.objects.create(
        text="Maintenance on Friday from 18:00: kernels are stopped, notebooks stay.",
        level="warning",
        starts_at=at - timedelta(hours=3),
        ends_at=at + timedelta(days=3),
    )
    return {"people": len(members), "projects": len(projects), "kernels": made, "nodes": len(hosts)}


@transaction.atomic
def remove_demo() -> int:
    """Removes what `make_demo` made; how many people."""
    people = demo_people()
    places = Project.objects.filter(team__slug__startswith=TEAM_PREFIX) | Project.objects.filter(
        created_by__in=people
    )
    Kernel.objects.filter(project__in=places).delete()
    Project.objects.filter(pk__in=list(places.values_list("pk", flat=True))).delete()
    Team.objects.filter(slug__startswith=TEAM_PREFIX).delete()
    for node in Node.objects.all():
        if node.info.get("demo"):
            node.delete()
    AuditEvent.objects.filter(actor__in=people).delete()
    Announcement.objects.filter(created_by=None, text__startswith="Maintenance on Friday").delete()
    count = people.count()
    people.delete()
    return count


def demo_people() -> models.QuerySet[User]:
    return User.objects.filter(email__endswith=f"@{DEMO_DOMAIN}")


def _people(count: int, at: datetime, chance: random.Random) -> list[User]:
    names = list(itertools.product(FIRST, LAST))
    chance.shuffle(names)
    taken = set(User.objects.values_list("username", flat=True))
    rows: list[User] = []
    for number in range(count):
        first, last = names[number % len(names)]
        username = f"{first}.{last}".lower() + ("" if number < len(names) else str(number))
        if username in taken:
            username = f"{username}.{number}"
        rows.append(
            User(
                username=username,
                display_name=f"{first} {last}",
                email=f"{username}@{DEMO_DOMAIN}",
                password=make_password(None),  # none fits: nobody signs in as these
                is_active=number % 13 != 12,
                date_joined=at - timedelta(days=chance.randrange(5, 700)),
                last_seen_at=at - timedelta(minutes=chance.choice((1, 2, 4, 8, 35, 300, 1500, 30_000))),
            )
        )
    made = User.objects.bulk_create(rows)  # no signals: no example projects are written
    for person in made:
        make_personal_team(person)
    return made


def _teams(members: list[User], chance: random.Random) -> list[Team]:
    teams = [
        Team.objects.create(slug=f"{TEAM_PREFIX}{name.lower().replace(' ', '-')}", name=name)
        for name in TEAMS
    ]
    for number, person in enumerate(members):
        for place, team in enumerate(chance.sample(teams, k=chance.choice((1, 1, 2)))):
            is_first = not team.memberships.exists()
            role = TeamRole.ADMIN if is_first or (place == 0 and number % 9 == 0) else TeamRole.MEMBER
            TeamMembership.objects.create(team=team, user=person, role=role)
    return teams


def _projects(teams: list[Team], at: datetime, chance: random.Random) -> list[Project]:
    made: list[Project] = []
    for team in teams:
        people = [membership.user for membership in team.memberships.select_related("user")]
        for name in chance.sample(PROJECTS, k=4):
            owner = chance.choice(people) if people else None
            project = Project.objects.create(
                team=team,
                slug=name.lower().replace(" ", "-"),
                name=name,
                created_by=owner,
                last_opened_at=at - timedelta(hours=chance.randrange(1, 200)),
            )
            for person in chance.sample(people, k=min(len(people), 4)):
                role = Role.OWNER if person == owner else chance.choice((Role.EDITOR, Role.VIEWER))
                ProjectMembership.objects.create(project=project, user=person, role=role)
            if owner is not None:
                ProjectMembership.objects.update_or_create(
                    project=project, user=owner, defaults={"role": Role.OWNER}
                )
            ProjectStorage.objects.update_or_create(
                project=project,
                defaults={
                    "files_bytes": int(chance.lognormvariate(20, 1.5)),
                    "outputs_bytes": int(chance.lognormvariate(17, 1)),
                    "measured_at": at,
                },
            )
            made.append(project)
    return made


def _nodes(count: int, at: datetime) -> list[Node]:
    kernelspecs = [
        {"name": "python3", "display_name": "Python 3", "language": "python"},
        {"name": "ir", "display_name": "R", "language": "R"},
    ]
    return [
        Node.objects.create(
            node_id=f"demo-node-{number + 1}",
            state="draining" if count > 2 and number == count - 1 else "up",
            last_seen_at=at,
            info={
                "demo": True,
                "provisioner": "docker",
                "isolation": "container",
                "memory_bytes": (32 << number % 3) * GIB,
                "cpu_count": 8 << number % 3,
                "slot_count": 40,
                "labels": {"zone": "ab"[number % 2], **({"gpu": "a100"} if number == 1 else {})},
                "kernelspecs": kernelspecs,
            },
        )
        for number in range(count)
    ]


def _kernels(
    count: int, projects: list[Project], nodes: list[Node], at: datetime, chance: random.Random
) -> int:
    states = (KernelState.IDLE, KernelState.IDLE, KernelState.BUSY, KernelState.BUSY, KernelState.STARTING)
    rows: list[Kernel] = []
    for number in range(count if projects else 0):
        project = projects[number % len(projects)]
        people = [place.user for place in project.memberships.select_related("user") if place.user.is_active]
        waits = not nodes or number % 15 == 14
        state = KernelState.PENDING if waits else chance.choice(states)
        document = Document.objects.create(
            project=project,
            path=f"{chance.choice(NOTEBOOKS)}-{number}.ipynb",
            epoch=uuid.UUID(int=number).hex,
        )
        begun_at = at - timedelta(minutes=1 + number % 3 if waits else chance.randrange(3, 3000))
        limit = chance.choice((2, 4, 8)) * GIB
        works = state in (KernelState.IDLE, KernelState.BUSY)
        rows.append(
            Kernel(
                project=project,
                document=document,
                user=chance.choice(people) if people else None,
                # A kernelspec that no real node has: what waits here is never started.
                kernelspec_name="demo-python" if waits else chance.choice(("python3", "python3", "ir")),
                node=None if waits else nodes[number % len(nodes)],
                fence=DEMO_FENCE,
                state=state,
                created_at=begun_at,
                ready_at=begun_at + timedelta(seconds=2) if works else None,
                last_activity_at=at - timedelta(seconds=chance.randrange(1, 1500)),
                memory_limit_bytes=limit,
                cpu_limit_cores=chance.choice((1.0, 2.0, 4.0)),
                memory_bytes=int(limit * chance.uniform(0.05, 0.97)) if works else None,
                cpu_cores=round(chance.uniform(0.4, 2.0), 2) if state == KernelState.BUSY else 0.0,
            )
        )
    begun = {row.pk: row.created_at for row in rows}
    made = Kernel.objects.bulk_create(rows)
    for row in made:
        row.created_at = begun[row.pk]
    Kernel.objects.bulk_update(made, ["created_at"])
    return len(made)


def _log(members: list[User], projects: list[Project], at: datetime, chance: random.Random) -> None:
    if not members or not projects:
        return
    rows: list[AuditEvent] = []
    for _number in range(200):
        person, project = chance.choice(members), chance.choice(projects)
        action = chance.choice(("sign_in", "run", "run", "run", "share", "project_changed", "sign_in_failed"))
        is_own = action.startswith("sign_in")
        rows.append(
            AuditEvent(
                actor=person,
                actor_name=person.username,
                action=action,
                target=f"user:{person.pk}" if is_own else f"project:{project.pk}",
                team_id=None if is_own else project.team_id,
                address=f"192.0.2.{chance.randrange(1, 250)}",
            )
        )
    made = AuditEvent.objects.bulk_create(rows)
    moments = sorted(at - timedelta(minutes=chance.randrange(1, 10_000)) for _ in made)
    for row, moment in zip(made, moments, strict=True):
        row.at = moment
    AuditEvent.objects.bulk_update(made, ["at"])
