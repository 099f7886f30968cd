"""Shapes of the hub API for kernels and runs: docs/reference/hub-api.md."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field

CellIdIn = Annotated[str, Field(min_length=1, max_length=64)]


class RunsIn(Schema):
    cells: Literal["all"] | Annotated[list[CellIdIn], Field(min_length=1, max_length=2_000)]
    request_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    stop_on_error: bool = True


class RunsAccepted(Schema):
    run_ids: list[UUID]
    kernel_id: UUID | None


class RunOut(Schema):
    id: UUID
    cell_id: str
    request_id: str
    state: str
    execution_count: int | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    user: str | None


class KernelChoice(Schema):
    kernelspec_name: Annotated[str, Field(min_length=1, max_length=100)]


class KernelStarted(Schema):
    kernel_id: UUID


class KernelProject(Schema):
    id: UUID
    team: str
    slug: str
    name: str


class KernelDocument(Schema):
    id: UUID
    path: str


class KernelOut(Schema):
    id: UUID
    kernelspec_name: str
    state: str
    reason: str
    project: KernelProject
    document: KernelDocument | None
    created_at: datetime
    last_activity_at: datetime | None
    node: str | None
    queue_position: int | None
    queue_length: int | None
    ends_at: datetime | None
    end_cause: str | None


class KernelspecOut(Schema):
    name: str
    display_name: str
    language: str


class TerminalIn(Schema):
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    cwd: Annotated[str, Field(max_length=4096)] = ""


class TerminalOut(Schema):
    name: str
    started_at: datetime
    last_activity_at: datetime
    user: str | None
    node: str


class QuotaOut(Schema):
    quota: str
    title: str
    help: str
    limit: float | list[str] | None
    used: float | None
    unit: str
    origin: str


class ProjectUseOut(Schema):
    project: KernelProject
    files_bytes: int
    trash_bytes: int
    outputs_bytes: int
    total_bytes: int
    limit: int | None
    origin: str
    counts_for_me: bool
    deleted_at: datetime | None
    measured_at: datetime | None


class DayUseOut(Schema):
    day: date
    gib_hours: float
    run_seconds: float
    kernel_seconds: float
    run_count: int
