"""The hub below a path of a host that it shares with other programs (`HUB_BASE_PATH=/hub`): its HTTP requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]

# These answer at the root too: what looks after the programs need not know the path.
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]


class BelowBasePath:
    """An ASGI application that passes on to `application` what is asked for below `base_path`, and nothing else.

    A proxy hands requests on with their whole path. Somebody at the root, or without the slash at the end, is shown
    the way.
    """

    def __init__(self, application: Application, base_path: str) -> None:
        self.application = application
        self.base_path = base_path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = str(scope["path"])
        if path.startswith(f"{self.base_path}/"):
            await self.application({**scope, "root_path": self.base_path}, receive, send)
        elif path in HEALTH_PATHS:
            await self.application(scope, receive, send)
        elif path in ("/", self.base_path) and scope["method"] in ("GET", "HEAD"):
            await _answer(send, 302, "", [(b"location", f"{self.base_path}/".encode())])
        else:
            await _answer(send, 404, f"The hub is at {self.base_path}/\n")


async def _answer(
    send: Any, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    body = text.encode()
    length = (b"content-length", str(len(body)).encode())
    await send(
        {"type": "http.response.start", "status": status, "headers": [*_HEADERS, length, *(headers or [])]}
    )
    await send({"type": "http.response.body", "body": body})
