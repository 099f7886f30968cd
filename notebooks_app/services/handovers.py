"""What becomes of projects whose person or team goes: moved, handed over, or put into the trash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from notebooks_app.errors import Conflict
from notebooks_app.models import Project, ProjectMembership, Role
from notebooks_app.services.projects import delete_project
from zasper_hub.accounts.models import Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.names import slugs_for
from zasper_hub.accounts.services import audit

_SLUG_TRIES = 200


@dataclass(frozen=True, slots=True)
class Handover:
    """What became of one project; `to` the username of whoever owns it now."""

    project_id: UUID
    name: str
    outcome: Literal["trashed", "handed_over", "moved"]
    to: str | None = None


def leave_team_projects(team: Team, *, to: Team | None, actor: User) -> list[Handover]:
    """Moves the team's projects to another team, or puts them into the trash (`to` None). In a transaction."""
    done: list[Handover] = []
    for project in team.projects.filter(deleted_at=None).order_by("created_at"):
        if to is None:
            delete_project(project, actor=actor)
            done.append(Handover(project.pk, project.name, "trashed"))
        else:
            move_project(project, to, actor=actor)
            done.append(Handover(project.pk, project.name, "moved"))
    return done


def leave_person_projects(person: User, *, to: User | None, actor: User) -> list[Handover]:
    """Sees to the projects that need the person: those only they own, and those in their personal team.

    With `to`, that one owns them from now on. Without: another owner keeps them; else an administrator of the shared
    team they are in; else who has been a member of the highest role for longest; else they go to the trash. What was
    in the personal team moves to that of the new owner. In a transaction.
    """
    personal = Team.objects.filter(personal_of=person).first()
    owned = Q(memberships__user=person, memberships__role=Role.OWNER)
    concerned = Project.objects.filter(owned | Q(team=personal), deleted_at=None).distinct()
    done: list[Handover] = []
    for project in concerned.select_related("team").order_by("created_at"):
        is_at_home = project.team_id == (personal.pk if personal else None)
        others = project.memberships.filter(role=Role.OWNER, user__is_active=True).exclude(user=person)
        if others.exists() and not is_at_home and to is None:
            continue
        heir = to or _heir(project, person)
        if heir is None:
            delete_project(project, actor=actor)
            done.append(Handover(project.pk, project.name, "trashed"))
            continue
        if is_at_home:
            move_project(project, Team.objects.get(personal_of=heir), actor=actor)
        _make_owner(project, heir, actor=actor)
        done.append(Handover(project.pk, project.name, "handed_over", heir.username))
    return done


def move_project(project: Project, team: Team, *, actor: User) -> Project:
    """The project in another team. Its address changes with it; its slug too where the team has that one already."""
    for slug, _try in zip(slugs_for(project.slug, "project"), range(_SLUG_TRIES), strict=False):
        if team.projects.filter(slug=slug).exists():
            continue
        try:
            with transaction.atomic():
                Project.objects.filter(pk=project.pk).update(team=team, slug=slug)
        except IntegrityError:
            continue  # somebody else took the slug between the look and the update
        project.refresh_from_db()
        audit.record(
            "project_moved", actor=actor, target=f"project:{project.pk}", team_id=team.pk, team=team.slug
        )
        return project
    raise Conflict("Many projects of that team have this name.")


def _heir(project: Project, person: User) -> User | None:
    """Who owns the project next, if anybody."""
    members = list(
        project.memberships.select_related("user")
        .filter(user__is_active=True)
        .exclude(user=person)
        .order_by("created_at", "pk")
    )
    owners = [membership for membership in members if membership.role == Role.OWNER]
    if owners:
        return owners[0].user
    if project.team.personal_of_id is None:
        administrators = TeamMembership.objects.filter(
            team_id=project.team_id, role=TeamRole.ADMIN, user__is_active=True
        ).exclude(user=person)
        first = administrators.select_related("user").order_by("created_at", "pk").first()
        if first is not None:
            return first.user
    best = max(members, key=lambda membership: Role(membership.role).rank, default=None)
    return None if best is None else best.user


def _make_owner(project: Project, heir: User, *, actor: User) -> None:
    membership = ProjectMembership.objects.filter(project=project, user=heir).first()
    if membership is None:
        membership = ProjectMembership(project=project, user=heir)
    membership.role = Role.OWNER
    membership.holds_storage_since = timezone.now()
    membership.save()
    audit.record(
        "project_handed_over",
        actor=actor,
        target=f"project:{project.pk}",
        team_id=project.team_id,
        user_id=heir.pk,
    )
