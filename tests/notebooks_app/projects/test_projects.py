"""Projects and members over the hub API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from notebooks_app.models import Document, Project, ProjectMembership
from notebooks_app.selectors.storage import holder_of, person_storage_bytes
from notebooks_app.services.projects import create_project, delete_project, note_opened
from notebooks_app.signals import project_deleted
from notebooks_app.storage.project_files import content_store
from notebooks_app.tasks import purge_deleted_projects
from tests.cast import PASSWORD, Cast, headers_of
from zasper_hub.accounts.models import AccessChange, AuditEvent, Team, TeamMembership, User
from zasper_hub.accounts.services.teams import create_team

API = "/api/hub/v1"
JSON: dict[str, Any] = {"content_type": "application/json"}


def call(user: User, method: str, path: str, body: Any = None) -> Any:
    return Client().generic(
        method,
        f"{API}{path}",
        body if isinstance(body, str) else _json(body),
        headers=headers_of(user),
        **JSON,
    )


def _json(body: Any) -> str:
    import json

    return "" if body is None else json.dumps(body)


def code_of(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def test_a_project_is_made_in_the_personal_team_with_its_maker_as_owner(cast: Cast) -> None:
    made = call(cast.alice, "POST", "/projects", {"name": " Sales  2026 "})
    assert made.status_code == 201
    project = made.json()
    assert (project["team"], project["slug"], project["name"]) == ("alice", "sales-2026", "Sales 2026")
    assert project["role"] == "owner"
    assert project["jupyter_url"] == "http://testserver/jupyter/alice/sales-2026/"
    assert call(cast.alice, "GET", f"/projects/{project['id']}").json() == project
    assert [
        entry["role"] for entry in call(cast.alice, "GET", f"/projects/{project['id']}/members").json()
    ] == ["owner"]


def test_names_may_repeat_and_slugs_do_not(cast: Cast) -> None:
    slugs = [call(cast.bob, "POST", "/projects", {"name": "Analysis"}).json()["slug"] for _ in range(3)]
    assert slugs == ["analysis", "analysis-2", "analysis-3"]
    assert call(cast.alice, "POST", "/projects", {"name": "Analysis"}).json()["slug"] == "analysis-2"


def test_a_project_of_a_team_is_made_by_its_people_only(cast: Cast) -> None:
    team = create_team(cast.alice, name="Lab")
    TeamMembership.objects.create(team=team, user=cast.bob)
    made = call(cast.bob, "POST", "/projects", {"name": "Shared", "team": "lab"})
    assert made.json()["team"] == "lab"
    assert code_of(call(cast.mallory, "POST", "/projects", {"name": "Shared", "team": "lab"})) == "not_found"
    assert code_of(call(cast.mallory, "POST", "/projects", {"name": "Mine", "team": "alice"})) == "not_found"
    # Being of the team is not being of the project.
    assert call(cast.alice, "GET", f"/projects/{made.json()['id']}").status_code == 404


def test_the_list_has_my_projects_last_opened_first(cast: Cast) -> None:
    for name in ("one", "two", "three"):
        call(cast.bob, "POST", "/projects", {"name": name})
    Project.objects.filter(slug="one").update(last_opened_at=timezone.now() + timedelta(hours=1))
    assert [entry["slug"] for entry in call(cast.bob, "GET", "/projects").json()] == [
        "one",
        "three",
        "two",
        "analysis",
    ]
    assert call(cast.mallory, "GET", "/projects").json() == []
    assert call(cast.admin, "GET", "/projects").json() == []


def test_a_list_of_many_projects_takes_a_fixed_number_of_queries(
    cast: Cast, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        project = Project.objects.create(team=cast.bob.personal_team, slug=f"p{number}", name=f"P{number}")
        ProjectMembership.objects.create(project=project, user=cast.bob, role="owner")
    headers = headers_of(cast.bob)
    Client().get(f"{API}/projects", headers=headers)
    with django_assert_max_num_queries(3):
        assert len(Client().get(f"{API}/projects", headers=headers).json()) == 21


def test_sharing_changing_and_ending_it(cast: Cast) -> None:
    members = f"/projects/{cast.project.pk}/members"
    assert call(cast.alice, "POST", members, {"username": "Mallory", "role": "viewer"}).status_code == 201
    assert call(cast.mallory, "GET", f"/projects/{cast.project.pk}").json()["role"] == "viewer"
    assert (
        call(cast.alice, "POST", members, {"username": "mallory", "role": "editor"}).json()["role"]
        == "editor"
    )
    assert [(entry["username"], entry["role"]) for entry in call(cast.carol, "GET", members).json()] == [
        ("alice", "owner"),
        ("bob", "editor"),
        ("carol", "viewer"),
        ("mallory", "editor"),
    ]
    assert call(cast.alice, "DELETE", f"{members}?username=mallory").status_code == 204
    assert call(cast.mallory, "GET", f"/projects/{cast.project.pk}").status_code == 404
    assert code_of(call(cast.alice, "DELETE", f"{members}?username=mallory")) == "not_found"
    noted = AuditEvent.objects.filter(actor=cast.alice, target=f"project:{cast.project.pk}").order_by("pk")
    assert list(noted.values_list("action", flat=True)) == ["share", "share", "unshare"]


def test_only_owners_share_and_anybody_may_leave(cast: Cast) -> None:
    members = f"/projects/{cast.project.pk}/members"
    for person in (cast.bob, cast.carol):
        assert code_of(call(person, "POST", members, {"username": "mallory", "role": "owner"})) == "forbidden"
        assert (
            code_of(call(person, "POST", members, {"username": person.username, "role": "owner"}))
            == "forbidden"
        )
        assert code_of(call(person, "DELETE", f"{members}?username=alice")) == "forbidden"
        assert call(person, "DELETE", f"{members}?username={person.username}").status_code == 204
    assert [entry["username"] for entry in call(cast.alice, "GET", members).json()] == ["alice"]


def test_the_last_owner_stays(cast: Cast) -> None:
    members = f"/projects/{cast.project.pk}/members"
    assert code_of(call(cast.alice, "DELETE", f"{members}?username=alice")) == "last_owner"
    assert code_of(call(cast.alice, "POST", members, {"username": "alice", "role": "editor"})) == "last_owner"
    assert call(cast.alice, "POST", members, {"username": "bob", "role": "owner"}).status_code == 201
    assert call(cast.bob, "PATCH", f"/projects/{cast.project.pk}", {"holds_storage": True}).status_code == 200
    assert call(cast.alice, "DELETE", f"{members}?username=alice").status_code == 204
    assert code_of(call(cast.bob, "DELETE", f"{members}?username=bob")) == "last_owner"


def holder(cast: Cast) -> list[str]:
    members = call(cast.alice, "GET", f"/projects/{cast.project.pk}/members").json()
    return [entry["username"] for entry in members if entry["holds_storage"]]


def test_storage_falls_to_nobody_who_did_not_take_it_over(cast: Cast) -> None:
    members, path = f"/projects/{cast.project.pk}/members", f"/projects/{cast.project.pk}"
    for username in ("bob", "mallory"):
        call(cast.alice, "POST", members, {"username": username, "role": "owner"})
    assert holder(cast) == ["alice"]
    for actor in (cast.alice, cast.bob):
        left = call(actor, "DELETE", f"{members}?username=alice")
        assert (left.status_code, code_of(left)) == (409, "holds_storage")
        assert "take it over" in left.json()["error"]["message"]
        changed = call(actor, "POST", members, {"username": "alice", "role": "editor"})
        assert code_of(changed) == "holds_storage"
    assert code_of(call(cast.carol, "PATCH", path, {"holds_storage": True})) == "forbidden"
    assert call(cast.alice, "PATCH", path, {"holds_storage": False}).status_code == 422
    assert call(cast.mallory, "PATCH", path, {"holds_storage": True}).status_code == 200
    assert holder(cast) == ["mallory"]
    assert person_storage_bytes(cast.alice) == 0
    assert code_of(call(cast.mallory, "DELETE", f"{members}?username=mallory")) == "holds_storage"
    assert call(cast.alice, "POST", members, {"username": "alice", "role": "editor"}).status_code == 201
    taken = AuditEvent.objects.get(action="storage_taken_over")
    assert (taken.actor, taken.target) == (cast.mallory, f"project:{cast.project.pk}")


def test_a_member_of_old_who_is_made_an_owner_does_not_get_the_storage(cast: Cast) -> None:
    members = f"/projects/{cast.project.pk}/members"
    call(cast.alice, "POST", members, {"username": "mallory", "role": "owner"})
    cast.project.memberships.get(user=cast.alice).delete()  # as with an account that is deleted
    assert holder_of(cast.project) == cast.mallory
    assert call(cast.mallory, "POST", members, {"username": "bob", "role": "owner"}).status_code == 201
    assert holder_of(cast.project) == cast.mallory


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "nobody", "role": "viewer"}, 404),
        ({"username": "bob", "role": "admin"}, 422),
        ({"username": "", "role": "viewer"}, 422),
        ({"username": "x" * 10_000, "role": "viewer"}, 422),
        ({"role": "viewer"}, 422),
    ],
)
def test_bad_shares_are_refused(cast: Cast, body: dict[str, str], status: int) -> None:
    assert call(cast.alice, "POST", f"/projects/{cast.project.pk}/members", body).status_code == status


def test_a_disabled_account_cannot_be_added_but_can_be_removed(cast: Cast) -> None:
    User.objects.filter(pk__in=(cast.bob.pk, cast.mallory.pk)).update(is_active=False)
    members = f"/projects/{cast.project.pk}/members"
    assert call(cast.alice, "POST", members, {"username": "mallory", "role": "viewer"}).status_code == 404
    assert "bob" not in [entry["username"] for entry in call(cast.alice, "GET", members).json()]
    assert call(cast.alice, "DELETE", f"{members}?username=bob").status_code == 204


def test_a_new_name_keeps_the_address(cast: Cast) -> None:
    path = f"/projects/{cast.project.pk}"
    changed = call(cast.alice, "PATCH", path, {"name": "Forecast", "allows_hidden_files": True}).json()
    assert (changed["name"], changed["slug"], changed["allows_hidden_files"]) == (
        "Forecast",
        "analysis",
        True,
    )
    assert call(cast.alice, "PATCH", path, {}).json() == changed
    assert code_of(call(cast.bob, "PATCH", path, {"name": "Mine"})) == "forbidden"
    assert code_of(call(cast.alice, "PATCH", path, {"name": "\u202e"})) == "invalid"


def test_a_deleted_project_is_gone_at_once_and_frees_its_address(cast: Cast) -> None:
    told: list[Any] = []

    def hears(project: Project, **_: Any) -> None:
        told.append(project.pk)

    project_deleted.connect(hears)
    try:
        assert code_of(call(cast.bob, "DELETE", f"/projects/{cast.project.pk}")) == "forbidden"
        assert call(cast.alice, "DELETE", f"/projects/{cast.project.pk}").status_code == 204
    finally:
        project_deleted.disconnect(hears)
    assert told == [cast.project.pk]
    for person in (cast.alice, cast.bob):
        assert call(person, "GET", f"/projects/{cast.project.pk}").status_code == 404
        assert call(person, "GET", "/projects").json() == []
    assert call(cast.alice, "POST", "/projects", {"name": "Analysis"}).json()["slug"] == "analysis"
    cast.project.refresh_from_db()
    assert cast.project.deleted_at is not None


def test_recent_documents_are_those_of_my_projects(cast: Cast) -> None:
    now = timezone.now()
    for path, opened_at in (
        ("old.ipynb", now - timedelta(days=1)),
        ("new.ipynb", now),
        ("never.ipynb", None),
    ):
        Document.objects.create(project=cast.project, path=path, epoch="e", last_opened_at=opened_at)
    listed = call(cast.carol, "GET", "/me/documents").json()
    assert [entry["path"] for entry in listed] == ["new.ipynb", "old.ipynb"]
    assert listed[0]["project"] == {
        "id": str(cast.project.pk),
        "team": "alice",
        "slug": "analysis",
        "name": "Analysis",
    }
    assert call(cast.mallory, "GET", "/me/documents").json() == []


def test_one_person_makes_a_bounded_number_of_projects(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notebooks_app.services.projects.MAX_PROJECTS", 2)
    answers = [call(cast.bob, "POST", "/projects", {"name": "p"}).status_code for _ in range(3)]
    assert answers == [201, 201, 429]


def test_everybody_has_a_personal_team(cast: Cast) -> None:
    assert Team.objects.filter(personal_of=None).count() == 0
    assert Team.objects.count() == User.objects.count()


def test_a_project_deleted_long_ago_is_purged_with_its_files_and_no_other(cast: Cast) -> None:
    other = create_project(cast.alice, name="Other").project
    for project in (cast.project, other):
        content_store(project).write("a.txt", [b"x"])
        delete_project(project, actor=cast.alice)
    Project.objects.filter(pk=cast.project.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    purge_deleted_projects()
    assert not Project.objects.filter(pk=cast.project.pk).exists()
    assert Project.objects.filter(pk=other.pk).exists()
    folder = settings.DATA_DIR / "projects"
    assert not (folder / str(cast.project.pk)).exists()
    assert (folder / str(other.pk) / "a.txt").exists()


def test_an_administrator_changes_members_in_the_admin_panel_and_it_is_noted(cast: Cast) -> None:
    client = Client()
    client.post("/accounts/login/", {"login": "root", "password": PASSWORD})
    path = f"/admin/records/notebooks_app/project/{cast.project.pk}/change/"
    assert client.get(path).status_code == 200
    assert client.get("/admin/records/notebooks_app/project/").status_code == 200
    carol = cast.project.memberships.get(user=cast.carol)
    form = {
        "name": "Analysis",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": str(carol.pk),
        "memberships-0-project": str(cast.project.pk),
        "memberships-0-user": str(cast.carol.pk),
        "memberships-0-role": "viewer",
        "memberships-0-DELETE": "on",
    }
    assert client.post(path, form).status_code == 302
    assert not cast.project.memberships.filter(user=cast.carol).exists()
    assert AuditEvent.objects.filter(action="members_changed_by_admin", actor=cast.admin).exists()
    assert AccessChange.objects.filter(user_id=cast.carol.pk).exists()


def test_an_opened_project_is_noted_once_a_minute(cast: Cast) -> None:
    start = timezone.now()
    for seconds, noted in ((0, 0), (59, 0), (61, 61)):
        note_opened(cast.project, start + timedelta(seconds=seconds))
        cast.project.refresh_from_db()
        assert cast.project.last_opened_at == start + timedelta(seconds=noted)
