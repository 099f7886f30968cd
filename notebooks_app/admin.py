"""The admin panel of projects: who is in them, and what was deleted. Files and notebooks are not shown here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from notebooks_app.models import Project, ProjectMembership
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services import audit

if TYPE_CHECKING:  # generic for the type checker alone
    _MembershipInline = admin.TabularInline[ProjectMembership, Project]
    _ProjectAdmin = admin.ModelAdmin[Project]
else:
    _MembershipInline = admin.TabularInline
    _ProjectAdmin = admin.ModelAdmin


class MembershipInline(_MembershipInline):
    model = ProjectMembership
    autocomplete_fields = ("user",)
    extra = 0


@admin.register(Project)
class ProjectAdmin(_ProjectAdmin):
    list_display = ("name", "team", "slug", "created_by", "created_at", "last_opened_at", "deleted_at")
    list_filter = ("deleted_at",)
    search_fields = ("name", "slug", "team__slug", "created_by__username")
    list_select_related = ("team", "created_by")
    readonly_fields = ("id", "team", "slug", "created_by", "created_at", "last_opened_at", "deleted_at")
    inlines = (MembershipInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a project has a folder: it is made by its people, in the app

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return False  # owners delete in the app, where it can be put back for 30 days

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Called by Django's admin after the form's own row was saved: notes that members were changed here."""
        super().save_related(request, form, formsets, change)
        if any(formset.has_changed() for formset in formsets):
            actor = request.user if isinstance(request.user, User) else None
            audit.record("members_changed_by_admin", actor=actor, target=f"project:{form.instance.pk}")
