"""Who asks the API in these tests: the admin, and a team."""

from __future__ import annotations

import pytest

from tests.asking import Asking
from tests.cast import Cast
from zasper_hub.accounts.models import Team, TeamMembership, TeamRole


@pytest.fixture
def root(cast: Cast) -> Asking:
    return Asking(cast.admin)


@pytest.fixture
def lab(cast: Cast) -> Team:
    """A team that alice administers, bob is of, and mallory is not."""
    team = Team.objects.create(slug="lab", name="Lab")
    TeamMembership.objects.create(team=team, user=cast.alice, role=TeamRole.ADMIN)
    TeamMembership.objects.create(team=team, user=cast.bob, role=TeamRole.MEMBER)
    return team
