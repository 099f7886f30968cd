"""How allauth behaves on a hub: accounts are made by administrators, and redirects stay on this host."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from zasper_hub.accounts.redirects import safe_next
from zasper_hub.accounts.throttling import FAILED_SIGN_INS, SIGN_INS, clock_s, counted_address


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

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """In place of allauth's own limits, which count who waits for an answer among those who failed, and refuse
        whoever finds their lock taken for a second."""
        address, now_s = counted_address(request), clock_s()
        if SIGN_INS.is_reached(address, now_s) or FAILED_SIGN_INS.is_reached(address, now_s):
            raise self.validation_error("too_many_login_attempts")
        SIGN_INS.note(address, now_s)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        FAILED_SIGN_INS.note(counted_address(request), clock_s())

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the pages themselves say what happened."""
