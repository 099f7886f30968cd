"""Invitations: links and lists, and the page behind a link."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.asking import Asking, signed_in
from tests.cast import PASSWORD, Cast
from zasper_hub.accounts.errors import Invalid, TooLarge
from zasper_hub.accounts.invitation_list import MAX_BYTES, MAX_LINES, parse_list
from zasper_hub.accounts.models import AuditEvent, Invitation, Team, TeamMembership, TeamRole, User
from zasper_hub.accounts.services import invitations
from zasper_hub.accounts.services.teams import retire_team

INVITATIONS = "/api/hub/v1/admin/invitations"
NEW_PASSWORD = "a whole new battery"
TOO_LONG_A_CELL = b'username\n"' + b"x" * 200_000
TYPED = {"password": NEW_PASSWORD, "again": NEW_PASSWORD}


@pytest.fixture
def root(cast: Cast) -> Asking:
    return Asking(cast.admin)


@pytest.fixture
def lab(cast: Cast) -> Team:
    """A team that alice administers and bob is of."""
    team = Team.objects.create(slug="lab", name="Lab <b>")
    TeamMembership.objects.create(team=team, user=cast.alice, role=TeamRole.ADMIN)
    TeamMembership.objects.create(team=team, user=cast.bob)
    return team


def link(asking: Asking, **body: object) -> str:
    answer = asking.post(INVITATIONS, body)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["url"])


def upload(asking: Asking, text: str | bytes, query: str = "") -> Any:
    return Client().post(f"{INVITATIONS}/csv{query}", text, content_type="text/csv", headers=asking.headers)


def test_who_has_a_link_makes_an_account_and_is_of_the_team(cast: Cast, root: Asking, lab: Team) -> None:
    url = link(root, team="lab", note="For the new one")
    client = Client()
    page = client.get(url).content
    assert b"Join Lab &lt;b&gt;" in page
    assert client.post(url, {"username": "dora", "password": NEW_PASSWORD, "again": "x"}).status_code == 422
    assert client.post(url, {"username": "al\x00", **TYPED}).status_code == 422
    assert client.post(url, {"username": "ALICE", **TYPED}).status_code == 409
    assert client.post(url, {"username": "dora", "password": "short", "again": "short"}).status_code == 422
    assert Invitation.objects.get().use_count == 0
    done = client.post(url, {"username": "dora", "display_name": "Dora", "email": "d@example.org", **TYPED})
    assert (done.status_code, done.headers["Location"]) == (302, "/")
    assert client.get("/api/hub/v1/me").json()["username"] == "dora"
    dora = User.objects.get(username="dora")
    assert TeamMembership.objects.get(team=lab, user=dora).role == TeamRole.MEMBER
    assert Client().get(url).status_code == 404
    assert AuditEvent.objects.get(action="invitation_used").team == lab


def test_by_the_link_of_a_teams_administrator_nobody_makes_an_account(
    cast: Cast, lab: Team, settings: Any
) -> None:
    alice = Asking(cast.alice)
    url = link(alice, team="lab", max_uses=500)
    page = Client().get(url).content.decode()
    assert "Sign in with your account to join" in page
    assert 'type="password"' not in page
    assert Client().post(url, {"username": "dora", **TYPED}).status_code == 403
    assert not User.objects.filter(username="dora").exists()
    assert Invitation.objects.get().use_count == 0
    refused = upload(alice, "username,team\ndora,lab\ncarol,lab\n")
    assert refused.status_code == 422
    assert [row["outcome"] for row in refused.json()["error"]["details"]["rows"]] == ["error"]
    assert signed_in(cast.carol).post(url).status_code == 302
    settings.HUB_TEAM_ADMINS_INVITE_NEW_PEOPLE = True
    assert upload(alice, "username,team\ndora,lab\n").status_code == 200
    assert Client().post(url, {"username": "dora", **TYPED}).status_code == 302
    assert TeamMembership.objects.filter(team=lab, user__username="dora").exists()


def test_a_person_has_so_many_open_invitations_and_no_more(
    cast: Cast, root: Asking, lab: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MAX_OPEN", 3)
    link(root)
    assert upload(root, "username\na1\na2\na3\n").status_code == 429
    assert Invitation.objects.count() == 1
    assert upload(root, "username\na1\na2\n").status_code == 200
    assert root.post(INVITATIONS, {}).status_code == 429


def test_who_has_an_account_joins_with_it(cast: Cast, lab: Team) -> None:
    url = link(Asking(cast.alice), team="lab", role="admin", max_uses=2)
    assert b"?next=%2Faccounts%2Fjoin%2F" in Client().get(url).content
    bob, carol = signed_in(cast.bob), signed_in(cast.carol)
    assert bob.post(url).status_code == 409  # of the team already: nothing is used up, nothing raised
    assert TeamMembership.objects.get(team=lab, user=cast.bob).role == TeamRole.MEMBER
    assert carol.post(url).status_code == 302
    assert TeamMembership.objects.get(team=lab, user=cast.carol).role == TeamRole.ADMIN
    assert Invitation.objects.get().use_count == 1


def test_a_link_for_one_person_is_for_nobody_else(cast: Cast, root: Asking, lab: Team) -> None:
    url = link(root, team="lab", username="dora", display_name="Dora")
    assert signed_in(cast.carol).post(url).status_code == 403
    client = Client()
    assert client.post(url, {"username": "mallory2", **TYPED}).status_code == 302
    assert client.get("/api/hub/v1/me").json()["username"] == "dora"


def test_the_secret_is_kept_nowhere(cast: Cast, root: Asking) -> None:
    secret = link(root).rstrip("/").rpartition("/")[2]
    row = Invitation.objects.values().get()
    assert all(secret not in str(value) for value in row.values())
    assert secret not in str(list(AuditEvent.objects.values()))
    [listed] = root.get(INVITATIONS).json()["items"]
    assert listed["url"] is None
    assert listed["state"] == "open"


@pytest.mark.parametrize(
    "end", ["revoked", "expired", "used", "creator demoted", "creator disabled", "team gone"]
)
def test_a_link_ends(cast: Cast, root: Asking, lab: Team, end: str) -> None:
    url = link(Asking(cast.alice), team="lab")
    match end:
        case "revoked":
            assert root.delete(f"{INVITATIONS}/{Invitation.objects.get().pk}").status_code == 204
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "used":
            Invitation.objects.update(use_count=1)
        case "creator demoted":
            TeamMembership.objects.filter(user=cast.alice, team=lab).update(role=TeamRole.MEMBER)
        case "creator disabled":
            User.objects.filter(pk=cast.alice.pk).update(is_active=False)
        case _:
            retire_team(lab)
    assert Client().get(url).status_code == 404
    assert Client().post(url, {"username": "dora", **TYPED}).status_code == 404
    assert not User.objects.filter(username="dora").exists()


def test_nonsense_links_are_dead_and_many_tries_are_stopped(cast: Cast) -> None:
    for secret in ("x", "%00", "x" * 200, "é"):
        assert Client().get(f"/accounts/join/{secret}/").status_code == 404
    answers = [Client().post("/accounts/join/guess/").status_code for _ in range(40)]
    assert answers[0] == 404
    assert answers[-1] == 429


def test_a_team_administrator_invites_into_their_team_alone(cast: Cast, lab: Team, root: Asking) -> None:
    alice = Asking(cast.alice)
    Team.objects.create(slug="other", name="Other")
    assert alice.post(INVITATIONS, {}).status_code == 403
    for slug in ("other", "alice", "no-such"):
        assert alice.post(INVITATIONS, {"team": slug}).status_code == 404
    link(root, team="other")
    assert alice.get(INVITATIONS).json()["total"] == 0
    assert alice.delete(f"{INVITATIONS}/{Invitation.objects.get().pk}").status_code == 404
    refused = upload(alice, "username,team\nnew1,other\nnew2,\nnew3,lab\n", "?dry_run=1").json()
    assert [row["outcome"] for row in refused["rows"]] == ["error", "error", "error"]
    assert Asking(cast.bob).get(INVITATIONS).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"max_uses": 0},
        {"max_uses": 501},
        {"days": 0},
        {"days": 91},
        {"username": "a b"},
        {"username": "ok", "max_uses": 2},
        {"email": "nonsense"},
        {"note": "\x00"},
        {"team": "alice"},
        {"role": "owner"},
    ],
)
def test_a_bad_invitation_is_refused(cast: Cast, root: Asking, body: dict[str, object]) -> None:
    assert root.post(INVITATIONS, body).status_code == 422
    assert not Invitation.objects.exists()


def test_a_list_is_tried_first_and_then_done(cast: Cast, root: Asking, lab: Team) -> None:
    text = (
        "\ufeffusername;email;display_name;team;role\r\n"
        "dora;dora@example.org;Dora M.;lab;admin\r\n\r\ncarol;;;lab;\r\nBOB;;;lab;member\r\nemil;;;;\r\n"
    )
    tried = upload(root, text, "?dry_run=1").json()
    assert [row["outcome"] for row in tried["rows"]] == ["invite", "add_to_team", "unchanged", "invite"]
    assert [row["line"] for row in tried["rows"]] == [2, 4, 5, 6]
    assert not Invitation.objects.exists()
    done = upload(root, text)
    assert done.status_code == 200, done.content
    assert done.json()["counts"] == {"invite": 2, "add_to_team": 1, "unchanged": 1}
    assert TeamMembership.objects.filter(team=lab, user=cast.carol).exists()
    url = done.json()["rows"][0]["url"]
    client = Client()
    assert b'value="dora@example.org"' in client.get(url).content
    assert client.post(url, {"display_name": "Dora", **TYPED}).status_code == 302
    assert TeamMembership.objects.get(team=lab, user__username="dora").role == TeamRole.ADMIN


def test_a_list_with_a_bad_line_does_nothing_and_tells_each(cast: Cast, root: Asking, lab: Team) -> None:
    User.objects.filter(pk=cast.mallory.pk).update(is_active=False)
    bad = [
        "a b,,,,",
        "ok,nonsense,,,",
        "ok2,,,no-such,",
        "ok3,,,lab,owner",
        ",,,lab,",
        "mallory,,,lab,",
        "x\x1b,,,,",
    ]
    text = "\n".join(
        ["username,email,display_name,team,role", "fine,,,lab,", *bad, "fine,,,lab,", "z,,,,admin"]
    )
    answer = upload(root, text)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "invalid_list")
    assert [row["line"] for row in error["details"]["rows"]] == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert "line 2" in error["details"]["rows"][7]["message"]
    assert error["details"]["counts"] == {"invite": 1, "error": 9}
    assert not Invitation.objects.exists()


def test_ten_thousand_lines_are_done_in_one_go_and_one_more_is_refused(
    cast: Cast, root: Asking, lab: Team
) -> None:
    lines = [f"person{number},,,lab," for number in range(MAX_LINES)]
    begun = time.perf_counter()
    answer = upload(root, "\n".join(["username,email,display_name,team,role", *lines]))
    took_s = time.perf_counter() - begun
    assert answer.json()["counts"] == {"invite": MAX_LINES}
    assert Invitation.objects.count() == MAX_LINES
    assert took_s < 30
    more = upload(root, "\n".join(["username,email,display_name,team,role", *lines, "one.more,,,lab,"]))
    assert more.status_code == 413


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"name\nx\n",
        b"username\n",
        b"username,username\nx,y\n",
        b"username,color\nx,y\n",
        b'username\n"' + b"x" * 200_000,
    ],
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_list(data)


def test_a_list_of_many_bytes_is_not_read() -> None:
    with pytest.raises(TooLarge):
        parse_list(b"username\n" + b"x\n" * MAX_BYTES)


def test_more_columns_than_the_header_are_a_problem_of_the_line() -> None:
    assert parse_list(b"username\na,b\n")[0].problem


def test_the_password_of_an_old_account_does_not_matter_to_an_invitation(cast: Cast, root: Asking) -> None:
    url = link(root)
    assert signed_in(cast.bob, PASSWORD).post(url).status_code == 409  # it names no team: nothing to join
    assert Invitation.objects.get().use_count == 0
