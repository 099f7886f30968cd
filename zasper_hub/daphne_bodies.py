"""Bounds the body of a request as it arrives, whoever sends it.

Daphne (Twisted) keeps a whole body in a temporary file before any application hears of the request. So what is too
large, or finds the disk nearly full, is refused here: by its announced length, else as soon as it passes the limit.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import Any
from urllib.parse import unquote

from daphne import http_protocol
from django.conf import settings

from notebooks_app.api.body_limit import JUPYTER_ROOT, limit_of_path, too_large
from notebooks_app.errors import DiskFull, HubError

# A client that is told while it still sends: what it says is dropped this long, so that it can read the answer.
LINGER_S = 5.0
# More must stay free than what makes a node end kernels (`NODE_DISK_RESERVE_MB`).
RESERVE_BYTES = 2 << 30
RESERVE_SHARE = 0.07
LOOK_BYTES = 16 << 20  # of a body, between two looks at the disk

_REASONS = {413: "Content Too Large", 503: "Service Unavailable"}


class BoundedRequest(http_protocol.WebRequest):  # type: ignore[misc]  # Daphne has no types
    """Daphne's request, until its body is there."""

    _limit_bytes = 0
    _received_bytes = 0
    _next_look_bytes = LOOK_BYTES
    _is_refused = False
    _end: Any = None

    def gotLength(self, length: int | None) -> None:  # Twisted's name
        """`length`: as announced; None when it comes in pieces."""
        self._limit_bytes = limit_of_path(self._path_here())
        is_too_large = length is not None and length > self._limit_bytes
        super().gotLength(0 if is_too_large else length)
        if is_too_large:
            self._refuse(too_large(self._limit_bytes))
        elif length is None or length > LOOK_BYTES:
            self._look_at_disk()

    def handleContentChunk(self, data: bytes) -> None:  # Twisted's name
        if self._is_refused:
            return
        self._received_bytes += len(data)
        if self._received_bytes > self._limit_bytes:
            self._refuse(too_large(self._limit_bytes))
            return
        if self._received_bytes >= self._next_look_bytes:
            self._next_look_bytes += LOOK_BYTES
            self._look_at_disk()
        if not self._is_refused:
            try:
                super().handleContentChunk(data)
            except OSError:
                self._refuse(DiskFull())

    def process(self) -> Any:
        """The body is there."""
        if not self._is_refused:
            return super().process()
        self._hang_up()
        return None

    def connectionLost(self, reason: Any) -> None:  # Twisted's name
        if self._end is not None and self._end.active():
            self._end.cancel()
        super().connectionLost(reason)

    def _path_here(self) -> str:
        # Twisted gives a request its address only with its body.
        raw: bytes = getattr(self.channel, "_path", b"/")
        return unquote(raw.partition(b"?")[0].decode("latin-1")).removeprefix(settings.BASE_PATH)

    def _look_at_disk(self) -> None:
        if not has_room():
            self._refuse(DiskFull())

    def _refuse(self, error: HubError) -> None:
        """Answers at once; the request goes no further."""
        self._is_refused = True
        self.requestHeaders.removeHeader(b"Expect")  # or Twisted says "100 Continue" after it
        is_jupyter = self._path_here().startswith(JUPYTER_ROOT)
        shown = {"message": error.message, "reason": None} if is_jupyter else {"error": error.as_json()}
        body = json.dumps(shown).encode()
        head = (
            f"HTTP/1.1 {error.status} {_REASONS.get(error.status, 'Error')}\r\n"
            "Content-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.channel.transport.write(head.encode() + body)
        from twisted.internet import reactor

        self.content.seek(0)
        self.content.truncate()
        call_later: Any = reactor.callLater
        self._end = call_later(LINGER_S, self._hang_up)

    def _hang_up(self) -> None:
        if self.channel is not None:
            self.channel.transport.loseConnection()


def has_room() -> bool:
    """Whether the disk that bodies are kept on has more free than what belongs to the hub."""
    usage = shutil.disk_usage(tempfile.gettempdir())
    return usage.free > min(RESERVE_BYTES, usage.total * RESERVE_SHARE)


def bound_bodies() -> None:
    """From now on Daphne's requests are of this kind."""
    http_protocol.WebRequest = BoundedRequest
