"""How kernels end that cannot say so themselves: their node was lost, restarted, or never answered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import structlog
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from kernels_app.bus.envelopes import KernelEvent, NodeStarted, NodeStopped, StopKernel, StopRefused
from kernels_app.bus.identifiers import DocumentId, KernelId, run_log
from kernels_app.bus.operations import AnyOperation, KernelStateName
from kernels_app.errors import NotFound
from kernels_app.models import DEMO_FENCE, LIVE_STATES, Kernel, KernelState, Node, Run, RunState
from kernels_app.runs.footprint import moment
from kernels_app.runs.lives import EndCause
from kernels_app.selectors.kernels import STAYING_STATES, UNFINISHED_STATES, live_kernel
from kernels_app.selectors.metrics import observe_start
from kernels_app.services.delivery import command_publication, write_or_leave
from kernels_app.services.hub_log import ending_operations, write_without_kernel
from kernels_app.services.last_words import end_kernel
from kernels_app.services.notices import tell_ending
from kernels_app.services.places import give_back
from kernels_app.services.queue import fill_places
from notebooks_app.models import Document
from notebooks_app.services.file_hints import send_kernels_hint
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

ENDED_STATES: frozenset[str] = frozenset(set(KernelState.values) - set(LIVE_STATES))
# A run of an ended kernel is given this long to be ended by what its node wrote.
LEFTOVER_GRACE = timedelta(seconds=10)


def record_node_started(event: NodeStarted, info: dict[str, object]) -> None:
    """A node's new life: what it did not take over from its earlier ones is lost."""
    node, _ = Node.objects.get_or_create(node_id=event.node_id)
    if event.fence < node.fence:
        return  # an old event, told again
    this_life = Node.objects.filter(pk=node.pk, fence__lte=event.fence)
    this_life.update(fence=event.fence, info=info, last_seen_at=timezone.now())
    # One that is drained goes on being drained, until it is stopped in good order or an administrator ends it.
    this_life.exclude(state="draining").update(state="up")
    adopted = {UUID(kernel_id) for kernel_id in event.adopted}
    Kernel.objects.filter(node=node, pk__in=adopted, state__in=LIVE_STATES, fence__lt=event.fence).update(
        fence=event.fence
    )
    earlier = Kernel.objects.filter(node=node, fence__lt=event.fence, state__in=LIVE_STATES)
    end_kernels_of_node(earlier.exclude(pk__in=adopted), "The node that ran the kernel was restarted.")
    # Kernels that were declared lost while their node could not be reached, and that it still has.
    for kernel in Kernel.objects.filter(pk__in=adopted).exclude(state__in=LIVE_STATES):
        command = StopKernel(fence=event.fence, kernel_id=KernelId(str(kernel.pk)))
        write_or_leave("stop", kernel.pk, [command_publication(event.node_id, command)])
    fill_places()


def record_node_stopped(event: NodeStopped) -> None:
    kernels = Kernel.objects.filter(node_id=event.node_id, fence__lte=event.fence, state__in=LIVE_STATES)
    end_kernels_of_node(kernels, "The node that ran the kernel was shut down.", state="stopped")
    # Last: what lives on a node that is marked is ended with another reason.
    Node.objects.filter(pk=event.node_id, fence__lte=event.fence).update(state="lost", drain_at=None)


def record_node_lost(node_id: str, fence: int) -> None:
    """A node whose lease was taken, with this number: no life of it up to there may act any more, its kernels are lost.

    Marked first, so that it gets no more of them. What an interruption leaves is for `end_kernels_of_lost_nodes`.
    """
    Node.objects.filter(pk=node_id, fence__lte=fence).update(state="lost", drain_at=None, fence=fence)
    end_kernels_of_lost_nodes()


def end_kernels_of_lost_nodes() -> None:
    """Ends what still lives on nodes that are marked as lost. Called periodically.

    Raises:
        TransportError: the wire is down; call it again.
    """
    kernels = Kernel.objects.filter(node__state="lost", fence__lte=F("node__fence"), state__in=LIVE_STATES)
    kernels = kernels.exclude(fence=DEMO_FENCE)
    if kernels.exists():
        end_kernels_of_node(kernels, "The node that ran the kernel does not answer any more.")


def end_kernels_of_node(kernels: QuerySet[Kernel], reason: str, *, state: KernelStateName = "lost") -> None:
    """Ends kernels of a node that is gone. Those it never began to start wait for a place on another.

    Raises:
        TransportError: the wire is down; call it again.
    """
    for kernel in kernels:
        if kernel.state != KernelState.PENDING or not give_back(kernel):
            end_kernel(kernel, state=state, reason=reason)
    fill_places()


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
        known.update(state=event.state, reason=event.reason[:500], ended_at=now, ends_at=None)
        fill_places()
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
        if not is_changed and event.state in ("idle", "busy"):
            # The state is the log's to tell; that it is used is told here, also when the state is the same again.
            used_at = min(moment(event.at) or now, now)
            known.exclude(state=KernelState.STOPPING).filter(last_activity_at__lt=used_at).update(
                last_activity_at=used_at
            )


def record_stop_refused(event: StopRefused) -> None:
    """A kernel that was to end because nobody used it is used after all: it goes on."""
    try:
        kernel_id = UUID(event.kernel_id)
    except ValueError:
        return
    goes_on = Kernel.objects.filter(
        pk=kernel_id,
        node_id=event.node_id,
        fence__lte=event.fence,
        state=KernelState.STOPPING,
        end_cause=EndCause.IDLE,
    ).update(
        state=event.state,
        reason="",
        end_cause="",
        ends_at=None,
        last_activity_at=timezone.now(),
    )
    if goes_on:
        kernel = Kernel.objects.get(pk=kernel_id)
        tell_ending(kernel)
        send_kernels_hint(kernel.project_id)


def record_edit(document_id: UUID) -> None:
    """Somebody changed the notebook: its kernel is in use."""
    Kernel.objects.filter(document_id=document_id, state__in=STAYING_STATES).update(
        last_activity_at=timezone.now()
    )


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
