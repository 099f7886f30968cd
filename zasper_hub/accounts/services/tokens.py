"""API tokens: made, revoked, cleared away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from zasper_hub.accounts.errors import Invalid, NotFound, TooMany, WrongScope
from zasper_hub.accounts.models import ApiToken, User
from zasper_hub.accounts.names import clean_name
from zasper_hub.accounts.reach import reach_of
from zasper_hub.accounts.services import audit
from zasper_hub.accounts.tokens import ALL_SCOPES, Scope, new_token, parse_scopes

MAX_TOKENS = 100
MAX_DAYS = 3660
DEFAULT_DAYS = 90
DEAD_TOKENS_ARE_KEPT = timedelta(days=30)  # so that their owner still sees why a program stopped working


class MadeToken(NamedTuple):
    token: ApiToken
    text: str  # shown once


@transaction.atomic
def make_token(
    user: User,
    *,
    name: str,
    days: int | None = DEFAULT_DAYS,
    scopes: Iterable[str] | None = None,
    within: frozenset[Scope] | None = None,
) -> MadeToken:
    """A new token of a person. `scopes` None: all that the person may have; `days` None: it does not expire.

    `within` are the scopes of the token that asks for it: a token cannot make one that may do more.

    Raises:
        Invalid: no such scope, no scope at all, days out of range, or a bad name.
        WrongScope: more than `within`, or `admin` for somebody who administers neither the hub nor a team.
        TooMany: the person has `MAX_TOKENS` already.
    """
    allowed = ALL_SCOPES if reach_of(user).is_any else ALL_SCOPES - {Scope.ADMIN}
    if within is not None:
        allowed &= within
    try:
        wanted = allowed if scopes is None else parse_scopes(scopes)
    except ValueError as error:
        names = ", ".join(Scope)
        raise Invalid(f"There is no such scope. Scopes are: {names}.", field="scopes") from error
    if not wanted:
        raise Invalid("Choose at least one scope.", field="scopes")
    if not wanted <= allowed:
        extra = ", ".join(sorted(wanted - allowed))
        raise WrongScope(f"You cannot give a token the scope {extra}: you do not have it here.", scopes=extra)
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise Invalid(f"A token lives 1 to {MAX_DAYS} days.", field="days")
    now = timezone.now()
    if ApiToken.objects.filter(user=user, revoked_at=None).count() >= MAX_TOKENS:
        raise TooMany(f"You have {MAX_TOKENS} tokens. Revoke some first.")
    made = new_token()
    token = ApiToken.objects.create(
        user=user,
        name=clean_name(name, "token"),
        prefix=made.prefix,
        secret_hash=made.secret_hash,
        scopes=sorted(wanted),
        expires_at=None if days is None else now + timedelta(days=days),
    )
    audit.record("token_made", actor=user, target=f"token:{token.pk}", scopes=token.scopes)
    return MadeToken(token, made.text)


@transaction.atomic
def revoke_token(user: User, token_id: int) -> None:
    """Ends a token of the person; sockets opened with it are closed.

    Raises:
        NotFound: the person has no such live token.
    """
    token = ApiToken.objects.filter(user=user, pk=token_id, revoked_at=None).first()
    if token is None:
        raise NotFound("There is no such token.")
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    audit.record("token_revoked", actor=user, target=f"token:{token.pk}")


def forget_dead_tokens(now: datetime) -> int:
    """Deletes tokens that were revoked or expired a while ago. Returns how many."""
    before = now - DEAD_TOKENS_ARE_KEPT
    revoked = ApiToken.objects.filter(revoked_at__lt=before)
    expired = ApiToken.objects.filter(expires_at__lt=before)
    count, _by_model = (revoked | expired).delete()
    return count
