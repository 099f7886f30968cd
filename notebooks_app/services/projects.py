"""Projects: made, renamed, shared, deleted."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from notebooks_app.errors import Conflict, HoldsStorage, HubError, LastOwner, NotFound, Unavailable
from notebooks_app.models import Project, ProjectMembership, Role
from notebooks_app.selectors.storage import holder_of
from notebooks_app.signals import project_deleted
from notebooks_app.storage.project_files import data_files, project_folder, trash_folder
from zasper_hub.accounts.access import team_for
from zasper_hub.accounts.errors import TooMany
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.names import MAX_SLUG_LENGTH, clean_name, slugs_for
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.teams import lock_team

log = structlog.get_logger(__name__)

MAX_PROJECTS = 1000  # that one person made and did not delete
MAX_MEMBERS = 500
DELETED_IS_KEPT = timedelta(days=30)
KERNELS_END_WITHIN = timedelta(minutes=2)  # of a project that was deleted; a node is asked again for a minute
_SLUG_TRIES = 1100


@transaction.atomic
def create_project(user: User, *, name: str, team_slug: str | None = None) -> ProjectMembership:
    """A new project with the person as its owner, in their personal team or another one they are of.

    Raises:
        Invalid: the name. NotFound: the team. TooMany: the person has `MAX_PROJECTS`.
    """
    name = clean_name(name, "project")
    team = team_for(user, team_slug) if team_slug else Team.objects.get(personal_of=user)
    lock_team(team)  # it may be being deleted
    if Project.objects.filter(created_by=user, deleted_at=None).count() >= MAX_PROJECTS:
        raise TooMany(f"You have {MAX_PROJECTS} projects. Delete some first.")
    project = _create_project(user, team, name)
    membership = ProjectMembership.objects.create(project=project, user=user, role=Role.OWNER)
    audit.record("project_created", actor=user, target=f"project:{project.pk}", team_id=project.team_id)
    return membership


@transaction.atomic
def change_project(
    project: Project, *, name: str | None = None, allows_hidden_files: bool | None = None, actor: User
) -> Project:
    """The project with what is not None changed. Its slug, and so its address, stays.

    Raises:
        Invalid
    """
    if name is not None:
        project.name = clean_name(name, "project")
    if allows_hidden_files is not None:
        project.allows_hidden_files = allows_hidden_files
    project.save(update_fields=["name", "allows_hidden_files"])
    audit.record(
        "project_changed",
        actor=actor,
        target=f"project:{project.pk}",
        team_id=project.team_id,
        allows_hidden_files=project.allows_hidden_files,
    )
    return project


@transaction.atomic
def delete_project(project: Project, *, actor: User) -> None:
    """Takes the project away from everybody at once and frees its slug. What it holds is kept for 30 days."""
    mark = f"-deleted-{project.pk.hex[:12]}"
    updated = Project.objects.filter(pk=project.pk, deleted_at=None).update(
        deleted_at=timezone.now(), slug=f"{project.slug[: MAX_SLUG_LENGTH - len(mark)]}{mark}"
    )
    if not updated:
        raise NotFound
    project.refresh_from_db()
    project_deleted.send(sender=Project, project=project)
    for membership in project.memberships.all():
        membership.save(update_fields=["role"])  # its signal closes the sockets
    audit.record("project_deleted", actor=actor, target=f"project:{project.pk}", team_id=project.team_id)


@transaction.atomic
def set_project_member(project: Project, person: User, role: Role, *, actor: User) -> ProjectMembership:
    """Adds a person to the project, or changes their role.

    Whose storage the project counts as stays so: nobody is made to pay by being made an owner.

    Raises:
        LastOwner: the last owner would be one no more.
        HoldsStorage: whose storage the project counts as would be an owner no more.
        TooMany: the project has `MAX_MEMBERS`.
    """
    _lock(project)
    if role != Role.OWNER:
        _keep_an_owner(project, person, actor)
    holder = holder_of(project)
    membership = project.memberships.filter(user=person).first()
    if membership is None:
        if project.memberships.count() >= MAX_MEMBERS:
            raise TooMany(f"A project has at most {MAX_MEMBERS} members.")
        membership = ProjectMembership(project=project, user=person)
    elif membership.role == role:
        return membership
    membership.role = role
    membership.save()
    if holder is not None and holder_of(project) != holder:  # a member of old became an owner
        _hold_storage(project, holder)
    audit.record(
        "share",
        actor=actor,
        target=f"project:{project.pk}",
        team_id=project.team_id,
        user_id=person.pk,
        role=role.value,
    )
    return membership


@transaction.atomic
def remove_project_member(project: Project, person: User, *, actor: User) -> None:
    """Takes a person out of the project; what they have open of it closes within seconds.

    Raises:
        NotFound: they are no member. LastOwner: they are the last owner.
        HoldsStorage: the project counts as their storage.
    """
    _lock(project)
    membership = project.memberships.filter(user=person).first()
    if membership is None:
        raise NotFound("That person is no member of this project.")
    _keep_an_owner(project, person, actor)
    membership.delete()
    audit.record(
        "unshare", actor=actor, target=f"project:{project.pk}", team_id=project.team_id, user_id=person.pk
    )


@transaction.atomic
def take_over_storage(project: Project, owner: User) -> None:
    """The project counts as this owner's storage from now on; by their own will alone."""
    _lock(project)
    if holder_of(project) == owner:
        return
    _hold_storage(project, owner)
    audit.record("storage_taken_over", actor=owner, target=f"project:{project.pk}", team_id=project.team_id)


