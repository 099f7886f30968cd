"""Hints to the open pages of a project: something changed, look again. A lost one costs a refetch."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = structlog.get_logger(__name__)


def hint_group(project_id: UUID | str) -> str:
    """The channel layer's group of the sockets that look at a project."""
    return f"project.{project_id}"


def send_files_hint(project_id: UUID | str, folder: str) -> None:
    """Tells who looks at the project that something in `folder` ('' or '.': its top) changed, after the commit."""
    _send_after_commit(project_id, {"type": "files", "path": "" if folder == "." else folder})


def send_kernels_hint(project_id: UUID | str) -> None:
    """Tells who looks at the project that a kernel came, went or changed its state, after the commit."""
    _send_after_commit(project_id, {"type": "kernels"})


def _send_after_commit(project_id: UUID | str, hint: dict[str, Any]) -> None:
    def send() -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        try:
            async_to_sync(layer.group_send)(hint_group(project_id), {"type": "hint", "hint": hint})
        except Exception as error:  # whatever the layer's backend raises: a hint is never worth a failure
            log.info("hint_lost", project_id=str(project_id), kind=type(error).__name__)

    transaction.on_commit(send)
