"""Start, stop, interrupt, restart and switch kernels."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from kernels_app.bus.envelopes import (
    InterruptKernel,
    Limits,
    NodeInfo,
    RestartKernel,
    StartKernel,
    StopKernel,
)
from kernels_app.bus.identifiers import CellId, DocumentId, KernelId, RunId
from kernels_app.bus.operations import AnyOperation, Finished, KernelChanged
from kernels_app.errors import KernelNotRunning, KernelStopping
from kernels_app.models import LIVE_STATES, Kernel, KernelState, Node, Run, RunState
from kernels_app.runs.placement import place
from kernels_app.selectors.cells import milliseconds
from kernels_app.selectors.kernels import UNFINISHED_STATES, last_kernelspec_name, live_kernel
from kernels_app.selectors.nodes import nodes_up
from kernels_app.selectors.notebooks import live_notebook
from kernels_app.services.delivery import command_publication, deliver, write_or_leave
from kernels_app.services.hub_log import batch_publications, now_ms, numbered, raise_generation
from kernels_app.services.reservation import choose_allowed, reserve
from notebooks_app.models import Document, Project
from notebooks_app.services.file_hints import send_kernels_hint
from zasper_hub.accounts.models import User
from zasper_hub.accounts.selectors.quotas import effective_quotas

StopState = Literal["stopped", "culled"]
# Live, and not on the way out.
_STAYING_STATES = tuple(state for state in LIVE_STATES if state != KernelState.STOPPING)


def start_kernel(*, user: User, document: Document, kernelspec_name: str | None = None) -> Kernel:
    """The document's live kernel, started if there is none (then of the wanted, or the fitting, kernelspec).

    The row is `pending` and the command goes out when the transaction commits. Who starts it is settled by the
    database: everyone who asks at once gets the same row.

    Raises:
        NoNode, UnknownKernelspec, QuotaExceeded, KernelStopping, Unavailable
    """
    kernel = live_kernel(document.pk)
    if kernel is None:
        node, name = _choose(user, document, kernelspec_name)
        with transaction.atomic():
            kernel = _create(user=user, document=document, node=node, kernelspec_name=name)
    if kernel.state == KernelState.STOPPING:
        raise KernelStopping
    return kernel


def switch_kernelspec(*, user: User, document: Document, kernelspec_name: str) -> Kernel:
    """A new kernel of this kernelspec in place of the document's kernel; that one itself if it is of it already.

    Raises: as `start_kernel`.
    """
    current = live_kernel(document.pk)
    if current is None or (
        current.kernelspec_name == kernelspec_name and current.state != KernelState.STOPPING
    ):
        return start_kernel(user=user, document=document, kernelspec_name=kernelspec_name)
    node, name = _choose(user, document, kernelspec_name)
    with transaction.atomic():
        Kernel.objects.filter(pk=current.pk, state__in=LIVE_STATES).update(
            state=KernelState.STOPPED,
            reason=f"Replaced by a kernel of {name}.",
            ended_at=timezone.now(),
        )
        if current.node_id is not None:
            stop = command_publication(
                current.node_id, StopKernel(fence=current.fence, kernel_id=KernelId(str(current.pk)))
            )
            transaction.on_commit(lambda: write_or_leave("stop", current.pk, [stop]))
        return _create(user=user, document=document, node=node, kernelspec_name=name)


def stop_kernel(kernel: Kernel, *, state: StopState = "stopped", reason: str = "") -> bool:
    """Asks the kernel's node to end it, as `state`. False when it has ended or is being stopped already."""
    with transaction.atomic():
        # last_activity_at: a stop that gets no answer is sent again some time after it.
        stopped = Kernel.objects.filter(pk=kernel.pk, state__in=_STAYING_STATES).update(
            state=KernelState.STOPPING, reason=reason, last_activity_at=timezone.now()
        )
        if not stopped:
            return False
        transaction.on_commit(lambda: send_stop(kernel, state=state, reason=reason))
    return True


def stop_project_kernels(project: Project) -> None:
    """Ends all kernels of a project that is being deleted; in the caller's transaction."""
    for kernel in Kernel.objects.filter(project=project, state__in=_STAYING_STATES):
        stop_kernel(kernel, reason="Its project was deleted.")


