"""Sign-ins by password: begun, seen, ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from zasper_hub.accounts.errors import NotFound
from zasper_hub.accounts.models import LoginSession, User

SEEN_PRECISION = timedelta(minutes=5)  # one write in five minutes a browser, not one a request


def begin_login_session(user: User, session_key: str, *, address: str | None, user_agent: str) -> None:
    """Notes a sign-in, so that its person can see and end it."""
    printable = "".join(character for character in user_agent if character.isprintable())
    LoginSession.objects.update_or_create(
        session_key=session_key,
        defaults={
            "user": user,
            "address": address,
            "user_agent": printable[:300],
            "last_seen_at": timezone.now(),
        },
    )
    User.objects.filter(pk=user.pk).update(last_seen_at=timezone.now())


def see_login_session(session_key: str, now: datetime) -> None:
    """Notes that the sign-in is in use, and with it its person."""
    seen = LoginSession.objects.filter(session_key=session_key)
    seen.filter(last_seen_at__lt=now - SEEN_PRECISION).update(last_seen_at=now)
    User.objects.filter(pk__in=seen.values("user")).update(last_seen_at=now)


@transaction.atomic
def end_login_sessions(user: User, *, but: str | None = None) -> int:
    """Ends all sign-ins of a person, except the one with this key. Returns how many."""
    ended = LoginSession.objects.filter(user=user).exclude(session_key=but or "")
    return _end(list(ended))


@transaction.atomic
def end_login_session(user: User, login_session_id: int) -> None:
    """Ends one sign-in.

    Raises:
        NotFound: the person has none with this id.
    """
    login_session = LoginSession.objects.filter(user=user, pk=login_session_id).first()
    if login_session is None:
        raise NotFound("There is no such sign-in.")
    _end([login_session])


def move_login_session(old_key: str, new_key: str) -> None:
    """The same sign-in under a new key, as after a password change."""
    LoginSession.objects.filter(session_key=old_key).update(session_key=new_key)


@transaction.atomic
def forget_dead_login_sessions(now: datetime) -> int:
    """Removes what ran out. Returns how many sign-ins were removed."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    store.clear_expired()
    alive = store.get_model_class().objects.values("session_key")
    dead = LoginSession.objects.exclude(session_key__in=alive).filter(created_at__lt=now)
    return _end(list(dead))


def _end(login_sessions: list[LoginSession]) -> int:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for login_session in login_sessions:
        store(login_session.session_key).delete()
        login_session.delete()  # its signal closes the sockets
    return len(login_sessions)
