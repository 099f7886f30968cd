"""People and teams deleted by administrators: what runs for them ends, what they made is kept or handed on."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.services.stopping import stop_and_note, stop_kernels_of
from kernels_app.services.terminals import stop_terminals_of
from notebooks_app.models import ProjectMembership
from notebooks_app.services.handovers import Handover, leave_person_projects, leave_team_projects
from zasper_hub.accounts.errors import Invalid, Yourself
from zasper_hub.accounts.models import Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.people_administration import (
    keep_an_administrator,
    lock_person_and_administrators,
)
from zasper_hub.accounts.services.teams import lock_team, retire_team

PERSON_DELETED = "The account of the person who started it was deleted."
TEAM_DELETED = "Its team was deleted."


@dataclass(frozen=True, slots=True)
class Removed:
    stopped_kernels: int
    projects: list[Handover]


@transaction.atomic
def delete_person(person: User, *, actor: User, to: User | None = None) -> Removed:
    """Deletes an account. Its kernels and terminals end; its projects go to `to`, or as `leave_person_projects` says.

    A shared team that would be without administrator gets its longest member, or else the actor, as one.

    Raises:
        Yourself. LastAdministrator: nobody else administers the hub.
        Invalid: `to` is the person, or disabled.
    """
    if person.pk == actor.pk:
        raise Yourself("You cannot delete your own account. Ask another administrator.")
    if to is not None and (to.pk == person.pk or not to.is_active):
        raise Invalid("Hand the projects over to somebody else, whose account is not disabled.", field="to")
    locked = lock_person_and_administrators(person)
    if locked.is_staff:
        keep_an_administrator(but=locked)
    places = ProjectMembership.objects.filter(user=locked, project__deleted_at=None)
    project_ids = list(places.values_list("project_id", flat=True))
    stopped = stop_kernels_of(locked, reason=PERSON_DELETED, actor=actor)
    projects = leave_person_projects(locked, to=to, actor=actor)
    _leave_teams(locked, actor=actor)
    audit.record(
        "account_deleted",
        actor=actor,
        target=f"user:{locked.pk}",
        username=locked.username,
        stopped_kernels=stopped,
        projects=len(projects),
    )
    user_id = str(locked.pk)
    locked.delete()
    transaction.on_commit(lambda: stop_terminals_of(user_id, project_ids, reason=PERSON_DELETED), robust=True)
    return Removed(stopped, projects)


@transaction.atomic
def delete_team(team: Team, *, actor: User, to: Team | None = None) -> Removed:
    """Deletes a shared team. Its kernels are stopped; its projects move to `to`, or to the trash for 30 days.

    Raises:
        Invalid: the team is personal, or `to` is the team itself. NotFound: it was deleted meanwhile.
    """
    if team.personal_of_id is not None:
        raise Invalid("A personal team goes when its person is deleted.")
    if to is not None and to.pk == team.pk:
        raise Invalid("Move the projects to another team.", field="to")
    locked = lock_team(team)
    if to is not None:
        lock_team(to)
    kernels = Kernel.objects.filter(project__team=locked, state__in=LIVE_STATES).select_related("project")
    stopped = stop_and_note(list(kernels), reason=TEAM_DELETED, actor=actor)
    projects = leave_team_projects(locked, to=to, actor=actor)
    audit.record(
        "team_deleted",
        actor=actor,
        target=f"team:{locked.slug}",
        team_id=locked.pk,
        stopped_kernels=stopped,
        projects=len(projects),
    )
    retire_team(locked)
    return Removed(stopped, projects)


def _leave_teams(person: User, *, actor: User) -> None:
    personal = Team.objects.filter(personal_of=person).first()
    administered = Team.objects.filter(
        personal_of=None, deleted_at=None, memberships__user=person, memberships__role=TeamRole.ADMIN
    )
    for team in administered:
        others = TeamMembership.objects.filter(team=team).exclude(user=person)
        if others.filter(role=TeamRole.ADMIN).exists():
            continue
        heir = others.filter(user__is_active=True).order_by("created_at", "pk").first()
        membership = heir or TeamMembership(team=team, user=actor)
        membership.role = TeamRole.ADMIN
        membership.save()
        audit.record(
            "team_shared",
            actor=actor,
            target=f"team:{team.slug}",
            team_id=team.pk,
            user_id=membership.user_id,
            role=TeamRole.ADMIN.value,
        )
    if personal is not None:
        retire_team(personal)
