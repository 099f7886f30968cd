"""Writes down what an administrator may have to look up."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from zasper_hub.accounts.models import AuditEvent, User


def record(
    action: str,
    *,
    actor: User | None,
    target: str = "",
    address: str | None = None,
    team_id: int | None = None,
    **details: Any,
) -> None:
    """Adds an event to the audit log, in the caller's transaction.

    `target` is `kind:id`; `details` holds names and numbers, never content, passwords or tokens. `team_id`: whose
    administrators see the event. While an administrator acts as `actor`, both are noted.
    """
    acted_by = None if actor is None else actor.acted_by
    AuditEvent.objects.create(
        actor=actor,
        actor_name="" if actor is None else actor.username,
        acted_by=acted_by,
        acted_by_name="" if acted_by is None else acted_by.username,
        action=action,
        target=target[:200],
        team_id=team_id,
        address=address or None,
        details=details,
    )


def address_of(request: HttpRequest | None) -> str | None:
    """The client's address as the server saw it; None over a Unix socket."""
    return request.META.get("REMOTE_ADDR") or None if request is not None else None
