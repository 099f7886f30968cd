"""The forms of the pages before the app."""

from __future__ import annotations

from allauth.account.forms import LoginForm
from django import forms

from zasper_hub.accounts.names import is_plain_text


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth has no types
    """Named in the settings. Refuses what can be no username before anything is looked up by it."""

    def clean_login(self) -> str:
        login: str = super().clean_login()
        if not is_plain_text(login):
            raise forms.ValidationError("A username has no control characters. Type it again.")
        return login
