"""What the account routes of the hub API take and give: docs/reference/hub-api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field, StringConstraints

from zasper_hub.accounts.services.tokens import DEFAULT_DAYS, MAX_DAYS

Name = Annotated[str, StringConstraints(max_length=300)]  # what is shown is bounded in `names.clean_name`
Username = Annotated[str, StringConstraints(min_length=1, max_length=150)]
Password = Annotated[
    str, StringConstraints(max_length=1000)
]  # hashing a longer one would be work for nothing
TeamRoleName = Literal["member", "admin"]


class TeamOut(Schema):
    slug: str
    name: str
    role: TeamRoleName
    is_personal: bool


class ActingAsOut(Schema):
    administrator: str
    username: str
    ends_at: datetime


class ActedOnOut(Schema):
    administrator: str
    started_at: datetime


class MeOut(Schema):
    username: str
    display_name: str
    email: str
    is_staff: bool
    administers: Literal["hub", "teams"] | None
    theme: Literal["system", "light", "dark"]
    teams: list[TeamOut]
    scopes: list[str] | None
    acting_as: ActingAsOut | None
    acted_on_by: list[ActedOnOut]


class MeIn(Schema):
    display_name: Annotated[str, StringConstraints(max_length=100)] | None = None
    theme: Literal["system", "light", "dark"] | None = None


class PasswordIn(Schema):
    current_password: Password
    new_password: Password


class LoginSessionOut(Schema):
    id: int
    is_current: bool
    address: str | None
    user_agent: str
    last_seen_at: datetime
    created_at: datetime


class TokenOut(Schema):
    id: int
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewTokenOut(TokenOut):
    token: str


class TokenIn(Schema):
    name: Name
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DEFAULT_DAYS
    scopes: Annotated[
        list[Annotated[str, StringConstraints(max_length=30)]], Field(min_length=1, max_length=20)
    ]


class TeamIn(Schema):
    name: Name


class TeamMemberOut(Schema):
    username: str
    display_name: str
    role: TeamRoleName


class TeamMemberIn(Schema):
    username: Username
    role: TeamRoleName
