"""The queue for a place on a node: who starts next, and what those who wait are told."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog
from django.db import transaction

from kernels_app.bus.transport import TransportError
from kernels_app.errors import Unavailable
from kernels_app.models import Kernel
from kernels_app.runs.placement import NodeLoad, Want
from kernels_app.runs.waiting import next_places, turns
from kernels_app.selectors.nodes import nodes_up
from kernels_app.services.commands import open_log_of_waiting, send_start, send_waiting_runs
from kernels_app.services.notices import publish_notices, turn_notice
from kernels_app.services.places import assign
from kernels_app.services.waiting import node_loads, queue, turn_of, waiting_kernels
from notebooks_app.services.file_hints import send_kernels_hint

log = structlog.get_logger(__name__)

TELL_EVERY_S = 1.0
_told_s = -TELL_EVERY_S


def place_or_queue(kernel: Kernel, want: Want, loads: Sequence[NodeLoad]) -> None:
    """Starts the new kernel if there is room and nobody waits before it; else it waits.

    In the transaction that made its row.
    """
    is_first = not waiting_kernels().exclude(pk=kernel.pk).exists()
    if is_first and assign(kernel, want, loads):
        transaction.on_commit(lambda: send_start(kernel))
    else:
        transaction.on_commit(lambda: _enter(kernel))


def _enter(kernel: Kernel) -> None:
    fill_places()
    kernel.refresh_from_db(fields=["node", "fence", "log_generation", "state"])
    turn = turn_of(kernel)
    if turn is None:
        return
    log.info("kernel_waits", kernel_id=str(kernel.pk), position=turn.position)
    try:
        open_log_of_waiting(kernel, turn.sentence)
        if kernel.document_id is not None:
            publish_notices([(kernel.document_id, turn_notice(kernel.pk, turn))])
    except (TransportError, Unavailable) as error:
        log.info("waiting_not_told", kernel_id=str(kernel.pk), error=str(error))


def fill_places() -> int:
    """Starts the waiting kernels that there is room for now, in turn; how many. Not inside a transaction.

    Cheap when nobody waits. Called when a kernel ended, a node came, and periodically; any number of processes may.
    While the message server is away nothing happens: it is called again.
    """
    if not waiting_kernels().exists():
        return 0
    try:
        loads = node_loads(nodes_up())
    except Unavailable:
        return 0
    count = 0
    for waiting, load in next_places(queue(), loads):
        kernel = Kernel.objects.select_related("document", "project").filter(pk=waiting.kernel_id).first()
        if kernel is None:
            continue
        with transaction.atomic():
            is_placed = assign(kernel, waiting.want, [load])
        if is_placed:
            count += 1
            log.info("kernel_placed", kernel_id=str(kernel.pk), node_id=kernel.node_id)
            send_start(kernel)
            send_waiting_runs(kernel)
            send_kernels_hint(kernel.project_id)
    tell_positions()
    return count


def fill_places_soon() -> None:
    """`fill_places` after the commit: a kernel that ended may have made room."""
    transaction.on_commit(fill_places, robust=True)


def tell_positions() -> None:
    """Tells the pages of all that wait how far they are. A page that comes later is told when it connects.

    Once a second from each process, however many come and go meanwhile: where hundreds wait, telling all of them of
    each would be most of what the hub does. What changed since is told with the next change, or by the worker.
    """
    global _told_s
    now_s = time.monotonic()
    if now_s - _told_s < TELL_EVERY_S:
        return
    _told_s = now_s
    order = queue()
    if not order:
        return
    try:
        found = turns(order, node_loads(nodes_up()))
        documents = dict(waiting_kernels().exclude(document=None).values_list("pk", "document_id"))
        publish_notices(
            (documents[kernel_id], turn_notice(kernel_id, turn))
            for kernel_id, turn in found.items()
            if kernel_id in documents
        )
    except (TransportError, Unavailable) as error:
        log.info("positions_not_told", error=str(error))
