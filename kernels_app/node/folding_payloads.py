"""MIME bundles and tracebacks of a kernel, made fit for an operation: clean, and within limits. Pure."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from kernels_app.bus.operations import BlobRef
from kernels_app.bus.payloads import encode_payload, is_binary_mime, is_json_mime, join_lines
from kernels_app.node.folding_stream import clean_surrogates

MAX_MIME_TYPES = 50
MAX_MIME_CHARS = 255
MAX_DEPTH = 64
_MAX_INTEGER = 2**63
_MAX_COUNT = 2**31 - 1  # what the database holds


class Bundle(NamedTuple):
    """What goes into a display operation, and the bytes of its blobs by SHA-256."""

    data: dict[str, Any]
    metadata: dict[str, Any]
    blobs: dict[str, BlobRef]
    payloads: dict[str, bytes]
    left_out: list[str]  # MIME types that are too large or broken


def clean_text(value: Any, max_chars: int | None = None) -> str:
    """Text that JSON, UTF-8 and PostgreSQL all take."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if max_chars is not None and len(text) > max_chars:
        text = text[:max_chars] + "…"
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return clean_surrogates(text)


def fit_count(value: Any) -> int | None:
    """An execution count; None when it is none, or more than the database holds."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT
    return value if is_count else None


def clean_json(value: Any, depth: int = 0) -> Any:
    """The value with clean text, finite depth and integers of 64 bits."""
    if isinstance(value, str):
        return clean_text(value)
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {clean_text(key): clean_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item, depth + 1) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return (
            value if -_MAX_INTEGER <= value < _MAX_INTEGER else float(value) if abs(value) < 10**300 else None
        )
    if isinstance(value, float):
        return value if value - value == 0 else None
    return clean_text(value)


def make_blob(payload: bytes) -> BlobRef:
    return BlobRef(hashlib.sha256(payload).hexdigest(), len(payload))


def fold_bundle(data: Any, metadata: Any, *, inline_payload_bytes: int, max_payload_bytes: int) -> Bundle:
    """Large values become blobs; what cannot be kept at all is named in `left_out`."""
    bundle = Bundle({}, {}, {}, {}, [])
    if not isinstance(data, dict):
        return bundle
    for key, raw in list(data.items())[:MAX_MIME_TYPES]:
        mime = clean_text(key, MAX_MIME_CHARS)
        value = clean_json(raw) if is_json_mime(mime) else join_lines(raw)
        value = clean_text(value) if isinstance(value, str) else clean_json(value)
        if _is_inline(value, inline_payload_bytes):
            if is_binary_mime(mime) and not isinstance(value, str):
                bundle.left_out.append(mime)
            else:
                bundle.data[mime] = value
            continue
        try:
            payload = encode_payload(mime, value)
        except ValueError:
            bundle.left_out.append(mime)
            continue
        if len(payload) > max_payload_bytes:
            bundle.left_out.append(mime)
            continue
        blob = make_blob(payload)
        bundle.blobs[mime] = blob
        bundle.payloads[blob.sha256] = payload
    bundle.metadata.update(_fold_metadata(metadata, inline_payload_bytes))
    return bundle


def _is_inline(value: Any, inline_payload_bytes: int) -> bool:
    if not isinstance(value, str):
        return len(msgspec.json.encode(value)) <= inline_payload_bytes
    if len(value) > inline_payload_bytes:
        return False
    return value.isascii() or len(value.encode()) <= inline_payload_bytes


def _fold_metadata(metadata: Any, max_bytes: int) -> dict[str, Any]:
    if not isinstance(metadata, dict) or not metadata:
        return {}
    cleaned: dict[str, Any] = clean_json(metadata)
    return cleaned if len(msgspec.json.encode(cleaned)) <= max_bytes else {}


def fold_traceback(lines: Any, max_chars: int) -> list[str]:
    """The traceback's lines; the middle of a very long one is left out, visibly."""
    if not isinstance(lines, list):
        return []
    cleaned = [clean_text(line, max_chars // 4) for line in lines]
    if sum(map(len, cleaned)) <= max_chars:
        return cleaned
    head: list[str] = []
    tail: list[str] = []
    used = 0
    for first, last in zip(cleaned, reversed(cleaned), strict=True):
        used += len(first) + len(last)
        if used > max_chars or len(head) + len(tail) + 2 > len(cleaned):
            break
        head.append(first)
        tail.append(last)
    left_out = len(cleaned) - len(head) - len(tail)
    return [*head, f"… {left_out} frames left out …", *reversed(tail)]