def purge_deleted_projects(now: datetime) -> int:
    """Deletes for good the projects that were deleted `DELETED_IS_KEPT` ago. Returns how many."""
    purged = 0
    for project in Project.objects.filter(deleted_at__lt=now - DELETED_IS_KEPT):
        try:
            _purge(project)
        except (HubError, OSError) as error:
            log.warning("project_not_purged", project_id=str(project.pk), kind=type(error).__name__)
            continue
        purged += 1
    Team.objects.filter(deleted_at__isnull=False, projects=None).delete()
    return purged


def purge_project(project_id: UUID, *, actor: User) -> None:
    """Deletes for good what an owner deleted before, so that it does not count as anybody's storage any more.

    Raises:
        NotFound: there is no such project that the person owned, or it is not deleted.
        Conflict: it was deleted just now, and what ran in it may still be writing.
        Unavailable: its files cannot be removed now.
    """
    owned = Project.objects.filter(memberships__user=actor, memberships__role=Role.OWNER)
    project = owned.filter(pk=project_id, deleted_at__isnull=False).first()
    if project is None or project.deleted_at is None:
        raise NotFound("There is no such deleted project.")
    if timezone.now() < project.deleted_at + KERNELS_END_WITHIN:
        raise Conflict("What ran in the project is still ending. Try again in two minutes.")
    try:
        _purge(project)
    except OSError as error:
        raise Unavailable("The project's files cannot be removed right now. Try again later.") from error
    audit.record("project_purged", actor=actor, target=f"project:{project_id}", team_id=project.team_id)


def _purge(project: Project) -> None:
    # First the bytes: a row without them is purged again, bytes without a row would stay.
    for trash_id in project.trash.values_list("pk", flat=True):
        _remove_folder(trash_folder(trash_id))
    _remove_folder(project_folder(project.pk))
    project.delete()


def _remove_folder(folder: str) -> None:
    with suppress(FileNotFoundError):
        data_files().rm(folder)


def _lock(project: Project) -> None:
    # Two owners who remove each other at once wait for one another here.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _hold_storage(project: Project, owner: User) -> None:
    project.memberships.filter(user=owner, role=Role.OWNER).update(holds_storage_since=timezone.now())


def _keep_an_owner(project: Project, person: User, actor: User) -> None:
    owners = project.memberships.filter(role=Role.OWNER)
    if owners.filter(user=person).exists() and not owners.exclude(user=person).exists():
        raise LastOwner("A project needs an owner: make another person owner first.")
    # Else its storage would fall to an owner who was never asked.
    if holder_of(project) == person:
        if person == actor:
            raise HoldsStorage(
                "This project counts as your storage. Another owner must take it over first, in “Share”; "
                "or delete the project."
            )
        raise HoldsStorage(
            f"This project counts as the storage of {person.shown_name}. An owner must take it over first, in “Share”."
        )


def _create_project(user: User, team: Team, name: str) -> Project:
    for slug, _try in zip(slugs_for(name, "project"), range(_SLUG_TRIES), strict=False):
        if Project.objects.filter(team=team, slug=slug).exists():
            continue
        try:
            with transaction.atomic():
                return Project.objects.create(team=team, slug=slug, name=name, created_by=user)
        except IntegrityError:
            continue  # somebody else took the slug between the look and the insert
    raise Conflict("Many projects of this team have that name. Choose another one.")


def note_opened(project: Project, now: datetime) -> None:
    """Somebody opened the project's page: it comes first in lists. Written once a minute at most."""
    recently = now - timedelta(minutes=1)
    Project.objects.filter(pk=project.pk).exclude(last_opened_at__gt=recently).update(last_opened_at=now)
