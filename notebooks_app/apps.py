"""Notebooks: projects, files, live documents, outputs."""

from django.apps import AppConfig


class NotebooksConfig(AppConfig):
    name = "notebooks_app"
    verbose_name = "Projects and notebooks"

    def ready(self) -> None:
        from notebooks_app import permissions, receivers  # noqa: F401  # models must be loaded first
        from notebooks_app.services.example import welcome_new_account
        from zasper_hub.accounts.signals import account_created

        permissions.register_guards()
        account_created.connect(welcome_new_account, dispatch_uid="example-project")
