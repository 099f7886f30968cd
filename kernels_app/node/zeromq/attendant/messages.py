"""Kernel messages, as far as an attendant reads and makes them: frames from the delimiter on. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

DELIMITER = b"<IDS|MSG>"


def header_of(frames: Sequence[bytes]) -> dict[str, Any]:
    try:
        header = json.loads(frames[2])
    except (ValueError, IndexError):
        return {}
    return header if isinstance(header, dict) else {}


def cut_mark(key: bytes, run_id: str) -> list[bytes]:
    """A message in the kernel's name: the start of this run's outputs is not there any more."""
    session_id = secrets.token_hex(8)
    header = {
        "msg_id": secrets.token_hex(16),
        "msg_type": "stream",
        "username": "kernel",
        "session": session_id,
        "date": datetime.now(UTC).isoformat(),
        "version": "5.4",
    }
    text = "[The node was restarted while this cell ran; the start of its outputs is not kept.]\n"
    parent = {"msg_id": run_id, "msg_type": "execute_request"}
    signed = [json.dumps(part).encode() for part in (header, parent, {}, {"name": "stderr", "text": text})]
    signature = hmac.new(key, b"".join(signed), hashlib.sha256).hexdigest().encode()
    return [DELIMITER, signature, *signed]
