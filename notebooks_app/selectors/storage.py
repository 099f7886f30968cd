"""How much projects keep, and whose storage that is."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from notebooks_app.models import Project, ProjectMembership, ProjectStorage, Role
from zasper_hub.accounts.models import User

_TOTAL = F("files_bytes") + F("trash_bytes") + F("outputs_bytes")


# Of a project's owners: who took it over last, else who has been in it longest.
_HOLDER_FIRST = (F("holds_storage_since").desc(nulls_last=True), "created_at", "pk")


def with_holder(projects: QuerySet[Project]) -> QuerySet[Project]:
    """The projects with `holder_id`: whose storage they count as."""
    owners = ProjectMembership.objects.filter(project=OuterRef("pk"), role=Role.OWNER).order_by(
        *_HOLDER_FIRST
    )
    return projects.annotate(holder_id=Subquery(owners.values("user_id")[:1]))


def holder_of(project: Project) -> User | None:
    """Whose storage the project counts as; None when it has no owner."""
    owner = (
        ProjectMembership.objects.filter(project=project, role=Role.OWNER)
        .select_related("user")
        .order_by(*_HOLDER_FIRST)
        .first()
    )
    return None if owner is None else owner.user


def person_storage_bytes(user: User) -> int:
    """What all projects keep that are the person's storage; deleted ones too, until they are gone for good."""
    held = with_holder(Project.objects.filter(memberships__user=user, memberships__role=Role.OWNER)).filter(
        holder_id=user.pk
    )  # type: ignore[misc]  # annotated
    found = ProjectStorage.objects.filter(project__in=held.values("pk")).aggregate(total=Sum(_TOTAL))
    return max(found["total"] or 0, 0)


def storage_bytes_by_project(project_ids: Collection[UUID]) -> dict[UUID, int]:
    """What each of the projects keeps; 0 for those that were never measured."""
    rows = ProjectStorage.objects.filter(project_id__in=project_ids).annotate(
        total=Coalesce(_TOTAL, Value(0))
    )
    known = {row.project_id: row.total_bytes for row in rows}
    return {project_id: known.get(project_id, 0) for project_id in project_ids}
