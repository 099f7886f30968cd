"""The end of a kernel as the hub tells it, when no node does: its row, its runs, and a word to who is watching."""

from __future__ import annotations

import structlog
from django.db import transaction
from django.utils import timezone

from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.operations import KernelChanged, KernelStateName
from kernels_app.errors import NotFound
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.services.hub_log import (
    batch_publications,
    ending_operations,
    now_ms,
    numbered,
    raise_generation,
)
from kernels_app.services.queue import fill_places_soon
from notebooks_app.services.file_hints import send_kernels_hint
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

_TRIES = 3


class _LogRefused(Exception):
    """The log has a later generation than we were given: ask for another."""


def end_kernel(kernel: Kernel, *, state: KernelStateName, reason: str, has_died: bool = True) -> bool:
    """Ends a kernel that its node cannot end: its row, its unfinished runs, and a word to who is watching.

    Without `has_died` its runs were given up by a person.

    The log is written before the commit: whoever is killed in between does it again. False when it had ended already.

    Raises:
        TransportError: the wire is down; nothing changed.
    """
    for attempt in range(_TRIES):
        try:
            with transaction.atomic():
                return _end(kernel, state=state, reason=reason, has_died=has_died, generations=attempt + 1)
        except _LogRefused:
            continue
    log.error("log_refuses_hub", kernel_id=str(kernel.pk), document_id=str(kernel.document_id))
    return False


def _end(kernel: Kernel, *, state: KernelStateName, reason: str, has_died: bool, generations: int) -> bool:
    generation = None
    if kernel.document_id is not None:
        try:
            generation = raise_generation(kernel.document_id, generations) + generations - 1
        except NotFound:
            generation = None
    ended = Kernel.objects.filter(pk=kernel.pk, fence=kernel.fence, state__in=LIVE_STATES).update(
        state=state, reason=reason[:500], ended_at=timezone.now(), ends_at=None
    )
    if not ended:
        return False
    if generation is not None and kernel.document_id is not None:
        operations = numbered(
            [
                *ending_operations(kernel.document_id, reason=reason, has_died=has_died),
                KernelChanged(
                    seq=0,
                    at=now_ms(),
                    kernel_id=KernelId(str(kernel.pk)),
                    kernelspec_name=kernel.kernelspec_name,
                    state=state,
                    reason=reason,
                ),
            ],
            generation,
        )
        entry_id, *_ = blocking_transport().write(batch_publications(kernel.document_id, operations))
        if entry_id is None:
            raise _LogRefused
    send_kernels_hint(kernel.project_id)
    fill_places_soon()
    return True
