"""Accounts, tokens, teams, and the periodic work on them."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.cast import PASSWORD, Cast, headers_of, token_of
from zasper_hub.accounts.errors import Exists, Invalid, WrongScope
from zasper_hub.accounts.models import AccessChange, ApiToken, AuditEvent, LoginSession, Team, User
from zasper_hub.accounts.services import create_person, ensure_first_administrator, people
from zasper_hub.accounts.services.tokens import make_token
from zasper_hub.accounts.signals import account_created
from zasper_hub.accounts.tasks import (
    BEAT_SCHEDULE,
    forget_expired_sign_ins,
    forget_expired_tokens,
    trim_audit_log,
)
from zasper_hub.accounts.tokens import Scope

API = "/api/hub/v1"


def test_the_first_administrator_gets_a_password_once(db: None) -> None:
    generated = ensure_first_administrator("admin")
    assert generated is not None
    assert len(generated) >= 20
    person = User.objects.get(username="admin")
    assert person.is_superuser
    assert person.is_staff
    assert person.check_password(generated)
    assert ensure_first_administrator("admin") is None
    assert ensure_first_administrator("other", "given") is None
    assert User.objects.count() == 1


def test_a_given_password_is_taken_and_not_returned(db: None) -> None:
    assert ensure_first_administrator("admin", "given by the operator") is None
    assert User.objects.get(username="admin").check_password("given by the operator")


def test_each_account_has_a_personal_team_with_a_slug_of_its_own(db: None) -> None:
    Team.objects.create(slug="ann-lee", name="Taken")
    one = create_person(username="Ann.Lee", password=PASSWORD)
    two = create_person(username="ann+lee", password=PASSWORD)
    three = create_person(username="数据", password=PASSWORD)
    slugs = [person.personal_team.slug for person in (one, two, three)]
    assert len(set(slugs)) == 3
    assert all(slug.isascii() for slug in slugs)


@pytest.mark.parametrize("username", ["", "a b", "a/b", "x" * 151, "a\x00", "<b>"])
def test_bad_usernames_are_refused(db: None, username: str) -> None:
    with pytest.raises(Invalid):
        create_person(username=username, password=PASSWORD)


def test_usernames_differ_in_more_than_case(cast: Cast) -> None:
    with pytest.raises(Exists):
        create_person(username="ALICE", password=PASSWORD)


def test_others_are_told_of_a_new_account_after_the_commit_and_cannot_break_it(
    db: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    told: list[str] = []

    def hears(user: User, **_: Any) -> None:
        assert user.personal_team.slug == "dora"
        told.append(user.username)

    def breaks(**_: Any) -> None:
        raise RuntimeError("a defect")

    account_created.connect(breaks)
    account_created.connect(hears)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            create_person(username="dora", password=PASSWORD)
            assert told == []
    finally:
        account_created.disconnect(breaks)
        account_created.disconnect(hears)
    assert told == ["dora"]


def test_the_command_prints_a_token_that_works_and_only_it(cast: Cast) -> None:
    out = StringIO()
    call_command("token", "alice", "--days", "3", "--scopes", "read,write", "run", stdout=out)
    text = out.getvalue().strip()
    assert "\n" not in text
    me = Client().get(f"{API}/me", headers={"authorization": f"token {text}"}).json()
    assert me["scopes"] == ["read", "run", "write"]
    token = ApiToken.objects.get(user=cast.alice)
    assert token.expires_at is not None
    assert timedelta(days=2.9) < token.expires_at - timezone.now() < timedelta(days=3.1)


def test_without_scopes_the_command_gives_all_that_the_person_may_have(cast: Cast) -> None:
    for person, count in ((cast.alice, len(Scope) - 1), (cast.admin, len(Scope))):
        call_command("token", person.username, stdout=StringIO())
        assert len(ApiToken.objects.get(user=person).scopes) == count


@pytest.mark.parametrize(
    "arguments",
    [
        ("nobody",),
        ("alice", "--days", "0"),
        ("alice", "--days", "99999"),
        ("alice", "--scopes", "everything"),
        ("alice", "--scopes", "admin"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(cast: Cast, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("token", *arguments, stdout=StringIO())
    assert "\n" not in str(caught.value)
    assert not ApiToken.objects.exists()


def test_a_token_is_shown_once_and_can_be_revoked(cast: Cast) -> None:
    headers = headers_of(cast.alice)
    made = Client().post(
        f"{API}/me/tokens",
        {"name": "ci", "days": 1, "scopes": ["read"]},
        content_type="application/json",
        headers=headers,
    )
    assert made.status_code == 201
    text = made.json()["token"]
    listed = Client().get(f"{API}/me/tokens", headers=headers)
    assert text not in listed.content.decode()
    assert "secret_hash" not in listed.content.decode()
    assert [entry["name"] for entry in listed.json()] == ["ci", "test"]
    own = {"authorization": f"Bearer {text}"}
    assert Client().get(f"{API}/me", headers=own).status_code == 200
    assert Client().delete(f"{API}/me/tokens/{made.json()['id']}", headers=headers).status_code == 204
    assert Client().get(f"{API}/me", headers=own).status_code == 401
    assert Client().delete(f"{API}/me/tokens/{made.json()['id']}", headers=headers).status_code == 404


def test_nobody_revokes_the_token_of_another_person(cast: Cast) -> None:
    token_of(cast.alice)
    token = ApiToken.objects.get(user=cast.alice)
    assert Client().delete(f"{API}/me/tokens/{token.pk}", headers=headers_of(cast.mallory)).status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_a_token_cannot_make_one_that_may_do_more(cast: Cast) -> None:
    headers = headers_of(cast.alice, "account", "read")
    for scopes, status in ((["read"], 201), (["read", "write"], 403), (["admin"], 403)):
        body = {"name": "x", "days": 1, "scopes": scopes}
        answer = Client().post(f"{API}/me/tokens", body, content_type="application/json", headers=headers)
        assert answer.status_code == status


def test_administering_is_for_tokens_of_administrators(cast: Cast) -> None:
    with pytest.raises(WrongScope):
        make_token(cast.alice, name="x", scopes=["admin"])
    make_token(cast.admin, name="x", scopes=["admin"])


def test_a_scope_of_another_version_allows_nothing(cast: Cast) -> None:
    headers = headers_of(cast.alice, "read")
    ApiToken.objects.update(scopes=["superuser", 7, None])
    assert Client().get(f"{API}/me", headers=headers).status_code == 403


def test_a_new_password_ends_every_other_sign_in(cast: Cast) -> None:
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    body = {"current_password": PASSWORD, "new_password": "another good one 7"}
    assert here.post(f"{API}/me/password", body, content_type="application/json").status_code == 204
    assert here.get(f"{API}/me").status_code == 200
    assert elsewhere.get(f"{API}/me").status_code == 401
    assert LoginSession.objects.filter(user=cast.alice).count() == 1
    assert here.get(f"{API}/me/login-sessions").json()[0]["is_current"] is True
    assert AccessChange.objects.filter(user_id=cast.alice.pk).exists()


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("wrong", "another good one 7", 403, "wrong_password"),
        (PASSWORD, "alice", 422, "invalid"),
        (PASSWORD, "", 422, "invalid"),
    ],
)
def test_a_password_is_not_replaced_by_a_weak_one_or_without_the_old_one(
    cast: Cast, current: str, new: str, status: int, code: str
) -> None:
    body = {"current_password": current, "new_password": new}
    answer = Client().post(
        f"{API}/me/password", body, content_type="application/json", headers=headers_of(cast.alice)
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    cast.alice.refresh_from_db()
    assert cast.alice.check_password(PASSWORD)


def test_the_current_password_is_guessed_a_few_times_only(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 6_000.0
    monkeypatch.setattr(people, "clock_s", lambda: now_s)

    def change(person: User, current: str) -> Any:
        body = {"current_password": current, "new_password": "another good one 7"}
        path, headers = f"{API}/me/password", headers_of(person)
        return Client().post(path, body, content_type="application/json", headers=headers)

    for number in range(8):  # whatever the sign-in or token
        assert change(cast.alice, f"guess {number}").status_code == 403
    refused = change(cast.alice, PASSWORD)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many")
    wait_s = int(refused["Retry-After"])
    assert 0 < wait_s <= 600
    assert AuditEvent.objects.filter(action="password_refused", actor=cast.alice).count() == 8
    assert change(cast.bob, PASSWORD).status_code == 204
    now_s += wait_s
    assert change(cast.alice, PASSWORD).status_code == 204


def test_me_tells_who_i_am_and_where_i_belong(cast: Cast) -> None:
    me = Client().get(f"{API}/me", headers=headers_of(cast.alice, "read")).json()
    assert me == {
        "username": "alice",
        "display_name": "alice",
        "email": "",
        "is_staff": False,
        "administers": None,
        "acting_as": None,
        "acted_on_by": [],
        "theme": "system",
        "scopes": ["read"],
        "teams": [{"slug": "alice", "name": "alice", "role": "admin", "is_personal": True}],
    }


@pytest.mark.parametrize(
    "body", [{"theme": "pink"}, {"display_name": "x" * 101}, {"display_name": "a\u202eb"}, {"theme": 1}]
)
def test_a_profile_takes_no_nonsense(cast: Cast, body: dict[str, Any]) -> None:
    answer = Client().patch(
        f"{API}/me", body, content_type="application/json", headers=headers_of(cast.alice)
    )
    assert answer.status_code == 422


def test_a_team_is_made_shared_and_keeps_an_administrator(cast: Cast) -> None:
    alice, bob = headers_of(cast.alice), headers_of(cast.bob)
    json: dict[str, Any] = {"content_type": "application/json"}
    made = Client().post(f"{API}/teams", {"name": "  The   Lab "}, headers=alice, **json)
    assert made.json() == {"slug": "the-lab", "name": "The Lab", "role": "admin", "is_personal": False}
    again = Client().post(f"{API}/teams", {"name": "The Lab"}, headers=bob, **json)
    assert again.json()["slug"] == "the-lab-2"
    members = f"{API}/teams/the-lab/members"
    assert Client().get(members, headers=bob).status_code == 404
    assert (
        Client().post(members, {"username": "BOB", "role": "member"}, headers=alice, **json).status_code
        == 201
    )
    assert [entry["username"] for entry in Client().get(members, headers=bob).json()] == ["alice", "bob"]
    assert (
        Client().post(members, {"username": "carol", "role": "member"}, headers=bob, **json).status_code
        == 403
    )
    assert Client().delete(f"{members}?username=alice", headers=bob).status_code == 403
    last = Client().delete(f"{members}?username=alice", headers=alice)
    assert (last.status_code, last.json()["error"]["code"]) == (409, "last_owner")
    demoted = Client().post(members, {"username": "alice", "role": "member"}, headers=alice, **json)
    assert demoted.status_code == 409
    assert (
        Client().post(members, {"username": "nobody", "role": "member"}, headers=alice, **json).status_code
        == 404
    )
    assert Client().delete(f"{members}?username=bob", headers=bob).status_code == 204
    assert Client().get(members, headers=bob).status_code == 404


def test_a_personal_team_stays_personal(cast: Cast) -> None:
    answer = Client().post(
        f"{API}/teams/alice/members", {"username": "bob", "role": "admin"}, content_type="application/json",
        headers=headers_of(cast.alice),
    )  # fmt: skip
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


def test_periodic_work_removes_what_is_over_and_only_that(cast: Cast) -> None:
    long_ago = timezone.now() - timedelta(days=1000)
    for name in ("live", "expired", "revoked", "just revoked"):
        make_token(cast.alice, name=name)
    ApiToken.objects.filter(name="expired").update(expires_at=long_ago)
    ApiToken.objects.filter(name="revoked").update(revoked_at=long_ago)
    ApiToken.objects.filter(name="just revoked").update(revoked_at=timezone.now())
    forget_expired_tokens()
    assert set(ApiToken.objects.values_list("name", flat=True)) == {"live", "just revoked"}

    client, gone = Client(), Client()
    for browser in (client, gone):
        browser.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    session = gone.session
    session.set_expiry(-1)
    session.save()
    AccessChange.objects.create(user_id=1)
    AccessChange.objects.update(at=long_ago)
    forget_expired_sign_ins()
    [kept] = LoginSession.objects.filter(user=cast.alice)
    assert kept.session_key == client.cookies["sessionid"].value
    assert not AccessChange.objects.filter(at=long_ago).exists()

    AuditEvent.objects.filter(action="sign_in").update(at=long_ago)
    trim_audit_log()
    assert not AuditEvent.objects.filter(action="sign_in").exists()
    assert AuditEvent.objects.exists()


def test_the_schedule_names_tasks_that_exist() -> None:
    from zasper_hub.celery import app

    app.loader.import_default_modules()
    for entry in BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks


@pytest.mark.parametrize("page", ["user", "team", "apitoken", "loginsession", "auditevent"])
def test_the_admin_panel_lists_people_and_theirs_without_secrets(cast: Cast, page: str) -> None:
    text = token_of(cast.alice)
    Client().post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    client = Client()
    client.post("/accounts/login/", {"login": "root", "password": PASSWORD})
    for path in (f"/admin/records/accounts/{page}/", f"/admin/records/accounts/{page}/1/change/"):
        answer = client.get(path, follow=True)
        assert answer.status_code == 200
        shown = answer.content.decode()
        assert text not in shown
        assert ApiToken.objects.get(user=cast.alice).secret_hash not in shown
        assert LoginSession.objects.get(user=cast.alice).session_key not in shown
