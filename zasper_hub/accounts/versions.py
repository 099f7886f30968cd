"""Which version of a thing somebody has seen, so that one edit does not undo another's unseen. Pure."""

from __future__ import annotations

import hashlib
import json

from zasper_hub.accounts.errors import Conflict


def version_of(*values: object) -> str:
    """The same for the same values, else another one."""
    text = json.dumps(values, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_version(seen: str | None, now: str) -> None:
    """Nothing when what the caller has seen is what there is, or they do not say.

    Raises:
        Conflict: with the version there is now.
    """
    if seen is not None and seen != now:
        raise Conflict(
            "Somebody else changed this meanwhile. Look at it again before you change it.", version=now
        )