def send_stop(kernel: Kernel, *, state: StopState = "stopped", reason: str = "") -> None:
    """The stop command (again). Nothing for a kernel that no node has."""
    if kernel.node_id is None:
        return
    command = StopKernel(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk)), state=state, reason=reason)
    write_or_leave("stop", kernel.pk, [command_publication(kernel.node_id, command)])


def interrupt_kernel(document: Document) -> Kernel:
    """Interrupts what runs; what is queued behind it is cancelled.

    Raises:
        KernelNotRunning, Unavailable
    """
    kernel = require_kernel(document)
    deliver(kernel, InterruptKernel(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk))))
    return kernel


def restart_kernel(*, user: User, document: Document) -> Kernel:
    """A new process for the document's kernel; a new kernel, of the same kernelspec, when it had ended.

    Raises: as `start_kernel`.
    """
    kernel = live_kernel(document.pk)
    if kernel is None:
        return start_kernel(user=user, document=document)
    if kernel.state == KernelState.STOPPING:
        raise KernelStopping
    deliver(kernel, RestartKernel(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk))))
    return kernel


def require_kernel(document: Document) -> Kernel:
    """The document's live kernel. Raises KernelNotRunning."""
    kernel = live_kernel(document.pk)
    if kernel is None or kernel.node_id is None:
        raise KernelNotRunning
    return kernel


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


def ending_operations(
    document_id: UUID, *, reason: str, has_died: bool, keep: UUID | None = None
) -> list[AnyOperation]:
    """`finished` for each unfinished run of the document, not for those of the kernel `keep`. Without numbers yet."""
    at = now_ms()
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
                status="died" if has_died else "interrupted" if is_running else "cancelled",
                execution_count=run.execution_count,
                started_at=milliseconds(run.started_at),
                finished_at=at if is_running else None,
                reason=reason,
            )
        )
    return operations


def _choose(user: User, document: Document, kernelspec_name: str | None) -> tuple[NodeInfo, str]:
    nodes = nodes_up()
    name = choose_allowed(
        nodes,
        effective_quotas(user, document.project.team),
        wanted=kernelspec_name,
        last_used=last_kernelspec_name(document.pk),
        notebook_metadata={} if kernelspec_name else live_notebook(document).metadata,
    )
    return place(nodes, name), name


def _create(*, user: User, document: Document, node: NodeInfo, kernelspec_name: str) -> Kernel:
    """The document's new pending kernel, or the one that somebody else has just made. In a transaction."""
    limits = reserve(user=user, project=document.project, kernelspec_name=kernelspec_name)
    Node.objects.get_or_create(node_id=node.node_id, defaults={"fence": node.fence})
    try:
        with transaction.atomic():
            kernel = Kernel.objects.create(
                project_id=document.project_id,
                document=document,
                user=user,
                kernelspec_name=kernelspec_name,
                node_id=node.node_id,
                fence=node.fence,
                memory_limit_bytes=limits.memory_bytes,
                cpu_limit_cores=limits.cpu_cores,
                process_limit=limits.process_count,
                last_activity_at=timezone.now(),
            )
    except IntegrityError:
        there = live_kernel(document.pk)
        if there is None:  # it ended between the two
            raise KernelStopping from None
        return there
    # One generation for the hub's opening word, the next for the node.
    kernel.log_generation = raise_generation(document.pk, 2) + 1
    kernel.save(update_fields=["log_generation"])
    transaction.on_commit(lambda: send_start(kernel))
    send_kernels_hint(document.project_id)
    return kernel


def _opening_operations(kernel: Kernel, document_id: UUID) -> list[AnyOperation]:
    return [
        *ending_operations(document_id, reason="Its kernel was replaced.", has_died=False, keep=kernel.pk),
        KernelChanged(
            seq=0,
            at=now_ms(),
            kernel_id=KernelId(str(kernel.pk)),
            kernelspec_name=kernel.kernelspec_name,
            state="pending",
        ),
    ]


def _folder_of(path: str) -> str:
    folder = str(PurePosixPath(path).parent)
    return "" if folder == "." else folder
