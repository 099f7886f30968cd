"""What the admin API takes and gives: docs/reference/admin-api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import AwareDatetime, Field, StringConstraints

from kernels_app.services.team_placement import LONGEST_LABEL, MOST_LABELS
from zasper_hub.accounts.paging import Filter
from zasper_hub.accounts.schemas import Name, Password, TeamRoleName, Username

Slug = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[-a-zA-Z0-9_]+$")]
Version = Annotated[str, StringConstraints(max_length=64)]


class OwnerOut(Schema):
    username: str
    display_name: str


class ProjectNameOut(Schema):
    id: UUID
    team: str
    slug: str
    name: str


class DocumentNameOut(Schema):
    id: UUID
    path: str


class AdminKernelOut(Schema):
    id: UUID
    kernelspec_name: str
    state: str
    reason: str
    owner: OwnerOut | None
    team: str
    project: ProjectNameOut
    document: DocumentNameOut | None
    node: str | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    cpu_cores: float | None
    cpu_limit_cores: float | None
    created_at: datetime
    last_activity_at: datetime | None
    idle_since: datetime | None
    queue_position: int | None


class KernelsStopIn(Schema):
    ids: Annotated[list[UUID], Field(max_length=500)] = []
    all: bool = False
    owner: Filter = ""
    team: Filter = ""
    node: Filter = ""


class NotDone(Schema):
    id: str
    code: str
    message: str


class KernelsStopped(Schema):
    stopped: list[UUID]
    failed: list[NotDone]


class AdminNodeOut(Schema):
    id: str
    state: Literal["up", "draining", "lost"]
    drain_at: datetime | None
    provisioner: str | None
    isolation: str | None
    labels: dict[str, str]
    kernelspecs: list[str]
    kernel_count: int
    slot_count: int | None
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    memory_reserved_bytes: int | None
    cpu_total: float | None
    cpu_used: float | None
    registered_at: datetime
    last_seen_at: datetime | None
    warnings: list[str]
    is_demo: bool


class DrainIn(Schema):
    """`until`: when the kernels end that are still there; null: they go on until people stop them."""

    until: AwareDatetime | None = None


LabelText = Annotated[str, StringConstraints(max_length=LONGEST_LABEL, strip_whitespace=True)]


class PlacementIn(Schema):
    """Labels that a node must have; with none, kernels may run on every node."""

    node_labels: Annotated[dict[LabelText, LabelText], Field(max_length=MOST_LABELS)]


class PlacedNodeOut(Schema):
    id: str
    state: Literal["up", "draining", "lost"]
    labels: dict[str, str]
    is_suitable: bool


class PlacementOut(Schema):
    node_labels: dict[str, str]
    nodes: list[PlacedNodeOut]


class WarningSubject(Schema):
    kind: str
    id: str


class WarningOut(Schema):
    code: str
    level: Literal["warning", "error"]
    message: str
    subject: WarningSubject | None


class PeopleCounts(Schema):
    total: int
    online: int
    disabled: int


class KernelCounts(Schema):
    total: int
    by_state: dict[str, int]


class QueueOut(Schema):
    length: int
    oldest_wait_s: float | None


class OverviewOut(Schema):
    people: PeopleCounts
    teams: int
    projects: int
    kernels: KernelCounts
    queue: QueueOut
    nodes: list[AdminNodeOut]
    warnings: list[WarningOut]


class PersonTeamOut(Schema):
    slug: str
    name: str
    role: TeamRoleName
    is_personal: bool


class PersonOut(Schema):
    username: str
    display_name: str
    email: str | None
    is_administrator: bool | None
    is_active: bool | None
    is_online: bool | None
    teams: list[PersonTeamOut]
    kernel_count: int
    memory_bytes: int | None
    storage_bytes: int | None
    last_seen_at: datetime | None
    created_at: datetime
    version: str


class PersonProjectOut(ProjectNameOut):
    role: str
    owner_count: int
    member_count: int


class SignInOut(Schema):
    at: datetime
    address: str | None
    user_agent: str
    is_open: bool
    last_seen_at: datetime | None


class PersonDetailOut(PersonOut):
    kernels: list[AdminKernelOut]
    projects: list[PersonProjectOut]
    sign_ins: list[SignInOut]
    token_count: int | None


class LinkOut(Schema):
    url: str
    expires_at: datetime


class MadePersonOut(Schema):
    person: PersonDetailOut
    link: LinkOut | None


class TeamPlaceIn(Schema):
    slug: Slug
    role: TeamRoleName = "member"


Email = Annotated[str, StringConstraints(max_length=254, strip_whitespace=True)]


class PersonIn(Schema):
    username: Username
    display_name: Name = ""
    email: Email = ""
    is_administrator: bool = False
    password: Password | None = None
    teams: Annotated[list[TeamPlaceIn], Field(max_length=50)] = []


class PersonChange(Schema):
    display_name: Name | None = None
    email: Email | None = None
    is_active: bool | None = None
    is_administrator: bool | None = None
    stop_kernels: bool = False
    version: Version | None = None


class PasswordSetIn(Schema):
    password: Password


class BulkIn(Schema):
    usernames: Annotated[list[Username], Field(min_length=1, max_length=200)]
    action: Literal["disable", "enable", "sign_out", "stop_kernels"]


class PersonNotDone(Schema):
    username: str
    code: str
    message: str


class BulkOut(Schema):
    done: list[str]
    failed: list[PersonNotDone]


class ProjectOutcome(Schema):
    id: UUID
    name: str
    outcome: Literal["trashed", "handed_over", "moved"]
    to: str | None = None


class Removed(Schema):
    stopped_kernels: int
    projects: list[ProjectOutcome]


class AdminTeamOut(Schema):
    slug: str
    name: str
    is_personal: bool
    member_count: int
    administrator_count: int
    project_count: int
    kernel_count: int
    memory_bytes: int | None
    storage_bytes: int | None
    created_at: datetime
    version: str


class AdminMemberOut(Schema):
    username: str
    display_name: str
    role: TeamRoleName
    is_active: bool
    joined_at: datetime


class TeamProjectOut(Schema):
    id: UUID
    slug: str
    name: str
    member_count: int
    kernel_count: int
    last_opened_at: datetime | None


class TeamDetailOut(AdminTeamOut):
    members: list[AdminMemberOut]
    projects: list[TeamProjectOut]


class AdminTeamIn(Schema):
    name: Name
    slug: Slug | None = None
    administrator: Username | None = None


class TeamChange(Schema):
    name: Name | None = None
    version: Version | None = None


Row = dict[str, Any]
