"""How kernels end that cannot say so themselves: their node was lost, restarted, or never answered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from kernels_app.bus.envelopes import KernelEvent, NodeStarted, NodeStopped, StopKernel
from kernels_app.bus.identifiers import DocumentId, KernelId, run_log
from kernels_app.bus.operations import AnyOperation, KernelChanged, KernelStateName
from kernels_app.errors import NotFound
from kernels_app.models import LIVE_STATES, Kernel, KernelState, Node, Run, RunState
from kernels_app.selectors.kernels import UNFINISHED_STATES, live_kernel
from kernels_app.selectors.metrics import observe_start
from kernels_app.services.delivery import command_publication, write_or_leave
from kernels_app.services.hub_log import (
    batch_publications,
    now_ms,
    numbered,
    raise_generation,
    write_without_kernel,
)
from kernels_app.services.kernels import ending_operations
from notebooks_app.models import Document
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

ENDED_STATES: frozenset[str] = frozenset(set(KernelState.values) - set(LIVE_STATES))
# A run of an ended kernel is given this long to be ended by what its node wrote.
LEFTOVER_GRACE = timedelta(seconds=10)
_TRIES = 3


class _LogRefused(Exception):
    """The log has a later generation than we were given: ask for another."""


def end_kernel(kernel: Kernel, *, state: KernelStateName, reason: str) -> bool:
    """Ends a kernel that its node cannot end: its row, its unfinished runs, and a word to who is watching.

    The log is written before the commit: whoever is killed in between does it again. False when it had ended already.

    Raises:
        TransportError: the wire is down; nothing changed.
    """
    for attempt in range(_TRIES):
        try:
            with transaction.atomic():
                return _end(kernel, state=state, reason=reason, generations=attempt + 1)
        except _LogRefused:
            continue
    log.error("log_refuses_hub", kernel_id=str(kernel.pk), document_id=str(kernel.document_id))
    return False


def _end(kernel: Kernel, *, state: KernelStateName, reason: str, generations: int) -> bool:
    generation = None
    if kernel.document_id is not None:
        try:
            generation = raise_generation(kernel.document_id, generations) + generations - 1
        except NotFound:
            generation = None
    ended = Kernel.objects.filter(pk=kernel.pk, fence=kernel.fence, state__in=LIVE_STATES).update(
        state=state, reason=reason[:500], ended_at=timezone.now()
    )
    if not ended:
        return False
    if generation is not None and kernel.document_id is not None:
        operations = numbered(
            [
                *ending_operations(kernel.document_id, reason=reason, has_died=True),
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
    return True


def record_node_started(event: NodeStarted, info: dict[str, object]) -> None:
    """A node's new life: what it did not take over from its earlier ones is lost."""
    node, _ = Node.objects.get_or_create(node_id=event.node_id)
    if event.fence < node.fence:
        return  # an old event, told again
    Node.objects.filter(pk=node.pk, fence__lte=event.fence).update(
        fence=event.fence, state="up", info=info, last_seen_at=timezone.now()
    )
    adopted = {UUID(kernel_id) for kernel_id in event.adopted}
    Kernel.objects.filter(node=node, pk__in=adopted, state__in=LIVE_STATES, fence__lt=event.fence).update(
        fence=event.fence
    )
    for kernel in Kernel.objects.filter(node=node, fence__lt=event.fence, state__in=LIVE_STATES).exclude(
        pk__in=adopted
    ):
        end_kernel(kernel, state="lost", reason="The node that ran the kernel was restarted.")
    # Kernels that were declared lost while their node could not be reached, and that it still has.
    for kernel in Kernel.objects.filter(pk__in=adopted).exclude(state__in=LIVE_STATES):
        command = StopKernel(fence=event.fence, kernel_id=KernelId(str(kernel.pk)))
        write_or_leave("stop", kernel.pk, [command_publication(event.node_id, command)])


