"""Teams and who is of them."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from zasper_hub.accounts.errors import Conflict, Invalid, LastOwner, NotFound, TooMany
from zasper_hub.accounts.models import Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.names import clean_name, slugs_for
from zasper_hub.accounts.services import audit

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
def set_team_member(team: Team, person: User, role: TeamRole, *, actor: User) -> TeamMembership:
    """Adds a person to a shared team, or changes their role.

    Raises:
        Invalid: the team is personal.
        LastOwner: the last administrator would become a member.
    """
    _check_shared(team)
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
    # The lock makes two administrators who remove each other at once wait for one another.
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)
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
