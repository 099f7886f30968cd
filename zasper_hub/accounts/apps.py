"""Accounts: people, teams, API tokens, audit."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "zasper_hub.accounts"
    label = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from zasper_hub.accounts import access, receivers  # noqa: F401  # models must be loaded first

        access.register_guards()
