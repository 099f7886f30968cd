"""The hub as a writer of output logs.

A document's log has one writer at a time: the node that holds its kernel, or the hub when no kernel lives. Each has a
generation of its own, given by the database; the log refuses whoever comes with numbers below its last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F

from kernels_app.bus.envelopes import RunNote, encode
from kernels_app.bus.identifiers import (
    RUNS_STREAM,
    CellId,
    DocumentId,
    RunId,
    StreamId,
    make_seq,
    run_log,
    run_topic,
)
from kernels_app.bus.operations import AnyOperation, Finished, RunStatus, encode_batch
from kernels_app.bus.transport import Publication
from kernels_app.errors import NotFound
from kernels_app.models import Kernel, KernelState, Run, RunState
from kernels_app.selectors.cells import milliseconds
from kernels_app.selectors.kernels import UNFINISHED_STATES, live_kernel
from notebooks_app.models import Document
from notebooks_app.wire import blocking_transport


def raise_generation(document_id: UUID, by: int) -> int:
    """The first of `by` fresh generations of the document's log. Inside a transaction: holds the document's row until
    its end, so that who starts a kernel and who writes without one wait for each other.

    Raises:
        NotFound: the document is gone.
    """
    updated = Document.objects.filter(pk=document_id).update(log_generation=F("log_generation") + by)
    if not updated:
        raise NotFound("There is no such notebook any more.")
    return Document.objects.values_list("log_generation", flat=True).get(pk=document_id) - by + 1


def numbered(operations: Sequence[AnyOperation], generation: int) -> list[AnyOperation]:
    """The operations with the sequence numbers of a generation, from its first."""
    return [
        msgspec.structs.replace(operation, seq=make_seq(generation, number))
        for number, operation in enumerate(operations, start=1)
    ]


def batch_publications(document_id: UUID, operations: list[AnyOperation]) -> list[Publication]:
    """What writes one batch: the log, the live topic, the note to the recorder."""
    key = DocumentId(str(document_id))
    last_seq = operations[-1].seq
    payload = encode_batch(operations)
    return [
        Publication(payload, log=run_log(key), entry_id=StreamId(f"{last_seq}-0"), topic=run_topic(key)),
        Publication(encode(RunNote(document_id=key, seq=last_seq)), log=RUNS_STREAM),
    ]


def write_without_kernel(document_id: UUID, make_operations: Callable[[], Sequence[AnyOperation]]) -> bool:
    """Writes operations in a generation of the hub's own, if the document has no live kernel. Not inside a transaction.

    `make_operations` is called in the transaction that found no kernel; their `seq` is given here. False: a kernel
    lives, or one was started meanwhile, and nothing was written: its node is the writer.

    Raises:
        TransportError: the wire is down; nothing was written.
        NotFound: the document is gone.
    """
    with transaction.atomic():
        generation = raise_generation(document_id, 1)
        if live_kernel(document_id) is not None:
            return False
        operations = numbered(make_operations(), generation)
    if not operations:
        return True
    entry_id, *_ = blocking_transport().write(batch_publications(document_id, operations))
    return entry_id is not None


def write_while_waiting(kernel: Kernel, make_operations: Callable[[], Sequence[AnyOperation]]) -> bool:
    """Writes operations for a kernel that waits for a place, in a generation of the hub's own.

    Not inside a transaction. False: it does not wait any more, and nothing was written.

    Raises:
        TransportError: the wire is down; nothing was written.
        NotFound: the document is gone.
    """
    if kernel.document_id is None:
        return False
    with transaction.atomic():
        generation = raise_generation(kernel.document_id, 1)
        if not Kernel.objects.filter(pk=kernel.pk, state=KernelState.PENDING, node=None).exists():
            return False
        operations = numbered(make_operations(), generation)
    entry_id, *_ = blocking_transport().write(batch_publications(kernel.document_id, operations))
    return entry_id is not None


def ending_operations(
    document_id: UUID, *, reason: str, has_died: bool, keep: UUID | None = None
) -> list[AnyOperation]:
    """`finished` for each unfinished run of the document, not for those of the kernel `keep`. Without numbers yet.

    `has_died`: the kernel ended by itself, not because a person wanted it so.
    """
    at = now_ms()
    running_status: RunStatus = "died" if has_died else "interrupted"
    queued_status: RunStatus = "not_run" if has_died else "cancelled"
    runs = Run.objects.filter(document_id=document_id, state__in=UNFINISHED_STATES).defer("source")
    if keep is not None:
        runs = runs.exclude(kernel_id=keep)
    operations: list[AnyOperation] = []
    for run in runs.order_by("queued_at", "position"):
        is_running = run.state == RunState.RUNNING
        operations.append(
            Finished(
                seq=0,
                at=at,
                cell_id=CellId(run.cell_id),
                run_id=RunId(str(run.pk)),
                status=running_status if is_running else queued_status,
                execution_count=run.execution_count,
                started_at=milliseconds(run.started_at),
                finished_at=at if is_running else None,
                reason=reason,
            )
        )
    return operations


def now_ms() -> int:
    return time.time_ns() // 1_000_000
