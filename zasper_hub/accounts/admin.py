"""The admin panel of people, teams, tokens, sign-ins and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from zasper_hub.accounts.models import ApiToken, AuditEvent, LoginSession, Team, TeamMembership, User
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.login_sessions import end_login_sessions

if TYPE_CHECKING:  # generic for the type checker alone
    _UserAdmin = UserAdmin[User]
    _MembershipInline = admin.TabularInline[TeamMembership, Team]
    _TeamAdmin = admin.ModelAdmin[Team]
    _AnyAdmin = admin.ModelAdmin[Any]
else:
    _UserAdmin = UserAdmin
    _MembershipInline = admin.TabularInline
    _TeamAdmin = _AnyAdmin = admin.ModelAdmin

admin.site.site_header = "Zasper Hub"
admin.site.site_title = "Zasper Hub"
admin.site.index_title = "Administration"
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(_UserAdmin):
    list_display = ("username", "display_name", "email", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username", "display_name", "email")
    ordering = ("username",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("display_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    actions = ("end_sign_ins", "disable")

    @admin.action(description="Sign out everywhere")
    def end_sign_ins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for person in queryset:
            end_login_sessions(person)
            audit.record("signed_out_by_admin", actor=_actor(request), target=f"user:{person.pk}")

    @admin.action(description="Disable (ends their sign-ins, tokens stop working)")
    def disable(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for person in queryset.exclude(pk=request.user.pk or 0):
            person.is_active = False
            person.save(update_fields=["is_active"])
            end_login_sessions(person)
            audit.record("account_disabled", actor=_actor(request), target=f"user:{person.pk}")


class MembershipInline(_MembershipInline):
    model = TeamMembership
    autocomplete_fields = ("user",)
    extra = 0


@admin.register(Team)
class TeamAdmin(_TeamAdmin):
    list_display = ("slug", "name", "personal_of", "created_at")
    search_fields = ("slug", "name")
    list_select_related = ("personal_of",)
    readonly_fields = ("personal_of", "created_at")
    inlines = (MembershipInline,)


class ReadOnlyAdmin(_AnyAdmin):
    """Shows rows that only the hub itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "prefix",
        "user",
        "name",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("revoked_at",)
    search_fields = ("prefix", "user__username", "name")
    list_select_related = ("user",)
    exclude = ("secret_hash",)
    actions = ("revoke",)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset.filter(revoked_at=None):
            token.revoked_at = timezone.now()
            token.save(update_fields=["revoked_at"])
            audit.record("token_revoked", actor=_actor(request), target=f"token:{token.pk}")


@admin.register(LoginSession)
class LoginSessionAdmin(ReadOnlyAdmin):
    list_display = ("user", "address", "user_agent", "created_at", "last_seen_at")
    search_fields = ("user__username", "address")
    list_select_related = ("user",)
    exclude = ("session_key",)

    def has_delete_permission(self, request: HttpRequest, obj: LoginSession | None = None) -> bool:
        return False  # ended by the action "Sign out everywhere" of the person


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "target", "address")
    list_filter = ("action",)
    search_fields = ("actor__username", "target")
    list_select_related = ("actor",)
    date_hierarchy = "at"

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False


def _actor(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
