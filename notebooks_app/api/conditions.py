"""HTTP's conditions and ranges (RFC 9110) as the files API understands them. Pure."""

from __future__ import annotations

import re
from typing import Final

from zasper_hub.accounts.errors import BadRequest

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
ANY: Final = "*"


def tags_in(header: str | None) -> list[str]:
    """The entity tags of an If-Match or If-None-Match header, `["*"]` for any; empty without the header.

    Raises BadRequest for what is neither.
    """
    if header is None or not header.strip():
        return []
    if header.strip() == ANY:
        return [ANY]
    tags = []
    for part in header.split(","):
        match = _TAG.fullmatch(part.strip())
        if match is None:
            raise BadRequest('A condition is `*` or a file\'s ETag in quotes, as in `If-Match: "…"`.')
        tags.append(match.group(1))
    return tags


def requested_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """First and last byte to send of a `Range` header; None for all of it (no header, or more than one range).

    Raises ValueError when no byte of the range is there.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first_text, last_text = match.groups()
    if first_text == "":  # the last so many bytes
        first, last = max(0, size_bytes - int(last_text)), size_bytes - 1
    else:
        first, last = int(first_text), min(int(last_text or size_bytes - 1), size_bytes - 1)
        if last_text and int(last_text) < first:
            return None  # not a range at all: to be ignored
    if first > last:
        raise ValueError("no such bytes")
    return first, last
