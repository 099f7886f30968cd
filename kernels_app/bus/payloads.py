"""How the value of a MIME type becomes a blob and comes back as nbformat has it. Pure.

In a notebook a picture is base64 text, JSON is JSON and everything else is text; as a blob each of
them is the bytes a browser could show.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

_TEXT_APPLICATION = frozenset(
    {"application/javascript", "application/x-javascript", "application/ecmascript", "application/xml"}
)
_BINARY_APPLICATION = frozenset(
    {"application/pdf", "application/octet-stream", "application/zip", "application/gzip"}
)


def is_json_mime(mime: str) -> bool:
    """`application/json` and everything that ends in `+json`."""
    return mime == "application/json" or mime.endswith("+json")


def is_binary_mime(mime: str) -> bool:
    """Whether nbformat keeps the type as base64. SVG is text."""
    if mime.endswith("+xml") or is_json_mime(mime) or mime in _TEXT_APPLICATION:
        return False
    return mime.startswith(("image/", "audio/", "video/", "font/")) or mime in _BINARY_APPLICATION


def join_lines(value: Any) -> Any:
    """nbformat's list of lines as one string; anything else as it is."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value


def encode_payload(mime: str, value: Any) -> bytes:
    """Bytes of the blob. Raises ValueError when a binary type's value is no base64 text."""
    if is_json_mime(mime):
        return msgspec.json.encode(value)
    text = join_lines(value)
    if not isinstance(text, str):
        if is_binary_mime(mime):
            raise ValueError(f"The value of {mime} is no base64 text.")
        return msgspec.json.encode(value)
    if not is_binary_mime(mime):
        return text.encode("utf-8", "replace")
    try:
        # Line ends are common in base64 of kernels; b64decode without `validate` skips them, but
        # everything else foreign too.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"The value of {mime} is no base64 text.") from error


def decode_payload(mime: str, data: bytes) -> Any:
    """The value as a notebook holds it. JSON that cannot be read comes back as its text."""
    if is_binary_mime(mime):
        return base64.b64encode(data).decode("ascii")
    text = data.decode("utf-8", "replace")
    if is_json_mime(mime):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text
