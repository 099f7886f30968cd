"""Kernels: the hub's side of them."""

from django.apps import AppConfig


class KernelsConfig(AppConfig):
    name = "kernels_app"
    verbose_name = "Kernels"

    def ready(self) -> None:
        from kernels_app.access import register_guards

        register_guards()
