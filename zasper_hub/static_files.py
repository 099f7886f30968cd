"""Static files, before Django: a page asks for some twenty at once, and each would take a request's whole way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from whitenoise.middleware import WhiteNoiseMiddleware

from zasper_hub.accounts.metrics import REQUEST_SECONDS

Application = Callable[[Any, Any, Any], Awaitable[None]]

# What Django's own middleware puts on every answer.
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", settings.SECURE_REFERRER_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
]
# What the choice of an answer depends on.
_ASKED = {
    b"accept-encoding": "HTTP_ACCEPT_ENCODING",
    b"if-none-match": "HTTP_IF_NONE_MATCH",
    b"if-modified-since": "HTTP_IF_MODIFIED_SINCE",
    b"range": "HTTP_RANGE",
}


class StaticFiles:
    """An ASGI application that answers for collected static files, by WhiteNoise's rules; all else is `application`'s.

    Files are read whole, on the event loop: the largest part of the app is some hundred kilobytes, in the page cache.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        # As middleware it sees paths below the hub's base path only.
        above = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
        self._files: dict[str, Any] = {
            f"{above}{url}": file for url, file in WhiteNoiseMiddleware().files.items()
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        found = self._files.get(scope["path"])
        if found is None:
            await self.application(scope, receive, send)
            return
        begun = time.perf_counter()
        asked = {_ASKED[name]: value.decode("latin-1") for name, value in scope["headers"] if name in _ASKED}
        response = found.get_response(scope["method"], asked)
        body = b""
        if response.file is not None:
            with response.file:
                body = response.file.read()
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
        await send(
            {"type": "http.response.start", "status": int(response.status), "headers": [*headers, *_HEADERS]}
        )
        await send({"type": "http.response.body", "body": body})
        method = scope["method"] if scope["method"] in ("GET", "HEAD") else "other"
        took_s = time.perf_counter() - begun
        REQUEST_SECONDS.labels("static", method, f"{int(response.status) // 100}xx").observe(took_s)
