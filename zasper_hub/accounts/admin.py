"""The admin panel of people, teams, tokens, sign-ins and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from zasper_hub.accounts.models import (
    ActingPeriod,
    ApiToken,
    AuditEvent,
    Invitation,
    LoginSession,
    Team,
    TeamMembership,
    User,
)
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


class AuditedAdmin:
    """What is changed here is in the audit log too, beside Django's own history of the row."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Called by Django's admin for each row that was changed."""
        audit.record(
            "record_changed",
            actor=_actor(request),
            target=f"{obj._meta.model_name}:{obj.pk}",
            address=audit.address_of(request),
        )
        return super().log_change(request, obj, message)  # type: ignore[misc]  # of the ModelAdmin it is mixed into


@admin.register(User)
class PersonAdmin(AuditedAdmin, _UserAdmin):
    list_display = ("username", "display_name", "email", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username", "display_name", "email")
    ordering = ("username",)
    filter_horizontal = ()
    # Who may sign in and administer is changed in the panel: it keeps an administrator and ends what must end.
    readonly_fields = ("username", "last_login", "date_joined", "is_active", "is_staff", "is_superuser")
    fieldsets = (
        (None, {"fields": ("username",)}),
        ("Person", {"fields": ("display_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    actions = ("end_sign_ins",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # in the panel: with a link, or a password that was checked

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # in the panel: kernels are stopped and projects handed over

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Django's own page would leave sign-ins open and no trace: the panel sets passwords."""
        raise PermissionDenied

    @admin.action(description="Sign out everywhere")
    def end_sign_ins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for person in queryset:
            end_login_sessions(person)
            audit.record("signed_out_by_admin", actor=_actor(request), target=f"user:{person.pk}")


class MembershipInline(_MembershipInline):
    model = TeamMembership
    autocomplete_fields = ("user",)
    extra = 0


@admin.register(Team)
class TeamAdmin(AuditedAdmin, _TeamAdmin):
    list_display = ("slug", "name", "personal_of", "created_at")
    search_fields = ("slug", "name")
    list_select_related = ("personal_of",)
    readonly_fields = ("slug", "personal_of", "created_at", "deleted_at")
    inlines = (MembershipInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # in the panel: a team has an administrator from its first moment

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        return False  # in the panel: its projects go to the trash or move, not away


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


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("id", "team", "role", "username", "use_count", "max_uses", "expires_at", "created_by")
    list_select_related = ("team", "created_by")
    search_fields = ("username", "email", "team__slug")
    exclude = ("token_hash",)


@admin.register(ActingPeriod)
class ActingPeriodAdmin(ReadOnlyAdmin):
    list_display = ("administrator_name", "person", "reason", "started_at", "ended_at")
    list_select_related = ("person",)

    def has_delete_permission(self, request: HttpRequest, obj: ActingPeriod | None = None) -> bool:
        return False  # it is the person's to see


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor_name", "acted_by_name", "action", "target", "address")
    list_filter = ("action",)
    search_fields = ("actor_name", "acted_by_name", "target")
    date_hierarchy = "at"

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False


def _actor(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
