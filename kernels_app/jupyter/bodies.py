"""Fields of a request's JSON body, as they may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from notebooks_app.jupyter.endpoints import JupyterError


def optional_text(body: Mapping[str, Any], name: str) -> str | None:
    """None when it is absent, null or empty. Raises JupyterError for what is no text."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise JupyterError(400, f"Not a text: {name}")
    return value


def optional_uuid(body: Mapping[str, Any], name: str) -> UUID | None:
    """None when it is absent, null or empty. Raises JupyterError for what is no UUID."""
    text = optional_text(body, name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise JupyterError(400, f"Not a UUID: {name}") from error
