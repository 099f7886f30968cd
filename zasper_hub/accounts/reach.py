"""What of the hub an administrator administers: all of it, or some teams and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.db.models import QuerySet

from zasper_hub.accounts.errors import NotFound
from zasper_hub.accounts.models import Team, TeamRole, User
from zasper_hub.accounts.names import is_plain_text


@dataclass(frozen=True, slots=True)
class Reach:
    """`team_ids` None: the whole hub; else the shared teams that `user` administers."""

    user: User
    team_ids: frozenset[int] | None

    @property
    def is_hub(self) -> bool:
        return self.team_ids is None

    @property
    def is_any(self) -> bool:
        return self.team_ids is None or bool(self.team_ids)

    @property
    def administers(self) -> Literal["hub", "teams"] | None:
        if self.team_ids is None:
            return "hub"
        return "teams" if self.team_ids else None

    def people(self) -> QuerySet[User]:
        if self.team_ids is None:
            return User.objects.all()
        return User.objects.filter(team_memberships__team_id__in=self.team_ids).distinct()

    def teams(self) -> QuerySet[Team]:
        """Teams that are not deleted; personal ones for administrators of the hub only."""
        teams = Team.objects.filter(deleted_at=None)
        return teams if self.team_ids is None else teams.filter(pk__in=self.team_ids)

    def has_team(self, team_id: int | None) -> bool:
        return self.team_ids is None or team_id in self.team_ids

    def person(self, username: str) -> User:
        """The person, disabled or not. Raises NotFound, also for one out of reach."""
        found = None
        if is_plain_text(username):
            found = self.people().filter(username__iexact=username.strip()).first()
        if found is None:
            raise NotFound("There is nobody with that username here.", username=username[:150])
        return found

    def team(self, slug: str) -> Team:
        """The team. Raises NotFound, also for one out of reach."""
        team = self.teams().filter(slug=slug).first() if is_plain_text(slug) else None
        if team is None:
            raise NotFound("There is no such team here.", team=slug[:64])
        return team


def reach_of(user: User) -> Reach:
    """What the person administers; nothing (`is_any` False) for most."""
    if user.is_staff:
        return Reach(user, None)
    administered = user.team_memberships.filter(
        role=TeamRole.ADMIN, team__personal_of=None, team__deleted_at=None
    )
    return Reach(user, frozenset(administered.values_list("team_id", flat=True)))
