"""`HUB_BASE_PATH`: what it may be, and what follows from it in the other settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live_hub import ROOT
from zasper_hub.settings.environment import read_environment
from zasper_hub.settings.people import cookie_names


@pytest.mark.parametrize(
    ("given", "read"),
    [("", ""), ("/", ""), ("/hub", "/hub"), ("/hub/", "/hub"), ("/tools/hub-2.x", "/tools/hub-2.x")],
)
def test_a_slash_at_the_end_makes_no_difference(given: str, read: str) -> None:
    assert read_environment({"HUB_BASE_PATH": given}).hub_base_path == read


@pytest.mark.parametrize(
    "given",
    [
        "hub",
        "//hub",
        "/a//b",
        "/hub?x",
        "/hub#x",
        "/h ub",
        "/hub\n",
        "/h%2fub",
        "/hüb",
        "/..",
        "/a/./b",
        "https://hub.example/hub",
        '/"><script>',
        "/" + "x" * 65,
    ],
)
def test_what_is_no_path_is_refused_with_its_name(given: str) -> None:
    with pytest.raises(ValueError, match="hub_base_path"):
        read_environment({"HUB_BASE_PATH": given})


@pytest.mark.parametrize("base_path", ["", "/other"])
def test_a_public_address_with_another_path_is_refused(base_path: str) -> None:
    with pytest.raises(ValueError, match="HUB_PUBLIC_URL has the path /hub"):
        read_environment({"HUB_PUBLIC_URL": "https://example.org/hub/", "HUB_BASE_PATH": base_path})


@pytest.mark.parametrize("public_url", ["https://example.org", "https://example.org/hub/"])
def test_a_public_address_needs_no_path_or_the_same(public_url: str) -> None:
    found = read_environment({"HUB_PUBLIC_URL": public_url, "HUB_BASE_PATH": "/hub"})
    assert found.hub_base_path == "/hub"


def test_cookies_of_a_shared_host_have_names_of_their_own() -> None:
    assert cookie_names("", is_https=False) == ("sessionid", "csrftoken")
    assert cookie_names("", is_https=True) == ("__Host-sessionid", "csrftoken")
    # `__Host-` needs the path /.
    assert cookie_names("/a/hub", is_https=True) == ("__Secure-sessionid.a.hub", "csrftoken.a.hub")


def test_everything_that_django_makes_is_below_it() -> None:
    names = (
        "FORCE_SCRIPT_NAME",
        "STATIC_URL",
        "LOGIN_URL",
        "LOGIN_REDIRECT_URL",
        "LOGOUT_REDIRECT_URL",
        "SESSION_COOKIE_PATH",
        "CSRF_COOKIE_PATH",
        "CSRF_TRUSTED_ORIGINS",
    )
    found = _settings(names, HUB_BASE_PATH="/hub/", HUB_PUBLIC_URL="https://example.org/hub")
    assert found == {
        "FORCE_SCRIPT_NAME": "/hub",
        "STATIC_URL": "/hub/static/",
        "LOGIN_URL": "/hub/accounts/login/",
        "LOGIN_REDIRECT_URL": "/hub/",
        "LOGOUT_REDIRECT_URL": "/hub/accounts/login/",
        "SESSION_COOKIE_PATH": "/hub/",
        "CSRF_COOKIE_PATH": "/hub/",
        "CSRF_TRUSTED_ORIGINS": ["https://example.org"],
    }


def test_a_hub_with_a_wrong_one_does_not_start_and_says_why_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "hub"],
        env=_environment(HUB_BASE_PATH="hub", HUB_DATA_DIR=str(tmp_path / "data")),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("The hub does not start. HUB_BASE_PATH: begins with a slash")
    assert not (tmp_path / "data").exists()


def _environment(**values: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "DJANGO_"))}
    return {**kept, **values}


def _settings(names: tuple[str, ...], **values: str) -> dict[str, Any]:
    """Of a process of its own: settings are read once."""
    script = (
        "import json; from zasper_hub.settings import base; "
        f"print(json.dumps({{name: getattr(base, name) for name in {names!r}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=_environment(**values), capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
