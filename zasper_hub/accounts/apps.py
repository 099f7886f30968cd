"""Accounts: people, teams, API tokens, audit."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "zasper_hub.accounts"
    label = "accounts"
    verbose_name = "People"
