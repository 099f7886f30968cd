"""Accounts: made, changed, their password replaced."""

from __future__ import annotations

import secrets

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from zasper_hub.accounts.errors import Exists, Invalid, TooMany, WrongPassword
from zasper_hub.accounts.models import User
from zasper_hub.accounts.names import clean_name
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.login_sessions import end_login_sessions
from zasper_hub.accounts.throttling import WRONG_PASSWORDS, clock_s

_GENERATED_PASSWORD_BYTES = 15  # 20 characters


@transaction.atomic
def create_person(
    *,
    username: str,
    password: str | None,
    display_name: str = "",
    email: str = "",
    is_administrator: bool = False,
    made_by: User | None = None,
) -> User:
    """A new account with its personal team. Without a password it cannot sign in until it gets one.

    Raises:
        Invalid: the username has characters it may not have.
        Exists: the username is taken, in whatever case.
    """
    username = username.strip()
    user = User(username=username, display_name=display_name, email=email)
    user.is_staff = user.is_superuser = is_administrator
    user.set_password(password)
    try:
        user.clean_fields()
    except ValidationError as error:
        raise Invalid(" ".join(error.messages)) from error
    if User.objects.filter(username__iexact=username).exists():
        raise Exists("That username is taken.")
    user.save()  # the receivers of its signal make the personal team
    audit.record("account_created", actor=made_by, target=f"user:{user.pk}", username=username)
    return user


@transaction.atomic
def ensure_first_administrator(username: str, password: str | None = None) -> str | None:
    """Makes the first administrator if there is none.

    Returns the password when it had to be generated, to be shown once; None when one was given or an administrator
    exists already (whose password stays what it is).
    """
    if User.objects.filter(is_superuser=True).exists():
        return None
    generated = None if password else secrets.token_urlsafe(_GENERATED_PASSWORD_BYTES)
    create_person(username=username, password=password or generated, is_administrator=True)
    return generated


def change_password(
    user: User, *, current_password: str, new_password: str, kept_session_key: str | None = None
) -> None:
    """Replaces the password and ends every other login session and open socket of the person.

    Raises:
        WrongPassword: the current password is not right.
        TooMany: it was not right too often within the last minutes.
        Invalid: the new one is too weak; the message says why.
    """
    wait_s = WRONG_PASSWORDS.wait_s(str(user.pk), clock_s())
    if wait_s:
        raise TooMany(
            "The current password was wrong too often. Wait a few minutes and try again.",
            retry_after_s=wait_s,
        )
    if not user.check_password(current_password):
        WRONG_PASSWORDS.note(str(user.pk), clock_s())
        audit.record("password_refused", actor=user, target=f"user:{user.pk}")
        raise WrongPassword
    try:
        validate_password(new_password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="new_password") from error
    user.set_password(new_password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_login_sessions(user, but=kept_session_key)
        audit.record("password_changed", actor=user, target=f"user:{user.pk}")


@transaction.atomic
def change_profile(user: User, *, display_name: str | None = None, theme: str | None = None) -> User:
    """The person with what is not None changed.

    Raises:
        Invalid
    """
    if display_name is not None:
        user.display_name = clean_name(display_name, "person") if display_name.strip() else ""
    if theme is not None:
        user.theme = theme
    user.save(update_fields=["display_name", "theme"])
    return user
