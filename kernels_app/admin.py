"""Nodes, kernels and runs in the admin panel: to look at, and to stop kernels. Nothing is edited by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from kernels_app.models import DailyUsage, Kernel, Node, Run
from kernels_app.services.kernels import stop_kernel

if TYPE_CHECKING:  # generic for the type checker alone
    _NodeAdmin = admin.ModelAdmin[Node]
    _KernelAdmin = admin.ModelAdmin[Kernel]
    _RunAdmin = admin.ModelAdmin[Run]
    _DailyUsageAdmin = admin.ModelAdmin[DailyUsage]
else:
    _NodeAdmin = _KernelAdmin = _RunAdmin = _DailyUsageAdmin = admin.ModelAdmin


class _LookOnly:
    """Rows that programs write: no form changes them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Node)
class NodeAdmin(_LookOnly, _NodeAdmin):
    list_display = ("node_id", "state", "fence", "registered_at", "last_seen_at")
    list_filter = ("state",)
    search_fields = ("node_id",)


@admin.register(Kernel)
class KernelAdmin(_LookOnly, _KernelAdmin):
    list_display = (
        "id", "kernelspec_name", "state", "reason", "user", "project", "document", "node", "created_at",
        "last_activity_at", "ended_at",
    )  # fmt: skip
    list_filter = ("state", "kernelspec_name", "node")
    search_fields = ("id", "user__username", "project__slug", "document__path")
    list_select_related = ("user", "project", "document", "node")
    ordering = ("-created_at",)
    actions = ("stop_kernels",)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.is_staff

    @admin.action(description="Stop the chosen kernels")
    def stop_kernels(self, request: HttpRequest, queryset: QuerySet[Kernel]) -> None:
        stopped = sum(stop_kernel(kernel, reason="Stopped by an administrator.") for kernel in queryset)
        self.message_user(request, f"{stopped} kernels are being stopped.", messages.SUCCESS)


@admin.register(Run)
class RunAdmin(_LookOnly, _RunAdmin):
    list_display = ("id", "document", "cell_id", "state", "user", "queued_at", "started_at", "finished_at")
    list_filter = ("state",)
    search_fields = ("id", "user__username", "document__path", "request_id")
    list_select_related = ("document", "user")
    ordering = ("-queued_at",)
    exclude = ("source",)  # what people write is theirs


@admin.register(DailyUsage)
class DailyUsageAdmin(_LookOnly, _DailyUsageAdmin):
    list_display = ("user", "day", "kernel_seconds", "run_seconds", "run_count")
    list_filter = ("day",)
    search_fields = ("user__username",)
    list_select_related = ("user",)
    ordering = ("-day",)
