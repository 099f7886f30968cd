"""Notebooks: projects, files, live documents, outputs."""

from django.apps import AppConfig


class NotebooksConfig(AppConfig):
    name = "notebooks_app"
    verbose_name = "Projects and notebooks"

    def ready(self) -> None:
        from notebooks_app import permissions, receivers  # noqa: F401  # models must be loaded first

        permissions.register_guards()
