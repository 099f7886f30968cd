"""Who is calling: tokens, cookies, CSRF, and the one shape of errors."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.cast import PASSWORD, Cast, headers_of, token_of
from zasper_hub.accounts.models import ApiToken, LoginSession
from zasper_hub.accounts.tokens import hash_of, new_token, token_from_header

ME = "/api/hub/v1/me"


def error_of(response: Any) -> dict[str, Any]:
    body = json.loads(response.content)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert "Traceback" not in body["error"]["message"]
    return dict(body["error"])


def signed_in(cast: Cast, *, enforces_csrf: bool = True) -> Client:
    client = Client(enforce_csrf_checks=enforces_csrf)
    page = client.get("/accounts/login/")
    assert page.status_code == 200
    answer = client.post(
        "/accounts/login/",
        {"login": "alice", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"].value},
    )
    assert answer.status_code == 302
    return client


@pytest.mark.parametrize(
    "header",
    [
        "Bearer ",
        "Bearer nonsense",
        "token zh_00000000_x",
        "Bearer " + "x" * 5000,
        "Bearer zh_\xff",
        "Basic YTpi",
        "x",
    ],
)
def test_what_is_no_token_of_anybody_is_refused(cast: Cast, header: str) -> None:
    response = Client().get(ME, headers={"authorization": header})
    assert response.status_code == 401
    assert error_of(response)["code"] == "not_signed_in"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["token", "Bearer", "bearer", "TOKEN"])
def test_a_token_signs_in_by_either_scheme(cast: Cast, scheme: str) -> None:
    response = Client().get(ME, headers={"authorization": f"{scheme} {token_of(cast.bob)}"})
    assert response.json()["username"] == "bob"


def test_expired_revoked_and_disabled_tokens_are_refused_with_the_reason(cast: Cast) -> None:
    text = token_of(cast.alice)
    token = ApiToken.objects.get(prefix=text[:11])
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in error_of(Client().get(ME, headers={"authorization": f"Bearer {text}"}))["message"]
    ApiToken.objects.filter(pk=token.pk).update(expires_at=None, revoked_at=timezone.now())
    assert "revoked" in error_of(Client().get(ME, headers={"authorization": f"Bearer {text}"}))["message"]
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=None)
    cast.alice.is_active = False
    cast.alice.save()
    assert "disabled" in error_of(Client().get(ME, headers={"authorization": f"Bearer {text}"}))["message"]


def test_a_token_with_the_right_prefix_and_another_secret_is_refused(cast: Cast) -> None:
    text = token_of(cast.alice)
    assert Client().get(ME, headers={"authorization": f"Bearer {text[:-1]}!"}).status_code == 401
    assert Client().get(ME, headers={"authorization": f"Bearer {text}"}).status_code == 200


def test_only_the_hash_of_a_token_is_kept(cast: Cast) -> None:
    text = token_of(cast.alice)
    token = ApiToken.objects.get(user=cast.alice)
    assert token.secret_hash == hash_of(text)
    assert not any(text[12:] in str(value) for value in vars(token).values())


def test_a_bad_token_is_not_saved_by_a_good_cookie(cast: Cast) -> None:
    client = signed_in(cast)
    assert client.get(ME).status_code == 200
    assert client.get(ME, headers={"authorization": "Bearer zh_00000000_x"}).status_code == 401


def test_a_query_token_does_not_open_ordinary_routes(cast: Cast) -> None:
    assert Client().get(f"{ME}?token={token_of(cast.alice)}").status_code == 401


def test_the_time_of_last_use_is_kept_about_once_a_minute(cast: Cast) -> None:
    headers = headers_of(cast.alice)
    Client().get(ME, headers=headers)
    first = ApiToken.objects.get(user=cast.alice).last_used_at
    assert first is not None
    Client().get(ME, headers=headers)
    assert ApiToken.objects.get(user=cast.alice).last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    Client().get(ME, headers=headers)
    later = ApiToken.objects.get(user=cast.alice).last_used_at
    assert later is not None
    assert later >= first


def test_a_cookie_needs_the_csrf_header_on_unsafe_methods_only(cast: Cast) -> None:
    client = signed_in(cast)
    assert client.get(ME).status_code == 200
    refused = client.patch(ME, {"theme": "dark"}, content_type="application/json")
    assert refused.status_code == 403
    assert error_of(refused)["code"] == "csrf_failed"
    wrong = client.patch(
        ME,
        {"theme": "dark"},
        content_type="application/json",
        headers={"x-csrftoken": "x" * 32, "sec-fetch-mode": "cors"},
    )
    assert wrong.status_code == 403
    csrf = client.cookies["csrftoken"].value
    done = client.patch(ME, {"theme": "dark"}, content_type="application/json", headers={"x-csrftoken": csrf})
    assert done.json()["theme"] == "dark"


def test_a_cookie_request_from_another_origin_is_refused(cast: Cast) -> None:
    client = signed_in(cast)
    headers = {"x-csrftoken": client.cookies["csrftoken"].value, "origin": "https://evil.example"}
    refused = client.patch(ME, {"theme": "dark"}, content_type="application/json", headers=headers)
    assert error_of(refused)["code"] == "csrf_failed"


def test_a_token_needs_no_csrf_header(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    done = client.patch(
        ME, {"theme": "dark"}, content_type="application/json", headers=headers_of(cast.alice)
    )
    assert done.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/hub/v1/no-such-route", 404, "not_found"),
        ("GET", "/api/hub/v2/me", 404, "not_found"),
        ("GET", "/api/hub/v1/projects/not-a-uuid", 404, "not_found"),
        ("GET", "/api/hub/v1/projects/00000000-0000-4000-8000-000000000000", 404, "not_found"),
        ("DELETE", "/api/hub/v1/me", 405, "method_not_allowed"),
        ("DELETE", "/api/hub/v1/me/tokens/999999999999999999999999", 404, "not_found"),
        ("DELETE", "/api/hub/v1/projects/%00/members", 404, "not_found"),
    ],
)
def test_every_failure_has_the_one_shape(cast: Cast, method: str, path: str, status: int, code: str) -> None:
    response = Client(raise_request_exception=False).generic(method, path, headers=headers_of(cast.alice))
    assert response.status_code == status
    assert error_of(response)["code"] == code


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid"),
        (b"{", 400, "bad_request"),
        (b"\xff\xfe", 400, "bad_request"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"name": 3}', 422, "invalid"),
        (b'{"name": ""}', 422, "invalid"),
        (b'{"name": "x\\u0000"}', 422, "invalid"),
        (b'{"name": "' + b"x" * 6_000_000 + b'"}', 413, "too_large"),
        (b'{"name": "x", "team": "no-such-team"}', 404, "not_found"),
        (b"[" * 100_000, 400, "bad_request"),
    ],
)
def test_a_bad_body_is_answered_with_a_clear_error(cast: Cast, body: bytes, status: int, code: str) -> None:
    response = Client(raise_request_exception=False).post(
        "/api/hub/v1/projects", body, content_type="application/json", headers=headers_of(cast.alice)
    )
    assert (response.status_code, error_of(response)["code"]) == (status, code)


def test_a_validation_error_names_the_field(cast: Cast) -> None:
    response = Client().post(
        "/api/hub/v1/me/tokens", {"name": "x", "days": 0, "scopes": ["read"]}, content_type="application/json",
        headers=headers_of(cast.alice),
    )  # fmt: skip
    problems = error_of(response)["details"]["problems"]
    assert [problem["field"] for problem in problems] == ["body.days"]


def test_a_sign_in_is_listed_and_can_be_ended_from_elsewhere(cast: Cast) -> None:
    client = signed_in(cast)
    other = signed_in(cast)
    listed = client.get("/api/hub/v1/me/login-sessions").json()
    assert [entry["is_current"] for entry in listed].count(True) == 1
    theirs = next(entry["id"] for entry in listed if not entry["is_current"])
    csrf = {"x-csrftoken": client.cookies["csrftoken"].value}
    assert client.delete(f"/api/hub/v1/me/login-sessions/{theirs}", headers=csrf).status_code == 204
    assert other.get(ME).status_code == 401
    assert client.get(ME).status_code == 200


def test_nobody_ends_the_sign_in_of_another_person(cast: Cast) -> None:
    signed_in(cast)
    login_session = LoginSession.objects.get(user=cast.alice)
    answer = Client().delete(
        f"/api/hub/v1/me/login-sessions/{login_session.pk}", headers=headers_of(cast.mallory)
    )
    assert answer.status_code == 404
    assert LoginSession.objects.filter(pk=login_session.pk).exists()


def test_new_tokens_are_long_distinct_and_found_by_their_prefix() -> None:
    made = {new_token() for _ in range(100)}
    assert len({token.prefix for token in made}) == 100
    assert all(token.text.startswith(f"{token.prefix}_") and len(token.text) > 50 for token in made)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("token abc", "abc"),
        ("Bearer abc", "abc"),
        ("  bearer   abc ", "abc"),
        ("Basic abc", None),
        ("token", None),
        ("", None),
    ],
)
def test_only_token_and_bearer_headers_carry_tokens(header: str, text: str | None) -> None:
    assert token_from_header(header) == text
