"""The pages before the app: sign in, throttling, sign out, and the headers of every answer."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.cast import PASSWORD, Cast, headers_of
from zasper_hub.accounts.middleware import SEEN_KEY
from zasper_hub.accounts.models import AuditEvent, LoginSession

LOGIN = "/accounts/login/"


def sign_in(client: Client, username: str = "alice", password: str = PASSWORD, **fields: str) -> Any:
    return client.post(LOGIN, {"login": username, "password": password, **fields})


def test_the_page_has_labels_and_nothing_inline(db: None) -> None:
    page = Client().get(LOGIN)
    text = page.content.decode()
    assert '<label for="id_login">Username</label>' in text
    assert '<label for="id_password">Password</label>' in text
    assert ">Sign in</button>" in text
    assert not re.search(r"<style|style=|<script|\son\w+=|javascript:", text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_the_right_password_signs_in_and_is_noted(cast: Cast) -> None:
    client = Client()
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert LoginSession.objects.filter(user=cast.alice, session_key=cookie.value).exists()
    assert AuditEvent.objects.filter(action="sign_in", actor=cast.alice).exists()


def test_a_wrong_password_and_an_unknown_name_are_told_alike(cast: Cast) -> None:
    wrong, unknown = sign_in(Client(), password="wrong"), sign_in(Client(), username="nobody")
    texts = [re.sub(r'value="[^"]*"', "", answer.content.decode()) for answer in (wrong, unknown)]
    assert texts[0] == texts[1]
    assert "do not match" in texts[0]
    assert wrong.status_code == unknown.status_code == 422
    assert PASSWORD not in texts[0]


@pytest.mark.parametrize(
    "username",
    ["", "x" * 5000, "<script>alert(1)</script>", "a\x00b", "\ud800".encode("utf-8", "replace").decode()],
)
def test_odd_names_are_answered_calmly(cast: Cast, username: str) -> None:
    answer = sign_in(Client(raise_request_exception=False), username=username)
    assert answer.status_code == 422
    assert b"<script>" not in answer.content


def test_many_wrong_passwords_lock_that_name_from_that_address_for_a_while(cast: Cast) -> None:
    client = Client()
    statuses = [sign_in(client, password=f"wrong {number}").status_code for number in range(9)]
    assert statuses[0] == 422
    assert statuses[-1] == 429
    locked = sign_in(client)
    assert locked.status_code == 429
    assert "Too many wrong passwords" in locked.content.decode()
    assert int(locked.headers["Retry-After"]) > 0
    assert sign_in(Client(), username="ALICE").status_code == 429  # not evaded by writing the name otherwise
    assert sign_in(Client(), username="bob").status_code == 302
    assert sign_in(Client(REMOTE_ADDR="10.0.0.7")).status_code == 302


def test_many_names_from_one_address_are_slowed_down(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zasper_hub.accounts.adapters.clock_s", lambda: 6_000.0)  # all in one minute
    statuses = {sign_in(Client(), username=f"name-{number}").status_code for number in range(61)}
    assert statuses == {422, 429}
    assert sign_in(Client()).status_code == 429


def test_a_whole_team_behind_one_address_signs_in_within_a_minute(cast: Cast) -> None:
    assert {sign_in(Client()).status_code for _ in range(70)} == {302}


def test_the_lock_ends_by_itself(cast: Cast) -> None:
    from axes.models import AccessAttempt

    client = Client()
    for number in range(9):
        sign_in(client, password=f"wrong {number}")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(hours=1))
    assert sign_in(client).status_code == 302


def test_a_disabled_account_does_not_get_in(cast: Cast) -> None:
    cast.alice.is_active = False
    cast.alice.save()
    answer = sign_in(Client())
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_target_elsewhere_leads_home(cast: Cast, target: str) -> None:
    assert sign_in(Client(), next=target).headers["Location"] == "/"
    assert (
        Client().post(f"{LOGIN}?next={target}", {"login": "alice", "password": PASSWORD}).headers["Location"]
        == "/"
    )
    client = Client()
    sign_in(client)
    assert client.get(LOGIN, {"next": target}).headers["Location"] == "/"


def test_a_target_here_is_kept_through_a_wrong_try(cast: Cast) -> None:
    client = Client()
    wrong = sign_in(client, password="wrong", next="/p/alice/analysis")
    assert 'name="next" value="/p/alice/analysis"' in wrong.content.decode()
    assert sign_in(client, next="/p/alice/analysis").headers["Location"] == "/p/alice/analysis"


def test_signing_out_takes_a_post_and_ends_the_sign_in(cast: Cast) -> None:
    client = Client()
    sign_in(client)
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/api/hub/v1/me").status_code == 200
    assert client.post("/accounts/logout/").headers["Location"] == LOGIN
    assert client.get("/api/hub/v1/me").status_code == 401
    assert not LoginSession.objects.filter(user=cast.alice).exists()


def test_forms_from_other_sites_are_refused(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client).status_code == 403
    signed_in = Client(enforce_csrf_checks=True)
    signed_in.force_login(cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = signed_in.post("/accounts/logout/")
    assert answer.status_code == 403
    assert "Reload the page" in answer.content.decode()


def test_nobody_makes_an_account_for_themselves(db: None) -> None:
    assert Client().get("/accounts/signup/").status_code == 403
    assert Client().post("/accounts/signup/", {"username": "eve", "password1": PASSWORD}).status_code == 403


def test_a_person_who_is_no_administrator_is_told_so_instead_of_sent_around(cast: Cast) -> None:
    client = Client()
    sign_in(client)
    answer = client.get("/admin/records/", follow=True)
    assert answer.status_code == 403
    assert len(answer.redirect_chain) == 1


@pytest.mark.parametrize(
    "path", [LOGIN, "/api/hub/v1/me", "/api/hub/v1/nothing", "/no-such-page", "/healthz"]
)
def test_every_answer_has_the_protective_headers(db: None, path: str) -> None:
    headers = Client().get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_answers_of_the_api_are_sandboxed_and_not_kept(cast: Cast) -> None:
    headers = Client().get("/api/hub/v1/me", headers=headers_of(cast.alice)).headers
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    assert headers["Cache-Control"] == "no-store"


def test_seeing_a_sign_in_writes_once_in_a_while(cast: Cast) -> None:
    client = Client()
    sign_in(client)
    long_ago = timezone.now() - timedelta(hours=1)
    LoginSession.objects.update(last_seen_at=long_ago)
    client.get("/api/hub/v1/me")
    assert LoginSession.objects.get(user=cast.alice).last_seen_at == long_ago
    session = client.session
    session[SEEN_KEY] = long_ago.timestamp()
    session.save()
    client.get("/api/hub/v1/me")
    assert timezone.now() - LoginSession.objects.get(user=cast.alice).last_seen_at < timedelta(minutes=1)
