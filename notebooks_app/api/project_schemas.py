"""What the project routes of the hub API take and give: docs/reference/hub-api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from zasper_hub.accounts.schemas import Name, Username

RoleName = Literal["viewer", "editor", "owner"]


class ProjectOut(Schema):
    id: UUID
    team: str
    slug: str
    name: str
    role: RoleName
    jupyter_url: str
    allows_hidden_files: bool
    created_at: datetime
    last_opened_at: datetime | None


class ProjectIn(Schema):
    name: Name
    team: Annotated[str, StringConstraints(max_length=64)] | None = None


class ProjectChange(Schema):
    name: Name | None = None
    allows_hidden_files: bool | None = None
    holds_storage: Literal[True] | None = Field(
        default=None, description="The project counts as the caller's storage from now on."
    )


class MemberOut(Schema):
    username: str
    display_name: str
    role: RoleName
    holds_storage: bool = Field(description="Whether the project counts as this person's storage.")


class MemberIn(Schema):
    username: Username
    role: RoleName


class ProjectReference(Schema):
    id: UUID
    team: str
    slug: str
    name: str


class RecentDocumentOut(Schema):
    id: UUID
    path: str
    project: ProjectReference
    last_opened_at: datetime
