"""How allauth behaves on a hub: accounts are made by administrators, and redirects stay on this host."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from zasper_hub.accounts.redirects import safe_next


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "That username and password do not match. Check both and try again.",
        "too_many_login_attempts": "Too many tries from your address. Wait a minute and try again.",
        "account_inactive": "This account is disabled. Ask your administrator.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        return safe_next(url, settings.BASE_PATH) is not None

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the pages themselves say what happened."""
