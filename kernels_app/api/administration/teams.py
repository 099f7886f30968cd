"""Admin API: teams."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Status

from kernels_app.api.administration.overview import live_nodes
from kernels_app.api.administration.schemas import (
    AdminMemberOut,
    AdminTeamIn,
    AdminTeamOut,
    PlacementIn,
    PlacementOut,
    Removed,
    Row,
    TeamChange,
    TeamDetailOut,
)
from kernels_app.api.administration.shapes import member, removed, shaped_nodes, shaped_teams
from kernels_app.bus.terminals import TERMINALS_LABEL
from kernels_app.errors import Forbidden, Invalid
from kernels_app.selectors import administration as select
from kernels_app.services import departures
from kernels_app.services.team_placement import is_suitable, node_labels_of, set_node_labels
from zasper_hub.accounts.access import person_named
from zasper_hub.accounts.models import Team, TeamRole
from zasper_hub.accounts.paging import Filter, PageIn, PageOut, Part, part_of
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.schemas import TeamMemberIn
from zasper_hub.accounts.services import teams as services
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["administration"])

_HUB = needs(Need.STAFF, Scope.ADMIN)
_ONE = needs(Need.TEAM_STEWARD, Scope.ADMIN)
_PATH = "/admin/teams/{slug:team_slug}"

SORTS = {
    name: name
    for name in (
        "slug",
        "name",
        "member_count",
        "project_count",
        "kernel_count",
        "memory_bytes",
        "storage_bytes",
        "created_at",
    )
}


class TeamsPage(PageIn):
    personal: bool = False


@router.get("/admin/teams", response=PageOut[AdminTeamOut], auth=needs(Need.ADMINISTRATION, Scope.ADMIN))
def list_teams(request: HttpRequest, page: Query[TeamsPage]) -> Part:
    reach = reach_of(caller_of(request).user)
    teams = select.teams_in(reach, search=page.search, is_personal=page.personal)
    return part_of(teams, page, sorts=SORTS, default="name", shape=shaped_teams)


@router.post("/admin/teams", response={201: TeamDetailOut}, auth=_HUB)
def make_team(request: HttpRequest, body: AdminTeamIn) -> Status[Row]:
    actor = caller_of(request).user
    administrator = actor if body.administrator is None else person_named(body.administrator)
    team = services.make_team_for(administrator, name=body.name, slug=body.slug, actor=actor)
    return Status(201, _detail(team))


@router.get(_PATH, response=TeamDetailOut, auth=_ONE)
def get_team(request: HttpRequest, team_slug: str) -> Row:
    return _detail(_team(request, team_slug))


@router.patch(_PATH, response=TeamDetailOut, auth=_ONE)
def change_team(request: HttpRequest, team_slug: str, body: TeamChange) -> Row:
    team = _team(request, team_slug)
    if body.name is not None:
        team = services.rename_team(team, name=body.name, actor=caller_of(request).user, version=body.version)
    return _detail(team)


@router.post(f"{_PATH}/members", response={201: AdminMemberOut}, auth=_ONE)
def set_member(request: HttpRequest, team_slug: str, body: TeamMemberIn) -> Status[Row]:
    person = person_named(body.username)
    membership = services.set_team_member(
        _team(request, team_slug), person, TeamRole(body.role), actor=caller_of(request).user
    )
    return Status(201, member(membership))


@router.delete(f"{_PATH}/members", response={204: None}, auth=_ONE)
def remove_member(request: HttpRequest, team_slug: str, username: Filter) -> Status[None]:
    person = person_named(username, or_disabled=True)
    services.remove_team_member(_team(request, team_slug), person, actor=caller_of(request).user)
    return Status(204, None)


@router.delete(_PATH, response=Removed, auth=_ONE)
def delete_team(
    request: HttpRequest, team_slug: str, projects: Literal["trash", "move"] = "trash", to: Filter = ""
) -> Row:
    """Administrators of the hub only: what goes to the trash is not only the team administrators'."""
    actor = caller_of(request).user
    if not reach_of(actor).is_hub:
        raise Forbidden("Only administrators of the hub may delete a team.")
    target: Team | None = None
    if projects == "move":
        if not to:
            raise Invalid("Say to which team the projects move.", field="to")
        target = reach_of(actor).team(to)
    return removed(departures.delete_team(_team(request, team_slug), actor=actor, to=target))


@router.get(f"{_PATH}/placement", response=PlacementOut, auth=_ONE)
def get_placement(request: HttpRequest, team_slug: str) -> Row:
    return _placement(node_labels_of(_team_to_place(request, team_slug)))


@router.put(f"{_PATH}/placement", response=PlacementOut, auth=_ONE)
def set_placement(request: HttpRequest, team_slug: str, body: PlacementIn) -> Row:
    team = _team_to_place(request, team_slug)
    return _placement(set_node_labels(team, body.node_labels, actor=caller_of(request).user))


def _team_to_place(request: HttpRequest, slug: str) -> Team:
    """For administrators of the hub only: nodes are no team's own."""
    if not reach_of(caller_of(request).user).is_hub:
        raise Forbidden("Only administrators of the hub say on which nodes a team's kernels run.")
    return _team(request, slug)


def _placement(wanted: dict[str, str]) -> Row:
    live, _answers = live_nodes()
    nodes = shaped_nodes(list(select.nodes_with_counts().order_by("pk")), live, {})
    return {
        "node_labels": wanted,
        "nodes": [
            {
                "id": node["id"],
                "state": node["state"],
                # Not those that a node has by itself: nobody places by them.
                "labels": {name: value for name, value in node["labels"].items() if name != TERMINALS_LABEL},
                "is_suitable": is_suitable(node["labels"], wanted),
            }
            for node in nodes
        ],
    }


def _team(request: HttpRequest, slug: str) -> Team:
    return reach_of(caller_of(request).user).team(slug)


def _detail(team: Team) -> Row:
    [row] = select.with_team_figures(Team.objects.filter(pk=team.pk))
    projects: list[Any] = list(select.projects_of_team(team))
    return {
        **shaped_teams([row])[0],
        "members": [
            member(membership)
            for membership in team.memberships.select_related("user").order_by("created_at", "pk")
        ],
        "projects": [
            {
                "id": project.pk,
                "slug": project.slug,
                "name": project.name,
                "member_count": project.member_count,
                "kernel_count": project.kernel_count,
                "last_opened_at": project.last_opened_at,
            }
            for project in projects
        ],
    }
