"""What is put right periodically: lost nodes, commands that got lost, mailboxes of processes that are gone."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db.models import Q
from django.utils import timezone

from kernels_app.bus.identifiers import (
    NODE_KERNELS_KEY,
    NODES_KEY,
    DocumentId,
    Mailbox,
    NodeId,
    mailbox_stream,
    node_lease,
    run_log,
    split_seq,
)
from kernels_app.bus.operations import KernelStateName
from kernels_app.models import DEMO_FENCE, LIVE_STATES, DailyUsage, Kernel, KernelState, Node, Run, RunState
from kernels_app.relay.mailbox import MAILBOXES_KEY
from kernels_app.runs.lives import EndCause
from kernels_app.selectors.kernels import STAYING_STATES
from kernels_app.selectors.nodes import listed_kernels, nodes_up
from kernels_app.services.commands import send_start, send_stop_again, send_waiting_runs
from kernels_app.services.endings import end_kernels_of_lost_nodes, record_node_lost
from kernels_app.services.hub_log import now_ms
from kernels_app.services.kernels import stop_kernels
from kernels_app.services.last_words import end_kernel
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)

# A node renews its lease of 15 s. After a restart of the message server it needs a moment to come back (it tries twice
# a second): only a lease that is missing at two looks this far apart is taken. With a look every 5 s its people are
# told within 30 s.
MISSING_FOR_S = 4
REAPER = "hub-reaper"
SEND_AGAIN_AFTER = timedelta(seconds=10)
GIVE_UP_START_AFTER = timedelta(minutes=2)
GIVE_UP_STOP_AFTER = timedelta(minutes=1)
RUNS_ARE_KEPT = timedelta(days=90)
USAGE_IS_KEPT = timedelta(days=400)  # a year, and a month in which to look at it
RUNS_DELETED_AT_ONCE = 1_000
SILENT_MAILBOX_S = 600  # ten missed signs of life
SEEN_EVERY = timedelta(seconds=30)


def reap_lost_nodes() -> list[str]:
    """Declares nodes lost that do not hold their lease any more, by taking it: from then on they cannot act.

    Their ids. Called periodically.

    Raises:
        TransportError
    """
    transport = blocking_transport()
    lost: list[str] = []
    now = timezone.now()
    nodes = Node.objects.exclude(state="lost").values_list("node_id", "info", "last_seen_at")
    for name, info, last_seen_at in nodes:
        if info.get("demo"):  # rows to look at (`manage.py generate_demo`): they were never on the wire
            continue
        node_id = NodeId(name)
        mark = f"{node_lease(node_id)}:missing"
        if transport.read_lease(node_lease(node_id)) is not None:
            transport.delete_value(mark)
            if last_seen_at is None or now - last_seen_at > SEEN_EVERY:
                Node.objects.filter(pk=node_id).update(last_seen_at=now)
            continue
        missing_since = transport.get_value(mark)
        if missing_since is None:
            transport.put_value(mark, str(now_ms()).encode(), ttl_s=300)
            continue
        if now_ms() - int(missing_since) < MISSING_FOR_S * 1000:
            continue
        fence = transport.acquire_lease(node_lease(node_id), holder=REAPER, ttl_s=5)
        if fence is None:
            continue  # it came back just now
        transport.delete_field(NODES_KEY, node_id)
        transport.delete_field(NODE_KERNELS_KEY, node_id)
        record_node_lost(node_id, fence)
        transport.delete_value(mark)
        transport.release_lease(node_lease(node_id), holder=REAPER, fence=fence)
        log.warning("node_lost", node_id=node_id)
        lost.append(node_id)
    end_kernels_of_lost_nodes()
    return lost


def send_again() -> None:
    """Sends commands again that their node shows no sign of having; gives up those that never get an answer.

    Called periodically.

    Raises:
        TransportError
    """
    now = timezone.now()
    up = {(node.node_id, node.fence) for node in nodes_up()}
    # `last_activity_at`: when it was made, and again when it got its place.
    placed = Kernel.objects.filter(state=KernelState.PENDING, last_activity_at__lt=now - SEND_AGAIN_AFTER)
    for kernel in placed.exclude(node=None).select_related("document"):
        if kernel.last_activity_at is not None and kernel.last_activity_at < now - GIVE_UP_START_AFTER:
            if not (_is_listed(kernel) or _has_written(kernel)):
                end_kernel(
                    kernel, state="failed", reason="The kernel did not start: its node does not answer."
                )
        elif (kernel.node_id, kernel.fence) in up:
            send_start(kernel)
    stopping = Kernel.objects.filter(state=KernelState.STOPPING, last_activity_at__lt=now - SEND_AGAIN_AFTER)
    for kernel in stopping:
        is_overdue = (
            kernel.last_activity_at is not None and kernel.last_activity_at < now - GIVE_UP_STOP_AFTER
        )
        # Who asked for it gets it. But an idle kernel that its node still has after so long is used after all, and
        # its refusal was not recorded yet.
        if is_overdue and not (kernel.end_cause == EndCause.IDLE and _is_listed(kernel)):
            state: KernelStateName = "culled" if kernel.end_cause in ("idle", "life") else "stopped"
            end_kernel(kernel, state=state, reason=kernel.reason or "Stopped; its node did not confirm it.")
        elif (kernel.node_id, kernel.fence) in up:
            send_stop_again(kernel)
    waiting = Run.objects.filter(
        state=RunState.QUEUED,
        is_taken=False,
        queued_at__lt=now - SEND_AGAIN_AFTER,
        kernel__state__in=("idle", "busy"),
    )
    for kernel in Kernel.objects.filter(pk__in=waiting.values("kernel")):
        send_waiting_runs(kernel)


def _is_listed(kernel: Kernel) -> bool:
    """Whether its node says that it has the kernel; its row may not say so for want of a recorder."""
    listed = listed_kernels().get(kernel.node_id or "")
    return listed is not None and listed.fence == kernel.fence and str(kernel.pk) in listed.kernel_ids


def _has_written(kernel: Kernel) -> bool:
    """Whether the kernel's node has begun its part of the document's output log: the rest is in there."""
    if kernel.document_id is None:
        return False
    last_id = blocking_transport().last_id(run_log(DocumentId(str(kernel.document_id))))
    return last_id is not None and split_seq(int(last_id.partition("-")[0]))[0] == kernel.log_generation


def stop_kernels_of_nobody() -> int:
    """Stops kernels of accounts that were disabled or deleted, and ends those whose node was deleted; how many.

    Called periodically, for whatever way they came to that.

    Raises:
        TransportError
    """
    staying = Kernel.objects.filter(state__in=STAYING_STATES).exclude(fence=DEMO_FENCE)
    reason = "Stopped because the account that started it was disabled or deleted."
    count = stop_kernels(staying.filter(Q(user=None) | Q(user__is_active=False)), reason=reason)
    nowhere = Kernel.objects.filter(state__in=LIVE_STATES, node=None).exclude(state=KernelState.PENDING)
    for kernel in nowhere:
        count += end_kernel(kernel, state="lost", reason="The node that ran the kernel was removed.")
    return count


def forget_old_runs(now: datetime) -> int:
    """Deletes runs that ended `RUNS_ARE_KEPT` ago, and usage older than `USAGE_IS_KEPT`; how many runs.

    The outputs stay, they are the notebook's. In parts, so that nobody who writes waits long.
    """
    DailyUsage.objects.filter(day__lt=(now - USAGE_IS_KEPT).date()).delete()
    old = Run.objects.filter(finished_at__lt=now - RUNS_ARE_KEPT).order_by("finished_at")
    count = 0
    while part := list(old.values_list("pk", flat=True)[:RUNS_DELETED_AT_ONCE]):
        Run.objects.filter(pk__in=part).delete()
        count += len(part)
    return count


def forget_silent_mailboxes() -> list[str]:
    """Deletes the mailboxes of web processes that are gone; their names. Called periodically.

    Raises:
        TransportError
    """
    transport = blocking_transport()
    gone: list[str] = []
    for name, value in transport.get_fields(MAILBOXES_KEY).items():
        seen_ms = int(value) if value.isdigit() else 0
        if now_ms() - seen_ms > SILENT_MAILBOX_S * 1000:
            transport.delete_log(mailbox_stream(Mailbox(name)))
            transport.delete_field(MAILBOXES_KEY, name)
            gone.append(name)
    return gone
