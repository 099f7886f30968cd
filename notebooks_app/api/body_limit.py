"""Bounds what a request may send before Django has seen it (under Daphne, `zasper_hub.daphne_bodies` does it first).

Django's ASGI handler keeps the whole body in a temporary file before any view runs. So what is too large is refused
here: by its announced length before the first byte, else as soon as it passes the limit. A full disk is told as such.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from notebooks_app.errors import DiskFull, HubError, TooLarge

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Django's and Channels' applications have types of their own for the three.
Application = Callable[[Any, Any, Any], Awaitable[None]]

# Every body that is not a file: JSON, forms. A notebook sent as JSON to the Jupyter API is the largest of them.
PLAIN_LIMIT_BYTES = 4 * 1024 * 1024
JUPYTER_LIMIT_BYTES = 128 * 1024 * 1024
JUPYTER_ROOT = "/jupyter/"
_UPLOAD = re.compile(r"/api/hub/v1/projects/[^/]+/files/")


class _BodyTooLarge(Exception):
    pass


class BodyLimit:
    """An ASGI application that passes requests of bounded size on to `application`."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        limit = limit_of_path(_path_of(scope))
        if (_announced_bytes(scope) or 0) > limit:
            await _answer(scope, send, too_large(limit))
            return
        received_bytes = 0
        has_begun = False

        async def bounded_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit:
                raise _BodyTooLarge
            return message

        async def noted_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.application(scope, bounded_receive, noted_send)
        except _BodyTooLarge:
            if has_begun:
                raise
            await _answer(scope, send, too_large(limit))
        except OSError as error:
            if has_begun or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            await _answer(scope, send, DiskFull())


def limit_of_path(path: str) -> int:
    """Bytes that a request to this address may send. `path`: decoded, below the hub's base path."""
    if _UPLOAD.match(path):
        return settings.MAX_FILE_BYTES
    return JUPYTER_LIMIT_BYTES if path.startswith(JUPYTER_ROOT) else PLAIN_LIMIT_BYTES


def _path_of(scope: Message) -> str:
    """Without the hub's base path."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _announced_bytes(scope: Message) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return None


def too_large(limit_bytes: int) -> TooLarge:
    """What its sender is told."""
    return TooLarge(
        f"That is larger than the {limit_bytes / 1e6:,.0f} MB this address accepts.", max_bytes=limit_bytes
    )


async def _answer(scope: Message, send: Send, error: HubError) -> None:
    is_jupyter = _path_of(scope).startswith(JUPYTER_ROOT)
    shown = {"message": error.message, "reason": None} if is_jupyter else {"error": error.as_json()}
    body = json.dumps(shown).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of the body is not read
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