def record_node_stopped(event: NodeStopped) -> None:
    Node.objects.filter(pk=event.node_id, fence__lte=event.fence).update(state="lost")
    for kernel in Kernel.objects.filter(node_id=event.node_id, fence__lte=event.fence, state__in=LIVE_STATES):
        end_kernel(kernel, state="stopped", reason="The node that ran the kernel was shut down.")


def record_node_lost(node_id: str) -> None:
    """A node whose lease was taken: it may not act any more, its kernels are lost."""
    Node.objects.filter(pk=node_id).update(state="lost")
    for kernel in Kernel.objects.filter(node_id=node_id, state__in=LIVE_STATES):
        end_kernel(kernel, state="lost", reason="The node that ran the kernel does not answer any more.")


def record_kernel_event(event: KernelEvent) -> None:
    """A kernel's state, as its node tells it.

    What a document's kernel does while it lives is told by the output log, in order with the outputs; here only that it
    came up, or ended.
    """
    try:
        kernel_id = UUID(event.kernel_id)
    except ValueError:
        return
    known = Kernel.objects.filter(
        pk=kernel_id, node_id=event.node_id, fence__lte=event.fence, state__in=LIVE_STATES
    )
    now = timezone.now()
    if event.state == "lost":  # its node never had it, so nobody wrote that to the log
        kernel = known.first()
        if kernel is not None:
            end_kernel(kernel, state="lost", reason=event.reason or "The node does not know the kernel.")
    elif event.state in ENDED_STATES:
        known.update(state=event.state, reason=event.reason[:500], ended_at=now)
    elif event.state != "pending":
        # A kernel that is being stopped, for one, keeps that.
        changeable = known.filter(
            Q(state__in=(KernelState.PENDING, KernelState.STARTING))
            | Q(document_id__isnull=True) & ~Q(state=KernelState.STOPPING)
        )
        is_changed = changeable.update(state=event.state, last_activity_at=now)
        if (
            is_changed
            and event.state in ("idle", "busy")
            and known.filter(ready_at=None).update(ready_at=now)
        ):
            observe_start(kernel_id)


def end_leftover_runs() -> int:
    """Ends runs whose kernel has ended without ending them (its node was killed at the wrong moment); how many.

    Called periodically. Only when the document's whole log is in the rows: what its node wrote comes first.

    Raises:
        TransportError
    """
    leftovers = Run.objects.filter(state__in=UNFINISHED_STATES).exclude(kernel__state__in=LIVE_STATES)
    leftovers = leftovers.exclude(kernel__ended_at__gt=timezone.now() - LEFTOVER_GRACE)
    leftovers = leftovers.exclude(queued_at__gt=timezone.now() - LEFTOVER_GRACE)
    run_ids_by_document: dict[UUID, list[UUID]] = {}
    for document_id, run_id in leftovers.values_list("document_id", "pk"):
        run_ids_by_document.setdefault(document_id, []).append(run_id)
    count = 0
    for document_id, run_ids in run_ids_by_document.items():
        if _is_log_ahead(document_id):
            continue
        count += len(run_ids)
        _end_runs(document_id, run_ids)
    return count


def _end_runs(document_id: UUID, run_ids: Collection[UUID]) -> None:
    def make_operations() -> list[AnyOperation]:
        return ending_operations(document_id, reason="The kernel had ended.", has_died=True)

    try:
        if write_without_kernel(document_id, make_operations):
            return
    except NotFound:
        return
    # Another kernel is the writer now; its opening word did not reach them. Their rows still must not stay open.
    if live_kernel(document_id) is not None:
        Run.objects.filter(pk__in=run_ids, state__in=UNFINISHED_STATES).update(
            state=RunState.DIED, finished_at=timezone.now()
        )


def _is_log_ahead(document_id: UUID) -> bool:
    last_id = blocking_transport().last_id(run_log(DocumentId(str(document_id))))
    log_seq = Document.objects.filter(pk=document_id).values_list("log_seq", flat=True).first()
    return last_id is not None and log_seq is not None and int(last_id.partition("-")[0]) > log_seq
