"""Hints to the open pages of a project: something changed, look again. A lost one costs a refetch."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from zasper_hub.accounts.services.hints import send_hint


def hint_group(project_id: UUID | str) -> str:
    """The channel layer's group of the sockets that look at a project."""
    return f"project.{project_id}"


def send_files_hint(project_id: UUID | str, folder: str) -> None:
    """Tells who looks at the project that something in `folder` ('' or '.': its top) changed, after the commit."""
    _send(project_id, {"type": "files", "path": "" if folder == "." else folder})


def send_kernels_hint(project_id: UUID | str) -> None:
    """Tells who looks at the project that a kernel came, went or changed its state, after the commit."""
    _send(project_id, {"type": "kernels"})


def _send(project_id: UUID | str, hint: dict[str, Any]) -> None:
    send_hint(hint_group(project_id), {"type": "hint", "hint": hint})
