"""A whole list of people invited at once: all of it, or, with any problem, nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from django.db import transaction

from zasper_hub.accounts.errors import InvalidList
from zasper_hub.accounts.invitation_list import Line
from zasper_hub.accounts.models import Invitation, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.reach import Reach
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.invitations import check_open_count, may_make_accounts, prepare_invitation
from zasper_hub.accounts.services.teams import set_team_member

Outcome = Literal["invite", "add_to_team", "unchanged", "error"]
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class InvitedLine:
    """What a line leads to; `secret` of the link for a new person, once it is done."""

    line: Line
    outcome: Outcome
    message: str
    secret: str | None = None


def plan(reach: Reach, lines: list[Line]) -> list[InvitedLine]:
    """What each line would lead to. Three look-ups whatever the number of lines."""
    teams = {team.slug: team for team in reach.teams().filter(personal_of=None)}
    wanted = {line.username.lower() for line in lines if not line.problem}
    people = {
        username.lower(): (pk, is_active)
        for pk, username, is_active in User.objects.values_list("pk", "username", "is_active").iterator()
        if username.lower() in wanted
    }
    places = set(TeamMembership.objects.filter(team__in=teams.values()).values_list("team__slug", "user_id"))
    return [_planned(reach, line, teams, people, places) for line in lines]


def _planned(
    reach: Reach,
    line: Line,
    teams: dict[str, Team],
    people: dict[str, tuple[int, bool]],
    places: set[tuple[str, int]],
) -> InvitedLine:
    if line.problem:
        return InvitedLine(line, "error", line.problem)
    if line.team and line.team not in teams:
        return InvitedLine(line, "error", "There is no such team, or you do not administer it.")
    if not line.team and not reach.is_hub:
        return InvitedLine(line, "error", "Name one of the teams that you administer.")
    known = people.get(line.username.lower())
    if known is None and not may_make_accounts(reach):
        return InvitedLine(
            line, "error", "Nobody has this username. Administrators of the hub make accounts."
        )
    if known is None:
        return InvitedLine(line, "invite", "Gets a link to make an account.")
    pk, is_active = known
    if not is_active:
        return InvitedLine(line, "error", "The account with this username is disabled.")
    if not line.team or (line.team, pk) in places:
        return InvitedLine(line, "unchanged", "Has an account, and is where the list wants them.")
    return InvitedLine(line, "add_to_team", "Has an account, and joins the team.")


@transaction.atomic
def carry_out(reach: Reach, lines: list[Line], *, days: int) -> list[InvitedLine]:
    """Does what `plan` says.

    Raises:
        InvalidList: a line has a problem; `details.planned` is the whole plan, nothing was done.
        TooMany: the person would have too many open invitations; nothing was done.
    """
    planned = plan(reach, lines)
    if any(row.outcome == "error" for row in planned):
        raise InvalidList(planned=planned)
    check_open_count(reach.user, sum(row.outcome == "invite" for row in planned))
    teams = {team.slug: team for team in reach.teams().filter(personal_of=None)}
    done: list[InvitedLine] = []
    invitations: list[Invitation] = []
    for row in planned:
        line, team, secret = row.line, teams.get(row.line.team), None
        if row.outcome == "invite":
            made = prepare_invitation(
                reach.user,
                team=team,
                days=days,
                role=line.role,
                username=line.username,
                display_name=line.display_name,
                email=line.email,
            )
            invitations.append(made.invitation)
            secret = made.secret
        elif row.outcome == "add_to_team" and team is not None:
            person = User.objects.get(username__iexact=line.username)
            set_team_member(team, person, TeamRole(line.role), actor=reach.user)
        done.append(replace(row, secret=secret))
    Invitation.objects.bulk_create(invitations, batch_size=_AT_ONCE)
    for team_id in {invitation.team_id for invitation in invitations}:
        count = sum(invitation.team_id == team_id for invitation in invitations)
        audit.record("people_invited", actor=reach.user, team_id=team_id, count=count, days=days)
    return done
