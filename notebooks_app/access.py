"""Ids become rows here, and only here, on behalf of a user. Absent, foreign and malformed ids all raise NotFound."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from notebooks_app.errors import Forbidden, NotFound
from notebooks_app.models import Document, Project, ProjectMembership, Role
from zasper_hub.accounts.models import User

_DOING = {Role.VIEWER: "look at", Role.EDITOR: "change", Role.OWNER: "manage"}


def membership_for(user: User, project_id: UUID | str, need: Role = Role.VIEWER) -> ProjectMembership:
    """The user's membership of a project (with `.project` and its team), of at least the role needed.

    Raises:
        NotFound: no such project, or the user is no member, or it is deleted.
        Forbidden: a member, but of too low a role.
    """
    membership = (
        ProjectMembership.objects.select_related("project__team")
        .filter(project_id=_uuid(project_id), user=user, project__deleted_at=None)
        .first()
    )
    if membership is None:
        raise NotFound("There is no such project, or it is not shared with you.")
    _check_rank(membership.role, need, "this project")
    return membership


def project_for(user: User, project_id: UUID | str, need: Role = Role.VIEWER) -> Project:
    """The project, for a user with at least this role in it. Raises as `membership_for` does."""
    return membership_for(user, project_id, need).project


def project_at(user: User, address: str, need: Role = Role.VIEWER) -> Project:
    """The project at `team/project` (slugs), for a user with at least this role in it. Raises as `membership_for`."""
    team_slug, _, project_slug = address.partition("/")
    project_id = (
        Project.objects.filter(team__slug=team_slug, slug=project_slug, deleted_at=None)
        .values_list("pk", flat=True)
        .first()
    )
    if project_id is None:
        raise NotFound("There is no such project, or it is not shared with you.")
    return project_for(user, project_id, need)


def document_for(user: User, document_id: UUID | str, need: Role = Role.VIEWER) -> Document:
    """The document (with `.project`), for a user with at least this role in its project.

    Raises:
        NotFound: no such document, or the user is no member of its project, or the project is deleted.
        Forbidden: a member, but of too low a role.
    """
    document, _role = document_and_role_for(user, document_id, need)
    return document


def document_and_role_for(
    user: User, document_id: UUID | str, need: Role = Role.VIEWER
) -> tuple[Document, Role]:
    """As `document_for`, with the user's role in the document's project."""
    document = (
        Document.objects.select_related("project__team")
        .filter(pk=_uuid(document_id), project__deleted_at=None, project__memberships__user=user)
        .annotate(member_role=F("project__memberships__role"))  # of that membership
        .first()
    )
    if document is None:
        raise NotFound("There is no such notebook, or it is not shared with you.")
    role = Role(document.member_role)
    _check_rank(role, need, "this notebook")
    return document, role


def role_in(user: User, project_id: UUID | str) -> Role | None:
    """The user's role in a project; None when they are no member."""
    value = (
        ProjectMembership.objects.filter(project_id=_uuid(project_id), user=user)
        .values_list("role", flat=True)
        .first()
    )
    return None if value is None else Role(value)


def _check_rank(role: str, need: Role, thing: str) -> None:
    if Role(role).rank < need.rank:
        raise Forbidden(
            f"Your role is {role}: to {_DOING[need]} {thing} you must be {need.value}. Ask an owner.",
            role=str(role),
            needed=need.value,
        )


def _uuid(value: UUID | str) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError) as error:
        raise NotFound from error
