"""Teams and who is of them."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from zasper_hub.accounts.errors import Conflict, Exists, Invalid, LastOwner, NotFound, TooMany
from zasper_hub.accounts.models import Invitation, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.names import MAX_SLUG_LENGTH, clean_name, slugs_for
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.versions import check_version, version_of

MAX_TEAMS = 50  # shared teams one person may have made or run
_SLUG_TRIES = 50


def make_personal_team(user: User) -> Team:
    """The personal team of a new account, with the person as its administrator."""
    team = _create_team(user.shown_name, user.username, personal_of=user)
    TeamMembership.objects.create(team=team, user=user, role=TeamRole.ADMIN)
    return team


@transaction.atomic
def create_team(user: User, *, name: str) -> Team:
    """A shared team, with its maker as administrator.

    Raises:
        Invalid, TooMany
    """
    name = clean_name(name, "team")
    own = TeamMembership.objects.filter(user=user, role=TeamRole.ADMIN, team__personal_of=None)
    if own.count() >= MAX_TEAMS:
        raise TooMany(f"You administer {MAX_TEAMS} teams already.")
    team = _create_team(name, name)
    TeamMembership.objects.create(team=team, user=user, role=TeamRole.ADMIN)
    audit.record("team_created", actor=user, target=f"team:{team.slug}", team_id=team.pk)
    return team


@transaction.atomic
def make_team_for(administrator: User, *, name: str, slug: str | None = None, actor: User) -> Team:
    """A shared team made by an administrator of the hub for somebody who will run it.

    Raises:
        Invalid: the name. Exists: the slug is taken.
    """
    name = clean_name(name, "team")
    if slug is None:
        team = _create_team(name, name)
    else:
        try:
            with transaction.atomic():
                team = Team.objects.create(slug=slug.lower(), name=name)
        except IntegrityError as error:
            raise Exists("That address is taken by another team.") from error
    TeamMembership.objects.create(team=team, user=administrator, role=TeamRole.ADMIN)
    audit.record(
        "team_created",
        actor=actor,
        target=f"team:{team.slug}",
        team_id=team.pk,
        user_id=administrator.pk,
    )
    return team


@transaction.atomic
def rename_team(team: Team, *, name: str, actor: User, version: str | None = None) -> Team:
    """The team under another name; its slug, and so its addresses, stay.

    Raises:
        Invalid: the name, or the team is personal. Conflict: it changed since the caller looked.
    """
    _check_shared(team)
    locked = lock_team(team)
    check_version(version, team_version(locked))
    locked.name = clean_name(name, "team")
    locked.save(update_fields=["name"])
    audit.record("team_renamed", actor=actor, target=f"team:{team.slug}", team_id=team.pk, name=locked.name)
    return locked


def team_version(team: Team) -> str:
    return version_of(team.name)


def retire_team(team: Team) -> None:
    """Takes a team away from everybody and frees its slug; its row stays for the projects in the trash.

    In a transaction that has locked it. Rows that nothing needs any more are deleted with the trash.
    """
    for membership in team.memberships.all():
        membership.delete()  # its signal checks what the person has open
    Invitation.objects.filter(team=team, revoked_at=None).update(revoked_at=timezone.now())
    mark = f"-deleted-{team.pk}"
    team.slug = f"{team.slug[: MAX_SLUG_LENGTH - len(mark)]}{mark}"
    team.personal_of = None
    team.deleted_at = timezone.now()
    team.save(update_fields=["slug", "personal_of", "deleted_at"])


def lock_team(team: Team) -> Team:
    """The team's row, locked: who changes its members or projects at once waits here.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    locked = Team.objects.select_for_update(no_key=True).filter(pk=team.pk, deleted_at=None).first()
    if locked is None:
        raise NotFound("There is no such team any more.")
    return locked


@transaction.atomic
def set_team_member(team: Team, person: User, role: TeamRole, *, actor: User) -> TeamMembership:
    """Adds a person to a shared team, or changes their role.

    Raises:
        Invalid: the team is personal.
        LastOwner: the last administrator would become a member.
    """
    _check_shared(team)
    lock_team(team)
    if role != TeamRole.ADMIN:
        _keep_an_administrator(team, person)
    membership, _created = TeamMembership.objects.update_or_create(
        team=team, user=person, defaults={"role": role}
    )
    audit.record(
        "team_shared",
        actor=actor,
        target=f"team:{team.slug}",
        team_id=team.pk,
        user_id=person.pk,
        role=role.value,
    )
    return membership


@transaction.atomic
def remove_team_member(team: Team, person: User, *, actor: User) -> None:
    """Takes a person out of a shared team. Their place in its projects is a matter of each project.

    Raises:
        Invalid: the team is personal. LastOwner: they are its last administrator. NotFound: they are not of it.
    """
    _check_shared(team)
    membership = TeamMembership.objects.filter(team=team, user=person).first()
    if membership is None:
        raise NotFound("That person is not of this team.")
    _keep_an_administrator(team, person)
    membership.delete()
    audit.record("team_unshared", actor=actor, target=f"team:{team.slug}", team_id=team.pk, user_id=person.pk)


def _check_shared(team: Team) -> None:
    if team.personal_of_id is not None:
        raise Invalid("A personal team has one member. Make a team to work with others, or share a project.")


def _keep_an_administrator(team: Team, person: User) -> None:
    lock_team(team)  # two administrators who remove each other at once wait for one another
    admins = TeamMembership.objects.filter(team=team, role=TeamRole.ADMIN)
    if admins.filter(user=person).exists() and not admins.exclude(user=person).exists():
        raise LastOwner("A team needs an administrator: make another person administrator first.")


def _create_team(name: str, slug_source: str, personal_of: User | None = None) -> Team:
    for slug, _try in zip(slugs_for(slug_source, "team"), range(_SLUG_TRIES), strict=False):
        if Team.objects.filter(slug=slug).exists():
            continue
        try:
            with transaction.atomic():
                return Team.objects.create(slug=slug, name=name[:100], personal_of=personal_of)
        except IntegrityError:
            continue  # somebody else took the slug between the look and the insert
    raise Conflict("Many teams have that name. Choose another one.")
