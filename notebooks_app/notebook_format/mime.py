"""How payloads of a MIME bundle are kept as bytes. Pure.

A binary type is base64 text in a notebook and plain bytes in a blob; a JSON type is compact JSON;
any other is its text in UTF-8 (docs/reference/runs.md, "Blobs").
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

_BINARY_TYPES = frozenset({"application/pdf", "application/octet-stream"})
_BINARY_FAMILIES = frozenset({"image", "audio", "video"})


def is_json_mime(mime: str) -> bool:
    """True for types whose value is JSON and not text (nbformat's own rule)."""
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def is_binary_mime(mime: str) -> bool:
    """True for types whose value is base64 text in a notebook."""
    family = mime.partition("/")[0]
    return mime in _BINARY_TYPES or (family in _BINARY_FAMILIES and mime != "image/svg+xml")


def encode_payload(mime: str, value: Any) -> bytes | None:
    """The bytes to keep of a value as a notebook has it; None when it is not of its type's form."""
    if is_json_mime(mime) or not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if not is_binary_mime(mime):
        return value.encode()
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def decode_payload(mime: str, payload: bytes) -> Any:
    """The value as a notebook has it. Raises ValueError when the bytes are not of this type."""
    if is_json_mime(mime):
        return json.loads(payload)
    if is_binary_mime(mime):
        return base64.b64encode(payload).decode("ascii")
    return payload.decode()
