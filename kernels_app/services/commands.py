"""Commands that rows promise: starts, runs and stops on their way to nodes. Each may be sent again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal
from uuid import UUID

import structlog
from django.db.models import QuerySet

from kernels_app.bus.envelopes import CellSource, Execute, Limits, StartKernel, StopKernel
from kernels_app.bus.identifiers import CellId, DocumentId, KernelId, RunId
from kernels_app.bus.operations import AnyOperation, KernelChanged, Queued
from kernels_app.bus.transport import TransportError
from kernels_app.errors import NotFound
from kernels_app.models import LIVE_STATES, Kernel, Run, RunState
from kernels_app.runs.lives import EndCause
from kernels_app.services.delivery import command_publication, write_or_leave
from kernels_app.services.hub_log import (
    batch_publications,
    ending_operations,
    now_ms,
    numbered,
    write_while_waiting,
)

log = structlog.get_logger(__name__)

StopState = Literal["stopped", "culled", "killed"]
# A node tells of a kernel's use every 15 s at most: who was to end because nobody used it is asked once more.
QUIET_S = 30.0


def send_start(kernel: Kernel) -> None:
    """Opens the kernel's part of its document's output log, then asks its node to start it. Harmless when repeated.

    The hub speaks first, in the generation before the kernel's: runs of earlier kernels that nobody ended are ended,
    and the kernel is `pending`. If the kernel's node has written already, the log refuses that.
    """
    if kernel.node_id is None:
        return
    publications = []
    if kernel.document_id is not None:
        operations = numbered(_opening_operations(kernel, kernel.document_id), kernel.log_generation - 1)
        publications += batch_publications(kernel.document_id, operations)
    document = kernel.document
    command = StartKernel(
        fence=kernel.fence,
        kernel_id=KernelId(str(kernel.pk)),
        kernelspec_name=kernel.kernelspec_name,
        project_path=str(kernel.project_id),
        cwd=kernel.folder if document is None else _folder_of(document.path),
        environment=kernel.environment,
        limits=limits_of(kernel),
        document_id=None if document is None else DocumentId(str(document.pk)),
        log_generation=kernel.log_generation,
        session_file=kernel.session_file if document is None else document.path,
    )
    publications.append(command_publication(kernel.node_id, command))
    write_or_leave("start", kernel.pk, publications)


def limits_of(kernel: Kernel) -> Limits:
    """What its node keeps it to."""
    return Limits(
        memory_bytes=kernel.memory_limit_bytes,
        cpu_cores=kernel.cpu_limit_cores,
        process_count=kernel.process_limit,
    )


def open_log_of_waiting(kernel: Kernel, reason: str) -> None:
    """Says in the log of its document that the kernel waits for a place. Not inside a transaction.

    Raises:
        TransportError
    """
    if kernel.document_id is None:
        return
    document_id = kernel.document_id
    write_while_waiting(kernel, lambda: _opening_operations(kernel, document_id, reason))


def send_stop(
    kernel: Kernel, *, state: StopState = "stopped", reason: str = "", quiet_s: float | None = None
) -> None:
    """The stop command. Nothing for a kernel that no node has."""
    if kernel.node_id is None:
        return
    command = StopKernel(
        fence=kernel.fence,
        kernel_id=KernelId(str(kernel.pk)),
        state=state,
        reason=reason,
        quiet_s=quiet_s,
    )
    write_or_leave("stop", kernel.pk, [command_publication(kernel.node_id, command)])


def send_stop_again(kernel: Kernel) -> None:
    """As it was sent first, by its row."""
    is_culled = kernel.end_cause in (EndCause.IDLE, EndCause.LIFE)
    quiet_s = QUIET_S if kernel.end_cause == EndCause.IDLE else None
    send_stop(kernel, state="culled" if is_culled else "stopped", reason=kernel.reason, quiet_s=quiet_s)


def send_waiting_runs(kernel: Kernel) -> None:
    """Sends the runs again that the kernel's node has not taken. What it has it ignores."""
    send_runs(Run.objects.filter(kernel=kernel))


def send_runs(runs: QuerySet[Run]) -> None:
    """Sends those of the runs that no node has told of yet and whose kernel lives: a command a request, in order."""
    waiting = (
        runs.filter(state=RunState.QUEUED, is_taken=False, kernel__state__in=LIVE_STATES)
        .select_related("kernel")
        .order_by("queued_at", "position")
    )
    by_request: dict[tuple[UUID | None, str], list[Run]] = {}
    for run in waiting:
        by_request.setdefault((run.kernel_id, run.request_id), []).append(run)
    for requested in by_request.values():
        send_request(requested)


def send_request(runs: Sequence[Run]) -> None:
    """Sends the runs of one request, in order, to their kernel, which lives."""
    kernel = runs[0].kernel
    if kernel is None:
        return
    if kernel.node_id is None:
        _queue_without_node(kernel, runs)
        return
    command = Execute(
        fence=kernel.fence,
        kernel_id=KernelId(str(kernel.pk)),
        request_id=runs[0].request_id,
        cells=[CellSource(CellId(run.cell_id), RunId(str(run.pk)), run.source) for run in runs],
        stop_on_error=runs[0].stop_on_error,
    )
    write_or_leave("execute", kernel.pk, [command_publication(kernel.node_id, command)])


def _queue_without_node(kernel: Kernel, runs: Sequence[Run]) -> None:
    """The page shows them as queued; their rows keep the sources until a node has them."""
    at = now_ms()

    def make_operations() -> list[AnyOperation]:
        return [
            Queued(
                seq=0,
                at=at,
                cell_id=CellId(run.cell_id),
                run_id=RunId(str(run.pk)),
                source_sha256=run.source_sha256,
                is_placeless=True,
            )
            for run in runs
        ]

    try:
        write_while_waiting(kernel, make_operations)
    except (TransportError, NotFound) as error:
        log.info("queued_runs_not_shown", kernel_id=str(kernel.pk), error=str(error))


def _opening_operations(kernel: Kernel, document_id: UUID, reason: str = "") -> list[AnyOperation]:
    return [
        *ending_operations(document_id, reason="Its kernel was replaced.", has_died=False, keep=kernel.pk),
        KernelChanged(
            seq=0,
            at=now_ms(),
            kernel_id=KernelId(str(kernel.pk)),
            kernelspec_name=kernel.kernelspec_name,
            state="pending",
            reason=reason,
        ),
    ]


def _folder_of(path: str) -> str:
    folder = str(PurePosixPath(path).parent)
    return "" if folder == "." else folder
