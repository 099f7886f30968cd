"""What follows from a row that changed, whoever changed it: the app, the admin panel or a command."""

from __future__ import annotations

from typing import Any

import structlog
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from zasper_hub.accounts.acting import SESSION_KEY
from zasper_hub.accounts.models import ActingPeriod, ApiToken, LoginSession, TeamMembership, User
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.services.access_changes import note_access_change
from zasper_hub.accounts.services.acting import end_acting
from zasper_hub.accounts.services.login_sessions import begin_login_session
from zasper_hub.accounts.services.teams import make_personal_team
from zasper_hub.accounts.signals import account_created

log = structlog.get_logger(__name__)

_HARMLESS_FIELDS = frozenset({"last_login", "display_name", "theme", "email", "first_name", "last_name"})


@receiver(post_save, sender=User)
def user_saved(
    instance: User, created: bool, raw: bool, update_fields: frozenset[str] | None, **_: Any
) -> None:
    if raw:
        return
    if created:
        make_personal_team(instance)
        transaction.on_commit(lambda: _announce(instance))
    elif update_fields is None or not update_fields <= _HARMLESS_FIELDS:
        note_access_change([instance.pk])


def _announce(user: User) -> None:
    for handler, outcome in account_created.send_robust(sender=User, user=user):
        if isinstance(outcome, Exception):
            log.error(
                "account_hook_failed",
                user_id=user.pk,
                handler=getattr(handler, "__qualname__", "?"),
                exc_info=outcome,
            )


@receiver(post_delete, sender=User)
def user_deleted(instance: User, **_: Any) -> None:
    note_access_change([instance.pk])


@receiver(post_save, sender=ApiToken)
def token_saved(instance: ApiToken, created: bool, **_: Any) -> None:
    if not created:
        note_access_change([instance.user_id])


@receiver(post_delete, sender=ApiToken)
@receiver(post_delete, sender=LoginSession)
@receiver(post_delete, sender=TeamMembership)
@receiver(post_save, sender=TeamMembership)
def row_of_user_changed(instance: ApiToken | LoginSession | TeamMembership, **_: Any) -> None:
    note_access_change([instance.user_id])


@receiver(user_logged_in)
def signed_in(request: HttpRequest | None, user: User, **_: Any) -> None:
    address = audit.address_of(request)
    audit.record("sign_in", actor=user, target=f"user:{user.pk}", address=address)
    if request is not None and request.session.session_key:
        begin_login_session(
            user,
            request.session.session_key,
            address=address,
            user_agent=request.headers.get("User-Agent", ""),
        )


@receiver(user_logged_out)
def signed_out(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if user is None:
        return
    period_id = None if request is None else request.session.get(SESSION_KEY)
    for period in ActingPeriod.objects.filter(pk=period_id) if period_id else ():
        end_acting(period)
    audit.record("sign_out", actor=user, target=f"user:{user.pk}", address=audit.address_of(request))
    if request is not None and request.session.session_key:
        for login_session in LoginSession.objects.filter(session_key=request.session.session_key):
            login_session.delete()


@receiver(user_login_failed)
def sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    username = str(credentials.get("username") or "")[:150]
    known = User.objects.filter(username__iexact=username).first() if username else None
    # A name nobody has may be a password typed into the wrong field: it is not kept.
    audit.record(
        "sign_in_failed",
        actor=None,
        target=f"user:{known.pk}" if known is not None else "",
        address=audit.address_of(request),
    )
