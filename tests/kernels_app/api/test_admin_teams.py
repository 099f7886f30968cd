"""The admin API of teams, and what deleting a team or a person leaves behind."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from kernels_app.models import Kernel, KernelState, Node
from notebooks_app.models import Project, ProjectMembership, Role
from notebooks_app.services.projects import create_project, purge_deleted_projects
from tests.asking import Asking
from tests.cast import PASSWORD, Cast
from zasper_hub.accounts.errors import NotFound
from zasper_hub.accounts.models import AuditEvent, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.services import create_person
from zasper_hub.accounts.services.teams import retire_team, set_team_member

TEAMS = "/api/hub/v1/admin/teams"
PEOPLE = "/api/hub/v1/admin/people"


@pytest.fixture
def lab(cast: Cast, lab: Team) -> Team:
    """... with bob's project `shared`."""
    create_project(cast.bob, name="Shared", team_slug="lab")
    return lab


def running(project: Project, person: User) -> Kernel:
    node, _ = Node.objects.get_or_create(node_id="n")
    return Kernel.objects.create(
        project=project, user=person, kernelspec_name="python3", state=KernelState.BUSY, node=node
    )


def state_of(kernel: Kernel) -> str:
    kernel.refresh_from_db()
    return kernel.state


def test_teams_are_listed_with_their_figures_and_personal_ones_apart(
    cast: Cast, root: Asking, lab: Team
) -> None:
    running(Project.objects.get(slug="shared"), cast.bob)
    [shown] = root.get(TEAMS).json()["items"]
    figures = ("member_count", "administrator_count", "project_count", "kernel_count")
    assert [shown[name] for name in figures] == [2, 1, 1, 1]
    assert root.get(TEAMS, personal=1).json()["total"] == 5
    assert root.get(TEAMS, search="nothing like it").json() == {"items": [], "total": 0}
    detail = root.get(f"{TEAMS}/lab").json()
    assert [member["username"] for member in detail["members"]] == ["alice", "bob"]
    assert [(project["slug"], project["kernel_count"]) for project in detail["projects"]] == [("shared", 1)]


def test_a_team_is_made_for_somebody_and_renamed(cast: Cast, root: Asking) -> None:
    made = root.post(TEAMS, {"name": "Biology", "slug": "bio", "administrator": "carol"})
    assert made.status_code == 201, made.content
    assert [(member["username"], member["role"]) for member in made.json()["members"]] == [("carol", "admin")]
    assert root.post(TEAMS, {"name": "Other", "slug": "bio"}).json()["error"]["code"] == "exists"
    renamed = root.patch(f"{TEAMS}/bio", {"name": "Life", "version": made.json()["version"]}).json()
    assert (renamed["name"], renamed["slug"]) == ("Life", "bio")
    stale = root.patch(f"{TEAMS}/bio", {"name": "Death", "version": made.json()["version"]})
    assert stale.json()["error"]["code"] == "conflict"


@pytest.mark.parametrize("body", [{}, {"name": "\x00"}, {"name": "x", "slug": "a/b"}, {"name": "x" * 101}])
def test_a_bad_team_is_refused(cast: Cast, root: Asking, body: dict[str, str]) -> None:
    assert root.post(TEAMS, body).status_code == 422


def test_a_team_administrator_runs_their_team_and_no_other(cast: Cast, lab: Team) -> None:
    alice = Asking(cast.alice)
    Team.objects.create(slug="other", name="Other")
    assert [team["slug"] for team in alice.get(TEAMS).json()["items"]] == ["lab"]
    assert alice.get(TEAMS, personal=1).json()["total"] == 0
    for path in (f"{TEAMS}/other", f"{TEAMS}/alice", f"{TEAMS}/no-such"):
        assert alice.get(path).status_code == 404
    assert alice.patch(f"{TEAMS}/lab", {"name": "Labor"}).json()["name"] == "Labor"
    assert alice.post(f"{TEAMS}/lab/members", {"username": "carol", "role": "member"}).status_code == 201
    assert alice.delete(f"{TEAMS}/lab/members?username=carol").status_code == 204
    assert alice.delete(f"{TEAMS}/lab/members?username=alice").json()["error"]["code"] == "last_owner"
    assert alice.delete(f"{TEAMS}/lab").status_code == 403
    assert Asking(cast.bob).get(TEAMS).status_code == 403


def test_a_team_s_own_administrator_renames_it_without_the_panel(cast: Cast, lab: Team) -> None:
    renamed = Asking(cast.alice).patch("/api/hub/v1/teams/lab", {"name": "Labor"})
    assert renamed.json() == {"slug": "lab", "name": "Labor", "role": "admin", "is_personal": False}
    assert Asking(cast.bob).patch("/api/hub/v1/teams/lab", {"name": "Mine"}).status_code == 403
    assert Asking(cast.alice).patch("/api/hub/v1/teams/alice", {"name": "Mine"}).status_code == 422


