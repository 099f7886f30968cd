"""Hub API: projects, their members, and the notebooks a person opened lately."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Status

from notebooks_app.access import membership_for, project_for
from notebooks_app.api.project_schemas import (
    MemberIn,
    MemberOut,
    ProjectChange,
    ProjectIn,
    ProjectOut,
    RecentDocumentOut,
)
from notebooks_app.models import Document, ProjectMembership, Role
from notebooks_app.selectors import projects as select
from notebooks_app.selectors.storage import holder_of
from notebooks_app.services import projects as services
from zasper_hub.accounts.access import person_named
from zasper_hub.accounts.models import User
from zasper_hub.accounts.permissions import Need, caller_of, needs
from zasper_hub.accounts.tokens import Scope

router = Router(tags=["projects"])


@router.get("/projects", response=list[ProjectOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def list_projects(request: HttpRequest) -> list[dict[str, Any]]:
    user = caller_of(request).user
    return [_project(request, membership) for membership in select.project_memberships_of(user)]


@router.post("/projects", response={201: ProjectOut}, auth=needs(Need.SIGNED_IN, Scope.MANAGE))
def make_project(request: HttpRequest, body: ProjectIn) -> Status[dict[str, Any]]:
    membership = services.create_project(caller_of(request).user, name=body.name, team_slug=body.team)
    return Status(201, _project(request, membership))


@router.delete(
    "/projects/deleted/{uuid:deleted_id}", response={204: None}, auth=needs(Need.SIGNED_IN, Scope.MANAGE)
)
def purge_project(request: HttpRequest, deleted_id: UUID) -> Status[None]:
    """For good, before the 30 days are over. Only what the caller owned."""
    services.purge_project(deleted_id, actor=caller_of(request).user)
    return Status(204, None)


@router.get("/projects/{uuid:project_id}", response=ProjectOut, auth=needs(Need.VIEWER, Scope.READ))
def get_project(request: HttpRequest, project_id: UUID) -> dict[str, Any]:
    return _project(request, membership_for(caller_of(request).user, project_id))


@router.patch("/projects/{uuid:project_id}", response=ProjectOut, auth=needs(Need.OWNER, Scope.MANAGE))
def change_project(request: HttpRequest, project_id: UUID, body: ProjectChange) -> dict[str, Any]:
    user = caller_of(request).user
    membership = membership_for(user, project_id, Role.OWNER)
    membership.project = services.change_project(
        membership.project, name=body.name, allows_hidden_files=body.allows_hidden_files, actor=user
    )
    if body.holds_storage:
        services.take_over_storage(membership.project, user)
    return _project(request, membership)


@router.delete("/projects/{uuid:project_id}", response={204: None}, auth=needs(Need.OWNER, Scope.MANAGE))
def delete_project(request: HttpRequest, project_id: UUID) -> Status[None]:
    user = caller_of(request).user
    services.delete_project(project_for(user, project_id, Role.OWNER), actor=user)
    return Status(204, None)


@router.get(
    "/projects/{uuid:project_id}/members", response=list[MemberOut], auth=needs(Need.VIEWER, Scope.READ)
)
def list_members(request: HttpRequest, project_id: UUID) -> list[dict[str, Any]]:
    project = project_for(caller_of(request).user, project_id)
    holder = holder_of(project)
    return [_member(membership, holder) for membership in select.members_of(project)]


@router.post(
    "/projects/{uuid:project_id}/members", response={201: MemberOut}, auth=needs(Need.OWNER, Scope.MANAGE)
)
def set_member(request: HttpRequest, project_id: UUID, body: MemberIn) -> Status[dict[str, Any]]:
    user = caller_of(request).user
    project = project_for(user, project_id, Role.OWNER)
    person = person_named(body.username)
    membership = services.set_project_member(project, person, Role(body.role), actor=user)
    return Status(201, _member(membership, holder_of(project)))


@router.delete(
    "/projects/{uuid:project_id}/members", response={204: None}, auth=needs(Need.VIEWER, Scope.MANAGE)
)
def remove_member(request: HttpRequest, project_id: UUID, username: str) -> Status[None]:
    """Owners take out anybody; any member takes out themselves."""
    user = caller_of(request).user
    leaves = username.lower() == user.username.lower()
    project = project_for(user, project_id, Role.VIEWER if leaves else Role.OWNER)
    person = user if leaves else person_named(username, or_disabled=True)
    services.remove_project_member(project, person, actor=user)
    return Status(204, None)


@router.get("/me/documents", response=list[RecentDocumentOut], auth=needs(Need.SIGNED_IN, Scope.READ))
def list_recent_documents(request: HttpRequest) -> list[dict[str, Any]]:
    return [_recent(document) for document in select.recent_documents_of(caller_of(request).user)]


def _project(request: HttpRequest, membership: ProjectMembership) -> dict[str, Any]:
    project = membership.project
    return {
        "id": project.pk,
        "team": project.team.slug,
        "slug": project.slug,
        "name": project.name,
        "role": membership.role,
        "jupyter_url": request.build_absolute_uri(
            f"{settings.BASE_PATH}/jupyter/{project.team.slug}/{project.slug}/"
        ),
        "allows_hidden_files": project.allows_hidden_files,
        "created_at": project.created_at,
        "last_opened_at": project.last_opened_at,
    }


def _member(membership: ProjectMembership, holder: User | None) -> dict[str, Any]:
    user = membership.user
    return {
        "username": user.username,
        "display_name": user.shown_name,
        "role": membership.role,
        "holds_storage": user == holder,
    }


def _recent(document: Document) -> dict[str, Any]:
    project = document.project
    return {
        "id": document.pk,
        "path": document.path,
        "project": {"id": project.pk, "team": project.team.slug, "slug": project.slug, "name": project.name},
        "last_opened_at": document.last_opened_at,
    }
