"""What a person sees of projects: their own, who else is in them, what was opened lately."""

from __future__ import annotations

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from notebooks_app.models import Document, Project, ProjectMembership
from zasper_hub.accounts.models import User

RECENT_DOCUMENTS = 20


def project_memberships_of(user: User) -> QuerySet[ProjectMembership]:
    """A person's memberships of projects that are not deleted (with `.project.team`), last opened project first."""
    return (
        user.project_memberships.filter(project__deleted_at=None)
        .select_related("project__team")
        .order_by(Coalesce("project__last_opened_at", "project__created_at").desc(), "-project__created_at")
    )


def members_of(project: Project) -> QuerySet[ProjectMembership]:
    """The active members of a project, in the order they came."""
    return (
        project.memberships.select_related("user").filter(user__is_active=True).order_by("created_at", "pk")
    )


def recent_documents_of(user: User, limit: int = RECENT_DOCUMENTS) -> QuerySet[Document]:
    """The notebooks of a person's projects that were opened lately, last opened first."""
    return (
        Document.objects.filter(project__memberships__user=user, project__deleted_at=None)
        .exclude(last_opened_at=None)
        .select_related("project__team")
        .defer("snapshot", "file_base")
        .order_by("-last_opened_at")[:limit]
    )
