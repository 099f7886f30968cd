"""The fixed cast of the tests: `alice` owns, `bob` edits, `carol` views, `mallory` is of another team.

`from tests.cast import *` is not needed: tests/conftest.py loads this module as a plugin.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.core.cache import cache

from notebooks_app.models import Project, ProjectMembership, Role
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services import create_person
from zasper_hub.accounts.services.tokens import make_token

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Cast:
    """People and the project `alice/analysis` that three of them share. `admin` administers the hub, no more."""

    alice: User
    bob: User
    carol: User
    mallory: User
    admin: User
    project: Project


def make_cast() -> Cast:
    people = {
        name: create_person(username=name, password=PASSWORD) for name in ("alice", "bob", "carol", "mallory")
    }
    admin = create_person(username="root", password=PASSWORD, is_administrator=True)
    alice = people["alice"]
    project = Project.objects.create(
        team=alice.personal_team, slug="analysis", name="Analysis", created_by=alice
    )
    for name, role in (("alice", Role.OWNER), ("bob", Role.EDITOR), ("carol", Role.VIEWER)):
        ProjectMembership.objects.create(project=project, user=people[name], role=role)
    return Cast(project=project, admin=admin, **people)


def token_of(user: User, *scopes: str) -> str:
    """A new API token of the person; without scopes named, one with all they may have."""
    return make_token(user, name="test", scopes=scopes or None).text


def headers_of(user: User, *scopes: str) -> dict[str, str]:
    """`headers=` of Django's test client for a request with a new token of the person."""
    return {"authorization": f"Bearer {token_of(user, *scopes)}"}


def socket_headers_of(user: User, *scopes: str) -> list[tuple[bytes, bytes]]:
    """`headers=` of Channels' WebsocketCommunicator, likewise."""
    return [(b"authorization", f"Bearer {token_of(user, *scopes)}".encode())]


@pytest.fixture(autouse=True)
def fresh_rate_limits() -> None:
    """Sign-ins of one test do not count against the next one's."""
    cache.clear()


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()
