"""Who is calling: by login cookie or by API token, over HTTP and over WebSocket. Sync; talks to the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.http import HttpRequest, HttpResponseForbidden
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from zasper_hub.accounts.acting import person_acted_as
from zasper_hub.accounts.errors import ActingEnded, CsrfFailed, NotSignedIn
from zasper_hub.accounts.models import ApiToken, User
from zasper_hub.accounts.tokens import ALL_SCOPES, Scope, is_same_hash, prefix_of, token_from_header

LAST_USED_PRECISION = timedelta(minutes=1)  # a token in a loop writes its row once a minute, not each time
_NO_HASH = "0" * 64  # compared with when the prefix is unknown, so that both cases take the same time


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person and how they proved it."""

    user: User
    token: ApiToken | None = None
    login_session_key: str | None = None

    @property
    def user_ids(self) -> frozenset[int]:
        """Whose access it is: the person's, and that of an administrator who acts as them."""
        administrator = self.user.acted_by
        return frozenset({self.user.pk} if administrator is None else {self.user.pk, administrator.pk})

    @property
    def expires_at(self) -> datetime | None:
        """When it ends by itself; None for a cookie that acts as nobody else."""
        return self.user.acting_until if self.token is None else self.token.expires_at

    @property
    def scopes(self) -> frozenset[Scope] | None:
        """What the token is limited to; None for a cookie sign-in, which is not limited."""
        if self.token is None:
            return None
        # A scope that a later or earlier version knew allows nothing here.
        return frozenset(scope for scope in ALL_SCOPES if scope.value in self.token.scopes)


def caller_of_token(text: str) -> Caller:
    """The owner of a token.

    Raises:
        NotSignedIn: no such token, or it is expired or revoked, or its owner's account is disabled.
    """
    if len(text) > 200 or not text.isascii():
        raise NotSignedIn("The API token is not valid.")
    token = ApiToken.objects.select_related("user").filter(prefix=prefix_of(text)).first()
    if not is_same_hash(token.secret_hash if token else _NO_HASH, text) or token is None:
        raise NotSignedIn("The API token is not valid.")
    now = timezone.now()
    if token.revoked_at is not None:
        raise NotSignedIn("The API token was revoked.")
    if token.expires_at is not None and token.expires_at <= now:
        raise NotSignedIn("The API token has expired. Make a new one.")
    if not token.user.is_active:
        raise NotSignedIn("The account is disabled.")
    if token.last_used_at is None or token.last_used_at < now - LAST_USED_PRECISION:
        unseen = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
        ApiToken.objects.filter(unseen, pk=token.pk).update(last_used_at=now)
        User.objects.filter(pk=token.user_id).update(last_seen_at=now)
    return Caller(user=token.user, token=token)


def caller_of_login_session(session_key: str) -> Caller:
    """The person signed in by this login cookie.

    Raises:
        NotSignedIn: the sign-in ended, or the password changed since, or the account is disabled.
        ActingEnded: it acted as somebody, and may not any more.
    """
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not isinstance(user, User):
        raise NotSignedIn
    person = person_acted_as(request.session, user) or user
    return Caller(user=person, login_session_key=session_key)


def caller_of_request(request: HttpRequest, *, allows_query_token: bool = False) -> Caller:
    """Who sends this request. A token goes before the cookie; with a cookie, unsafe methods need the CSRF header.

    Raises:
        NotSignedIn, ActingEnded, CsrfFailed
    """
    text = token_from_header(request.headers.get("Authorization", ""))
    if text is None and allows_query_token:
        text = request.GET.get("token")
    if text:
        caller = caller_of_token(text)
        request.user = caller.user
        return caller
    if getattr(request, "acting_has_ended", False):
        raise ActingEnded
    user = request.user
    if isinstance(user, AnonymousUser) or not isinstance(user, User):
        raise NotSignedIn
    check_csrf(request)
    return Caller(user=user, login_session_key=request.session.session_key)


def check_csrf(request: HttpRequest) -> None:
    """Nothing, for a safe method or one that carries the token of the page.

    Raises:
        CsrfFailed
    """
    middleware = CsrfViewMiddleware(lambda _request: HttpResponseForbidden())
    request.csrf_processing_done = False  # type: ignore[attr-defined]  # the middleware's own mark
    middleware.process_request(request)
    if middleware.process_view(request, HttpResponseForbidden, (), {}) is not None:
        raise CsrfFailed
