"""Hub API: live documents, their content as nbformat, and their versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from kernels_app.bus.transport import TransportError
from notebooks_app.access import document_and_role_for, document_for, membership_for
from notebooks_app.api.document_schemas import (
    DocumentIn,
    DocumentOut,
    OpenedDocumentOut,
    VersionIn,
    VersionOut,
)
from notebooks_app.errors import Unavailable
from notebooks_app.models import Document, Role, Version
from notebooks_app.services import documents as services
from notebooks_app.services import documents_versions as versions
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["documents"])


@contextmanager
def _needing_the_wire() -> Iterator[None]:
    try:
        yield
    except TransportError as error:
        raise Unavailable from error


@router.post(
    "/projects/{uuid:project_id}/documents",
    response=OpenedDocumentOut,
    auth=needs(Need.VIEWER, Scope.READ),
)
def open_document(request: HttpRequest, project_id: UUID, body: DocumentIn) -> dict[str, Any]:
    """Changes nothing a member may not change: it is the same document for whoever opens it first."""
    user = caller_of(request).user
    membership = membership_for(user, project_id)
    document = services.open_document(user=user, project=membership.project, path=body.path)
    with _needing_the_wire():
        return _opened(document, Role(membership.role))


@router.get("/documents/{uuid:document_id}", response=DocumentOut, auth=needs(Need.VIEWER, Scope.READ))
def get_document(request: HttpRequest, document_id: UUID) -> dict[str, Any]:
    document, role = document_and_role_for(caller_of(request).user, document_id)
    with _needing_the_wire():
        opened = _opened(document, role)
    return {
        **opened,
        "export_error": document.export_error,
        "dirty": document.dirty_since is not None,
        "kernel": document.kernels.order_by("-created_at").first(),
    }


@router.get(
    "/documents/{uuid:document_id}/notebook",
    auth=needs(Need.VIEWER, Scope.READ),
    openapi_extra={"responses": {200: {"content": {"application/json": {}}, "description": "nbformat"}}},
)
def get_notebook(request: HttpRequest, document_id: UUID) -> HttpResponse:
    document = document_for(caller_of(request).user, document_id)
    with _needing_the_wire():
        data = services.notebook_bytes(document)
    return HttpResponse(data, content_type="application/json")


@router.get(
    "/documents/{uuid:document_id}/versions",
    response=list[VersionOut],
    auth=needs(Need.VIEWER, Scope.READ),
)
def list_versions(request: HttpRequest, document_id: UUID) -> list[dict[str, Any]]:
    document = document_for(caller_of(request).user, document_id)
    return [_version(version) for version in versions.list_versions(document)]


@router.post(
    "/documents/{uuid:document_id}/versions",
    response={201: VersionOut},
    auth=needs(Need.EDITOR, Scope.WRITE),
)
def save_version(request: HttpRequest, document_id: UUID, body: VersionIn) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    document = document_for(user, document_id, Role.EDITOR)
    with _needing_the_wire():
        version = versions.save_version(document, user=user, reason="named", name=body.name)
    return Status(201, _version(version))


@router.get(
    "/documents/{uuid:document_id}/versions/{uuid:version_id}/notebook",
    auth=needs(Need.VIEWER, Scope.READ),
    openapi_extra={"responses": {200: {"content": {"application/json": {}}, "description": "nbformat"}}},
)
def get_version(request: HttpRequest, document_id: UUID, version_id: UUID) -> HttpResponse:
    document = document_for(caller_of(request).user, document_id)
    return HttpResponse(versions.version_content(document, version_id), content_type="application/json")


@router.post(
    "/documents/{uuid:document_id}/versions/{uuid:version_id}/restore",
    response={204: None},
    auth=needs(Need.EDITOR, Scope.WRITE),
)
def restore_version(request: HttpRequest, document_id: UUID, version_id: UUID) -> Status[None]:
    user = caller_of(request).user
    document = document_for(user, document_id, Role.EDITOR)
    with _needing_the_wire():
        versions.restore_version(document, version_id, user=user)
    return Status(204, None)


def _opened(document: Document, role: Role) -> dict[str, Any]:
    return {
        "id": document.pk,
        "path": document.path,
        "epoch": document.epoch,
        "role": role,
        "project_id": document.project_id,
        "kernelspec_name": services.live_kernelspec_name(document),
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "id": version.pk,
        "name": version.name,
        "reason": version.reason,
        "created_by": version.created_by.username if version.created_by is not None else None,
        "created_at": version.created_at,
    }
