"""`api`, `api/me`, `api/config`: what a client asks about the server and about itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from notebooks_app.jupyter import server as server_module
from notebooks_app.jupyter.server import merged
from tests.cast import Cast, headers_of, token_of
from tests.notebooks_app.jupyter.server import Server
from zasper_hub.accounts.errors import BadRequest


@pytest.mark.django_db
def test_the_version_is_for_everybody() -> None:
    answer = Client().get("/jupyter/no/thing/api")
    assert (answer.status_code, set(answer.json())) == (200, {"version"})


def permissions(server: Server) -> Any:
    asked = {"contents": ["read", "write"], "kernels": ["execute"], "nonsense": ["read"]}
    return server.call("GET", f"api/me?permissions={quote(json.dumps(asked))}").json()["permissions"]


def test_permissions_are_those_of_the_role_and_of_the_token(cast: Cast) -> None:
    assert permissions(Server(cast, cast.bob)) == {
        "contents": ["read", "write"], "kernels": ["execute"], "nonsense": [], "updatable_fields": [],
    }  # fmt: skip
    assert permissions(Server(cast, cast.carol))["contents"] == ["read"]
    assert permissions(Server(cast, cast.bob, "read"))["kernels"] == []


def test_the_caller_is_named(cast: Cast) -> None:
    cast.bob.display_name = "Bob B. Builder"
    cast.bob.save()
    identity = Server(cast, cast.bob).call("GET", "api/me").json()["identity"]
    assert (identity["username"], identity["name"], identity["initials"]) == ("bob", "Bob B. Builder", "BB")


def test_the_token_in_the_address_is_for_what_changes_nothing(cast: Cast) -> None:
    path = f"/jupyter/alice/analysis/api/contents?token={token_of(cast.bob)}"
    assert Client().get(path).status_code == 200
    refused = Client().post(path, "{}", content_type="application/json")
    assert refused.status_code == 403
    assert "Authorization: token" in refused.json()["message"]
    with_both = headers_of(cast.bob)
    assert Client(headers=with_both).post(path, "{}", content_type="application/json").status_code == 201
    assert Client().get("/jupyter/alice/analysis/api/contents?token=nonsense").status_code == 403


def test_no_answer_is_for_other_origins(cast: Cast) -> None:
    headers = {**headers_of(cast.bob), "origin": "https://evil.example"}
    answer = Client().get("/jupyter/alice/analysis/api/contents", headers=headers)
    assert not any(name.startswith("Access-Control") for name in answer.headers)


def test_two_slashes_before_the_address_are_one(cast: Cast) -> None:
    """As a client writes it that joins the server's address, with its slash, and `/api/…`."""
    answer = Server(cast, cast.bob).call("POST", "/api/contents?a=b%2Fc", {})
    location = "/jupyter/alice/analysis/api/contents?a=b%2Fc"
    assert (answer.status_code, answer["Location"]) == (308, location)
    outside = Server(cast, cast.bob).call("GET", "//evil.example/x")
    assert outside["Location"] == "/jupyter/alice/analysis/evil.example/x"


def test_who_asks_with_a_slash_at_the_end_is_sent_to_the_address_without(cast: Cast) -> None:
    bob = Server(cast, cast.bob)
    answer = bob.call("GET", "api/kernels/?1763856000000")
    location = "/jupyter/alice/analysis/api/kernels?1763856000000"
    assert (answer.status_code, answer["Location"]) == (302, location)
    assert bob.call("GET", "evil.example//")["Location"] == "/jupyter/alice/analysis/evil.example"
    assert bob.call("POST", "api/kernels/", {}).status_code == 404


def test_who_follows_a_link_to_a_file_with_a_browser_signs_in_first(cast: Cast) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    path = "/jupyter/alice/analysis/files/a%20b.txt?download=1"
    answer = Client().get(path, headers=browser)
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next={quote(path)}"
    assert Client().get("/jupyter/alice/analysis/", headers=browser).status_code == 302
    # Programs are told, as ever; and so is who has a token that is no good.
    assert Client().get(path, headers={"accept": "*/*"}).status_code == 403
    assert Client().get(f"{path}&token=nonsense", headers=browser).status_code == 403
    assert Client().get("/jupyter/alice/analysis/api/contents", headers=browser).status_code == 403
    assert Client().post(path, headers=browser).status_code in (403, 405)


def test_the_root_leads_a_person_to_the_project(cast: Cast) -> None:
    assert Server(cast, cast.bob).call("GET", "")["Location"] == "/p/alice/analysis"


def test_configuration_is_a_persons_own(cast: Cast) -> None:
    bob, carol = Server(cast, cast.bob), Server(cast, cast.carol)
    bob.call("PUT", "api/config/notebook", {"theme": "dark"})
    carol.call("PATCH", "api/config/notebook", {"theme": "light"})
    assert bob.call("GET", "api/config/notebook").json() == {"theme": "dark"}
    assert carol.call("GET", "api/config/notebook").json() == {"theme": "light"}


@pytest.mark.parametrize("section", ["a.b", "..", "a%2Fb", "x" * 65, "é b"])
def test_a_section_has_a_plain_name(cast: Cast, section: str) -> None:
    assert Server(cast, cast.bob).call("PUT", f"api/config/{quote(section, safe='%')}", {}).status_code == 404


def test_configuration_is_bounded(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = Server(cast, cast.bob)
    monkeypatch.setattr(server_module, "MAX_SECTIONS", 2)
    answers = [bob.call("PUT", f"api/config/section{number}", {}).status_code for number in range(3)]
    assert answers == [204, 204, 413]
    monkeypatch.setattr(server_module, "MAX_CONFIG_BYTES", 100)
    for key in ("a", "b", "c"):
        bob.call("PATCH", "api/config/section0", {key: "x" * 40})
    assert len(json.dumps(bob.call("GET", "api/config/section0").json())) <= 100


def test_merging_takes_out_what_is_null_or_empty() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merged(base, {"a": {"b": None}, "e": {}}) == {"a": {"c": 2}, "d": [1]}
    assert merged(base, {"a": {"b": None, "c": None}}) == {"d": [1]}
    assert merged(base, {"d": {"x": 1}}) == {"a": {"b": 1, "c": 2}, "d": {"x": 1}}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_a_configuration_nested_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep, "b": 1}
    with pytest.raises(BadRequest):
        merged({}, deep)
