"""Shapes of the document routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from ninja import Schema
from pydantic import Field

from notebooks_app.services.documents_versions import MAX_NAME_CHARS


class DocumentIn(Schema):
    path: Annotated[str, Field(min_length=1, max_length=1024)]


class OpenedDocumentOut(Schema):
    id: UUID
    path: str
    epoch: str
    role: str
    project_id: UUID
    kernelspec_name: str | None


class DocumentKernelOut(Schema):
    id: UUID
    kernelspec_name: str
    state: str
    reason: str


class DocumentOut(OpenedDocumentOut):
    export_error: str
    dirty: bool
    kernel: DocumentKernelOut | None


class VersionIn(Schema):
    name: Annotated[str, Field(max_length=MAX_NAME_CHARS)] = ""


class VersionOut(Schema):
    id: UUID
    name: str
    reason: str
    created_by: str | None
    created_at: datetime
