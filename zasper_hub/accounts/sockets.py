"""The base of every WebSocket consumer: lets nobody in before it knows who they are and that they may.

*Refusing.* A refusal happens before accept, with the close code of `errors.CODES`. An ASGI server answers that with an
HTTP status instead of a WebSocket: a server with the `websocket.http.response` extension sends the error's own status
and JSON body; any other (Daphne) sends 403, and a browser reports 1006. A page that is refused asks `GET me` (or the
thing itself) to learn why.

*Losing access.* Open sockets are watched (`socket_watch`): within 5 s of a lost membership, a password change, a
sign-out, a disabled account, or a token that was revoked or expired, the socket is closed with 4401 or 4403.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs

import structlog
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from channels.utils import await_many_dispatch
from django.conf import settings
from django.urls import URLPattern
from django.utils import timezone

from zasper_hub.accounts.authentication import Caller, caller_of_login_session, caller_of_token
from zasper_hub.accounts.errors import HubError, NotFound, NotSignedIn, TooLarge, WrongOrigin
from zasper_hub.accounts.models import User
from zasper_hub.accounts.outages import outage_of
from zasper_hub.accounts.permissions import Need, check_access
from zasper_hub.accounts.socket_watch import SocketWatch, watch_of_this_loop
from zasper_hub.accounts.tokens import Scope, token_from_header

log = structlog.get_logger(__name__)


class HubConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """One WebSocket of one signed-in person who has `need` in what the route names.

    Subclasses set the class attributes and write the hooks `prepare`, `opened`, `received`, `closed` and
    `access_rechecked`. A hook that raises a HubError ends the socket with that error's close code; `received` must
    return at once (frames are handled one after the other).
    """

    need: ClassVar[Need] = Need.VIEWER
    token_scope: ClassVar[Scope] = Scope.READ
    max_frame_bytes: ClassVar[int] = 1 << 20
    # Most consumers listen on the bus, not on the channel layer, and save its receiving task a socket.
    uses_channel_layer: ClassVar[bool] = False

    user: User
    caller: Caller
    admitted_at: datetime

    # Hooks

    async def prepare(self) -> None:
        """Called when the person may enter, before accept: raise a HubError to refuse after all."""

    async def opened(self) -> None:
        """Called once, right after accept."""

    async def received(self, frame: str | bytes) -> None:
        """Called for each frame, of at most `max_frame_bytes`."""

    async def closed(self, close_code: int) -> None:
        """Called once when it ends, however it ends, if `prepare` was called."""

    async def access_rechecked(self) -> None:
        """Called when the person's access changed but still suffices, e.g. another role: look it up again."""

    def subprotocol(self, offered: list[str]) -> str | None:
        """The subprotocol to accept with."""
        return None

    # What subclasses use

    @property
    def route_parameters(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.scope.get("url_route", {}).get("kwargs", {}))

    async def close_with(self, error: HubError) -> None:
        """Ends an open socket with an error's close code."""
        await self.close(code=error.close_code, reason=error.code)

    # From here on: the machinery

    _is_prepared = False
    _is_open = False
    _watch: SocketWatch | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.uses_channel_layer:
            await super().__call__(scope, receive, send)
            return
        self.scope = scope
        self.base_send = send
        with suppress(StopConsumer):
            await await_many_dispatch([receive], self.dispatch)

    async def dispatch(self, message: Any) -> None:
        # Not super(): that crosses into a thread for each frame to close old database connections, which
        # database_sync_to_async does where there are any.
        handler = getattr(self, get_handler_name(message), None)
        if handler is None:
            raise ValueError(f"No handler for message type {message['type']}")
        await handler(message)

    async def connect(self) -> None:
        # Each socket has a task of its own: this is in its own log lines alone.
        structlog.contextvars.bind_contextvars(request_id=secrets.token_hex(8))
        self.admitted_at = timezone.now()
        try:
            self.caller = await database_sync_to_async(self._admit)()
            self.user = self.caller.user
            self._watch = watch_of_this_loop()
            self._watch.enter(self)
            self._is_prepared = True
            await self.prepare()
        except HubError as error:
            await self._refuse(error)
            return
        except Exception as error:
            await self._refuse(self._failure(error, "connect"))
            return
        await self.accept(subprotocol=self.subprotocol(list(self.scope.get("subprotocols", []))))
        self._is_open = True
        await self._guarded("opened", self.opened())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._is_open:
            return
        frame = text_data if text_data is not None else bytes_data or b""
        if len(frame) > self.max_frame_bytes:
            await self.close_with(TooLarge(f"A message may have at most {self.max_frame_bytes} bytes."))
            return
        await self._guarded("received", self.received(frame))

    async def disconnect(self, close_code: int) -> None:
        await self._leave(close_code)

    async def _leave(self, close_code: int) -> None:
        if self._watch is not None:
            self._watch.leave(self)
        self._is_open = False
        if self._is_prepared:
            self._is_prepared = False
            try:
                await self.closed(close_code)
            except HubError as error:
                log.warning("socket_close_failed", consumer=type(self).__name__, code=error.code)

    async def close(self, code: Any = None, reason: str | None = None) -> None:
        self._is_open = False
        await super().close(code=code, reason=reason)

    async def _guarded(self, at: str, hook: Any) -> None:
        try:
            await hook
        except HubError as error:
            await self.close_with(error)
        except Exception as error:
            failure = self._failure(error, at)
            await self.close(code=failure.close_code, reason=failure.code)

    def _failure(self, error: Exception, at: str) -> HubError:
        """What the client is told of an error that nobody expected. Called while it is handled."""
        outage = outage_of(error)
        if outage is None:
            log.exception("socket_crashed", consumer=type(self).__name__, at=at)
            return HubError()
        log.error("socket_failed", consumer=type(self).__name__, at=at, code=outage.code, reason=str(error))
        return outage

    async def _refuse(self, error: HubError) -> None:
        await self._leave(error.close_code)  # not every server reports the end of what was never accepted
        if "websocket.http.response" not in (self.scope.get("extensions") or {}):
            await self.close(code=error.close_code, reason=error.code)
            return
        body = json.dumps({"error": error.as_json()}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        start = {"type": "websocket.http.response.start", "status": error.status, "headers": headers}
        await self.base_send(start)
        await self.base_send({"type": "websocket.http.response.body", "body": body})

    # Access: sync, called in a thread

    def _admit(self) -> Caller:
        caller = self._authenticate()
        check_access(caller, self.need, self.token_scope, self.route_parameters)
        return caller

    def _authenticate(self) -> Caller:
        headers = _headers(self.scope)
        text = token_from_header(headers.get("authorization", ""))
        if text is None:
            query = self.scope.get("query_string", b"").decode("latin-1")
            text = parse_qs(query).get("token", [None])[0]
        if text:
            return caller_of_token(text)
        login_session_key = _cookie(headers.get("cookie", ""), settings.SESSION_COOKIE_NAME)
        if login_session_key is None:
            raise NotSignedIn
        if headers.get("origin", "") not in _allowed_origins(self.scope, headers):
            raise WrongOrigin
        return caller_of_login_session(login_session_key)

    async def recheck(self) -> None:
        """Closes the socket if its person may no longer be here. Called by the socket watch."""
        if not self._is_open:
            return
        try:
            caller = await database_sync_to_async(self._admit)()
            if caller.user_ids != self.caller.user_ids:  # the cookie is another person's by now
                raise NotSignedIn
        except HubError as error:
            await self.close_with(error)
            return
        self.caller, self.user = caller, caller.user
        await self._guarded("access_rechecked", self.access_rechecked())


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    pairs = cast("Iterable[tuple[bytes, bytes]]", scope.get("headers", []))
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def _cookie(header: str, name: str) -> str | None:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return morsel.value if morsel is not None and morsel.value else None


def _allowed_origins(scope: Mapping[str, Any], headers: Mapping[str, str]) -> frozenset[str]:
    """The origins our own pages have: the configured public ones, else the address this request was sent to."""
    configured = frozenset(settings.HUB_ORIGINS)
    if configured:
        return configured
    scheme = "https" if scope.get("scheme") in ("wss", "https") else "http"
    return frozenset({f"{scheme}://{headers['host']}"}) if headers.get("host") else frozenset()


class SocketRoutes:
    """The ASGI application of all WebSocket routes, below `base_path`. An address that no route has is refused as a
    foreign id is."""

    def __init__(self, url_patterns: Sequence[URLPattern], base_path: str = "") -> None:
        self.base_path = base_path
        self.url_patterns = list(url_patterns)
        self._router = URLRouter(self.url_patterns)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        below = f"{self.base_path}/"
        path = scope["path"]
        if path.startswith(below) and any(
            pattern.pattern.match(path.removeprefix(below).lstrip("/")) for pattern in self.url_patterns
        ):
            await self._router({**scope, "root_path": self.base_path}, receive, send)
        else:
            await RefusedConsumer()(scope, receive, send)


class RefusedConsumer(HubConsumer):
    """Lets nobody in."""

    need = Need.STAFF

    def _admit(self) -> Caller:
        raise NotFound
