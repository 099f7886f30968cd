"""What administrators of the hub do to accounts. Each ends what it must end: sign-ins, sockets, tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from zasper_hub.accounts.errors import Forbidden, Invalid, LastAdministrator, NotFound, Yourself
from zasper_hub.accounts.models import Invitation, User
from zasper_hub.accounts.names import clean_name
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.login_sessions import end_login_sessions
from zasper_hub.accounts.versions import check_version, version_of


class PasswordLink(NamedTuple):
    """What a link that lets somebody choose a password is made of."""

    person_key: str
    token: str
    expires_at: datetime


def person_version(person: User) -> str:
    return version_of(person.display_name, person.email, person.is_active, person.is_staff)


@transaction.atomic
def change_person(
    person: User,
    *,
    actor: User,
    display_name: str | None = None,
    email: str | None = None,
    is_active: bool | None = None,
    is_administrator: bool | None = None,
    version: str | None = None,
) -> User:
    """The person with what is not None changed. A disabled one is signed out everywhere.

    Raises:
        Conflict: `version` is not the one there is now. Invalid: a name or address.
        Yourself: the actor would disable their own account.
        LastAdministrator: nobody who can sign in would administer the hub.
    """
    locked = lock_person_and_administrators(person)
    check_version(version, person_version(locked))
    changed: dict[str, Any] = {}
    if display_name is not None:
        locked.display_name = clean_name(display_name, "person") if display_name.strip() else ""
        changed["display_name"] = locked.display_name
    if email is not None:
        locked.email = clean_email(email)
        changed["email"] = bool(locked.email)  # the address itself is not for the log
    if is_active is not None and is_active != locked.is_active:
        if not is_active and locked.pk == actor.pk:
            raise Yourself("You cannot disable your own account. Ask another administrator.")
        locked.is_active = changed["is_active"] = is_active
    if is_administrator is not None and is_administrator != locked.is_staff:
        locked.is_staff = locked.is_superuser = changed["is_administrator"] = is_administrator
    if not (locked.is_staff and locked.is_active):
        keep_an_administrator(but=locked)
    if not changed:
        return locked
    locked.save(update_fields=["display_name", "email", "is_active", "is_staff", "is_superuser"])
    if not locked.is_active:
        end_login_sessions(locked)
        revoke_invitations_of(locked)
    audit.record(
        "account_changed", actor=actor, target=f"user:{locked.pk}", username=locked.username, **changed
    )
    return locked


@transaction.atomic
def set_password(person: User, *, password: str, actor: User) -> None:
    """Gives the person a password; every sign-in of theirs ends.

    Raises:
        Invalid: too weak; the message says why. Yourself: one's own is changed with the old one.
    """
    if person.pk == actor.pk:
        raise Yourself("Change your own password on your account page.")
    _replace_password(person, password)
    audit.record("password_set_by_admin", actor=actor, target=f"user:{person.pk}", username=person.username)


@transaction.atomic
def make_password_link(person: User, *, actor: User) -> PasswordLink:
    """A link with which the person chooses a password, once. Nothing is kept of it: a sign-in or password ends it.

    Raises:
        Forbidden: the account is disabled.
    """
    if not person.is_active:
        raise Forbidden("The account is disabled. Enable it first.")
    audit.record("password_link_made", actor=actor, target=f"user:{person.pk}", username=person.username)
    return PasswordLink(
        person_key=urlsafe_base64_encode(force_bytes(person.pk)),
        token=default_token_generator.make_token(person),
        expires_at=timezone.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
    )


def person_of_link(person_key: str, token: str) -> User:
    """Whose link it is. Raises NotFound for one that does not work (any more)."""
    try:
        person = User.objects.filter(pk=int(urlsafe_base64_decode(person_key))).first()
    except (ValueError, OverflowError):
        person = None
    if person is None or not person.is_active or not default_token_generator.check_token(person, token):
        raise NotFound("This link does not work any more. Ask your administrator for a new one.")
    return person


@transaction.atomic
def choose_password(person_key: str, token: str, *, password: str) -> User:
    """The person of the link, with the password they chose.

    Raises:
        NotFound: the link. Invalid: too weak.
    """
    person = person_of_link(person_key, token)
    locked = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if not default_token_generator.check_token(locked, token):  # used by somebody else a moment ago
        raise NotFound("This link does not work any more. Ask your administrator for a new one.")
    _replace_password(locked, password)
    audit.record("password_changed", actor=locked, target=f"user:{locked.pk}", by_link=True)
    return locked


@transaction.atomic
def sign_out_everywhere(person: User, *, actor: User) -> int:
    """Ends all sign-ins of the person; how many. Tokens stay."""
    count = end_login_sessions(person)
    audit.record("signed_out_by_admin", actor=actor, target=f"user:{person.pk}", username=person.username)
    return count


def lock_person_and_administrators(person: User) -> User:
    """The person's row, locked together with those of all administrators: who changes two at once waits here."""
    concerned = Q(pk=person.pk) | Q(is_staff=True, is_active=True)
    rows = User.objects.select_for_update(no_key=True).filter(concerned).order_by("pk")
    for row in rows:
        if row.pk == person.pk:
            return row
    raise NotFound("The account was deleted meanwhile.")


def keep_an_administrator(*, but: User) -> None:
    """Raises LastAdministrator when nobody else administers the hub; after `lock_person_and_administrators`."""
    if not User.objects.filter(is_staff=True, is_active=True).exclude(pk=but.pk).exists():
        raise LastAdministrator


def revoke_invitations_of(person: User) -> None:
    Invitation.objects.filter(created_by=person, revoked_at=None).update(revoked_at=timezone.now())


def clean_email(email: str) -> str:
    """Raises Invalid."""
    email = email.strip()
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise Invalid("That is not an e-mail address.", field="email") from error
    return email


def _replace_password(person: User, password: str) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from error
    person.set_password(password)
    person.save(update_fields=["password"])
    end_login_sessions(person)