def test_a_deleted_team_stops_its_kernels_and_its_projects_go_to_the_trash(
    cast: Cast, root: Asking, lab: Team
) -> None:
    project = Project.objects.get(slug="shared")
    kernel = running(project, cast.bob)
    answer = root.delete(f"{TEAMS}/lab")
    assert answer.status_code == 200, answer.content
    assert answer.json()["stopped_kernels"] == 1
    assert [row["outcome"] for row in answer.json()["projects"]] == ["trashed"]
    assert state_of(kernel) == KernelState.STOPPING
    project.refresh_from_db()
    assert project.deleted_at is not None
    assert root.get(f"{TEAMS}/lab").status_code == 404
    assert not TeamMembership.objects.filter(team=lab).exists()
    assert root.post(TEAMS, {"name": "Lab", "slug": "lab"}).status_code == 201  # the name is free again
    assert root.delete(f"{TEAMS}/alice").status_code == 422
    purge_deleted_projects(timezone.now() + timedelta(days=31))
    assert not Team.objects.filter(pk=lab.pk).exists()


def test_a_deleted_team_s_projects_can_move_and_keep_their_people(
    cast: Cast, root: Asking, lab: Team
) -> None:
    project = Project.objects.get(slug="shared")
    target = Team.objects.create(slug="target", name="Target")
    Project.objects.create(team=target, slug="shared", name="Shared too")
    assert root.delete(f"{TEAMS}/lab?projects=move").status_code == 422
    assert root.delete(f"{TEAMS}/lab?projects=move&to=lab").status_code == 422
    assert root.delete(f"{TEAMS}/lab?projects=move&to=no-such").status_code == 404
    answer = root.delete(f"{TEAMS}/lab?projects=move&to=target")
    assert [row["outcome"] for row in answer.json()["projects"]] == ["moved"]
    project.refresh_from_db()
    assert (project.team, project.slug, project.deleted_at) == (target, "shared-2", None)
    assert Asking(cast.bob).get(f"/api/hub/v1/projects/{project.pk}").status_code == 200


def test_nothing_is_put_into_a_team_that_is_being_deleted(cast: Cast, lab: Team) -> None:
    stale = Team.objects.get(pk=lab.pk)
    retire_team(lab)
    with pytest.raises(NotFound):
        set_team_member(stale, cast.carol, TeamRole.MEMBER, actor=cast.alice)
    with pytest.raises(NotFound):
        create_project(cast.bob, name="Late", team_slug="lab")


def test_a_deleted_person_s_kernels_stop_and_what_others_use_stays(
    cast: Cast, root: Asking, lab: Team
) -> None:
    # bob alone owns `shared` of the lab; alice alone owns `analysis`, which bob edits and carol views.
    own = create_project(cast.bob, name="Own").project
    shared = Project.objects.get(slug="shared")
    kernel = running(own, cast.bob)
    answer = root.delete(f"{PEOPLE}/bob")
    assert answer.status_code == 200, answer.content
    outcomes = {row["name"]: (row["outcome"], row["to"]) for row in answer.json()["projects"]}
    assert outcomes == {"Own": ("trashed", None), "Shared": ("handed_over", "alice")}
    assert state_of(kernel) == KernelState.STOPPING
    assert not User.objects.filter(username="bob").exists()
    own.refresh_from_db()
    assert own.deleted_at is not None
    assert ProjectMembership.objects.get(project=shared, role=Role.OWNER).user == cast.alice
    event = AuditEvent.objects.get(action="account_deleted")
    assert event.details["username"] == "bob"
    assert create_person(username="bob", password=PASSWORD).personal_team.slug == "bob"


def test_shared_projects_of_a_deleted_person_s_own_team_go_to_who_uses_them(cast: Cast, root: Asking) -> None:
    answer = root.delete(f"{PEOPLE}/alice")
    assert [(row["outcome"], row["to"]) for row in answer.json()["projects"]] == [("handed_over", "bob")]
    cast.project.refresh_from_db()
    assert cast.project.team == cast.bob.personal_team
    assert ProjectMembership.objects.get(project=cast.project, role=Role.OWNER).user == cast.bob


def test_all_projects_of_a_deleted_person_can_go_to_one(cast: Cast, root: Asking) -> None:
    assert root.delete(f"{PEOPLE}/alice?projects=hand_over").status_code == 422
    assert root.delete(f"{PEOPLE}/alice?projects=hand_over&to=alice").status_code == 422
    assert root.delete(f"{PEOPLE}/alice?projects=hand_over&to=nobody").status_code == 404
    answer = root.delete(f"{PEOPLE}/alice?projects=hand_over&to=mallory")
    assert [(row["outcome"], row["to"]) for row in answer.json()["projects"]] == [("handed_over", "mallory")]
    cast.project.refresh_from_db()
    assert cast.project.team == cast.mallory.personal_team


def test_a_team_does_not_lose_its_last_administrator_with_a_person(
    cast: Cast, root: Asking, lab: Team
) -> None:
    root.delete(f"{PEOPLE}/alice")
    assert TeamMembership.objects.get(team=lab, role=TeamRole.ADMIN).user == cast.bob


def test_nobody_deletes_themselves_or_the_last_administrator(cast: Cast, root: Asking) -> None:
    assert root.delete(f"{PEOPLE}/root").json()["error"]["code"] == "yourself"
    second = create_person(username="second", password=PASSWORD, is_administrator=True)
    asking = Asking(second)
    assert root.delete(f"{PEOPLE}/second").status_code == 200
    assert asking.get(PEOPLE).status_code == 401
