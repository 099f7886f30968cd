"""Names of teams and people become rows here, on behalf of a user."""

from __future__ import annotations

from zasper_hub.accounts.errors import Forbidden, Invalid, NotFound
from zasper_hub.accounts.models import Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.names import is_plain_text
from zasper_hub.accounts.permissions import Need, register_guard


def team_for(user: User, slug: str, need: TeamRole = TeamRole.MEMBER) -> Team:
    """The team, for a user who is of it.

    Raises:
        NotFound: no such team, or the user is not of it.
        Forbidden: a member where an administrator of the team is needed.
    """
    membership = TeamMembership.objects.select_related("team").filter(team__slug=slug, user=user).first()
    if membership is None:
        raise NotFound("There is no such team, or you are not of it.")
    if need == TeamRole.ADMIN and membership.role != TeamRole.ADMIN:
        raise Forbidden("Only administrators of the team may do this.", needed=TeamRole.ADMIN.value)
    return membership.team


def team_for_steward(user: User, slug: str) -> Team:
    """The team, for its administrators and those of the site.

    Raises:
        NotFound: no such team, or the user is neither of it nor an administrator of the site.
        Forbidden: a mere member.
    """
    if user.is_staff:
        team = Team.objects.filter(slug=slug).first()
        if team is None:
            raise NotFound("There is no such team.")
        return team
    return team_for(user, slug, TeamRole.ADMIN)


def person_named(username: str, *, or_disabled: bool = False) -> User:
    """The account with this username, in whatever case: who shares must know the name already.

    Raises:
        NotFound
    """
    if not is_plain_text(username):
        raise Invalid("A username has no control characters.", field="username")
    user = User.objects.filter(username__iexact=username.strip()).first()
    if user is None or not (user.is_active or or_disabled):
        raise NotFound("There is nobody with that username on this hub.", username=username[:150])
    return user


def guard_team(user: User, identifier: object, need: Need) -> None:
    if need is Need.TEAM_STEWARD:
        team_for_steward(user, str(identifier))
        return
    team_for(user, str(identifier), TeamRole.ADMIN if need is Need.TEAM_ADMIN else TeamRole.MEMBER)


def register_guards() -> None:
    """Called once, when Django has loaded the apps."""
    register_guard("team_slug", guard_team)
