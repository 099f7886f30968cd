"""Kernels: the hub's side of them."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import transaction


class KernelsConfig(AppConfig):
    name = "kernels_app"
    verbose_name = "Kernels"

    def ready(self) -> None:
        from kernels_app import receivers  # noqa: F401  # models must be loaded first
        from kernels_app.access import register_guards
        from notebooks_app.signals import project_deleted
        from zasper_hub.accounts.signals import quotas_changed

        register_guards()
        quotas_changed.connect(_apply_limits, dispatch_uid="kernels_app.apply_limits")
        project_deleted.connect(_stop_project_kernels, dispatch_uid="kernels_app.stop_project_kernels")


def _stop_project_kernels(sender: object, *, project: Any, **_: object) -> None:
    from kernels_app.services.kernels import stop_project_kernels
    from kernels_app.services.terminals import stop_project_terminals

    stop_project_kernels(project)
    transaction.on_commit(lambda: stop_project_terminals(project), robust=True)


def _apply_limits(sender: object, *, team: Any, person: Any, **_: object) -> None:
    from kernels_app.services.limits import apply_limits

    apply_limits(team=team, person=person)
