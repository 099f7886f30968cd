"""Bodies of JSON, with what they may take of the web process's memory bounded.

A body is read whole, and as Python objects it takes many times its size: `[],` is 3 bytes and becomes some 70. So a
large body waits for its turn, of one in a process, and may not have more than so many lists and objects.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from django.http import HttpRequest

from notebooks_app.errors import TooLarge, Unavailable
from zasper_hub.accounts.errors import BadRequest

# A whole body of JSON is in memory while it is read; notebooks and uploads may have a larger one.
MAX_JSON_BYTES = 4 * 1024 * 1024
READ_BYTES = 256 * 1024
LARGE_BYTES = 8 * 1024 * 1024
MAX_PARTS = 5_000_000  # lists and objects: some 400 MB
TURN_WAIT_S = 30.0

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_turn = threading.Semaphore(1)
_HAS_TURN = "_has_turn_of_large_bodies"


def read_json_body(request: HttpRequest, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any] | None:
    """The body, an object; None when there is none. Call `end_turn` when the request is answered.

    Raises:
        BadRequest: it is no JSON object.
        TooLarge: more bytes, or more lists and objects, than one request may have.
        Unavailable: other large bodies take all the time.
    """
    parts: list[bytes] = []
    size_bytes = 0
    while chunk := request.read(READ_BYTES):
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise TooLarge(f"The body is larger than the {max_bytes // 1024**2} MB this address accepts.")
        if size_bytes > LARGE_BYTES:
            _wait_for_turn(request)
        parts.append(chunk)
    text = b"".join(parts)
    parts.clear()
    if not text.strip():
        return None
    if size_bytes > LARGE_BYTES and _part_count(text) > MAX_PARTS:
        raise TooLarge(f"The body has more than {MAX_PARTS:,} lists and objects.")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest("Invalid JSON in body of request") from error
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object")
    return body


def end_turn(request: HttpRequest) -> None:
    """The request is answered: the next large body may come."""
    if getattr(request, _HAS_TURN, False):
        setattr(request, _HAS_TURN, False)
        _turn.release()


def _wait_for_turn(request: HttpRequest) -> None:
    if not getattr(request, _HAS_TURN, False):
        if not _turn.acquire(timeout=TURN_WAIT_S):
            raise Unavailable("The hub is busy with other large files. Try again in a moment.")
        setattr(request, _HAS_TURN, True)


def _part_count(text: bytes) -> int:
    """Lists and objects; those that are only written in a string do not count."""
    count = text.count(b"[") + text.count(b"{")
    if count > MAX_PARTS:
        plain = _STRING.sub(b"", text)
        count = plain.count(b"[") + plain.count(b"{")
    return count
