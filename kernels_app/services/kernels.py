"""Start, stop, interrupt, restart and switch kernels."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from kernels_app.bus.envelopes import InterruptKernel, RestartKernel, StopKernel
from kernels_app.bus.identifiers import KernelId
from kernels_app.bus.transport import TransportError
from kernels_app.errors import KernelNotRunning, KernelStopping
from kernels_app.models import LIVE_STATES, Kernel, KernelState
from kernels_app.runs.placement import NodeLoad, check_possible
from kernels_app.selectors.kernels import STAYING_STATES, last_kernelspec_name, live_kernel
from kernels_app.selectors.nodes import nodes_up
from kernels_app.selectors.notebooks import live_notebook
from kernels_app.services.commands import StopState, send_stop
from kernels_app.services.delivery import command_publication, deliver, write_or_leave
from kernels_app.services.last_words import end_kernel
from kernels_app.services.queue import place_or_queue
from kernels_app.services.reservation import choose_allowed, reserve
from kernels_app.services.waiting import node_loads, waiting_kernels, wants_of
from notebooks_app.models import Document, Project
from notebooks_app.services.file_hints import send_kernels_hint
from zasper_hub.accounts.models import User
from zasper_hub.accounts.selectors.quotas import effective_quotas


def start_kernel(*, user: User, document: Document, kernelspec_name: str | None = None) -> Kernel:
    """The document's live kernel, started if there is none (then of the wanted, or the fitting, kernelspec).

    The row is `pending` and the command goes out when the transaction commits; while all nodes are full it waits for a
    place. Who starts it is settled by the database: everyone who asks at once gets the same row.

    Raises:
        NoNode, UnknownKernelspec, QuotaExceeded, KernelStopping, Unavailable
    """
    kernel = live_kernel(document.pk)
    if kernel is None:
        name, loads = _choose(user, document, kernelspec_name)
        with transaction.atomic():
            kernel = _create(user=user, document=document, kernelspec_name=name, loads=loads)
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
    name, loads = _choose(user, document, kernelspec_name)
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
        return _create(user=user, document=document, kernelspec_name=name, loads=loads)


def stop_kernel(kernel: Kernel, *, state: StopState = "stopped", reason: str = "") -> bool:
    """Asks the kernel's node to end it, as `state`; one that waits for a place ends at once.

    False when it has ended or is being stopped already.
    """
    with transaction.atomic():
        if kernel.node_id is None and _leave_queue(kernel, reason):
            return True
        # last_activity_at: a stop that gets no answer is sent again some time after it.
        stopped = Kernel.objects.filter(pk=kernel.pk, state__in=STAYING_STATES).update(
            state=KernelState.STOPPING,
            reason=reason,
            last_activity_at=timezone.now(),
            ends_at=None,
            end_cause="",
        )
        if not stopped:
            return False
        # It may have got its place since it was read.
        kernel.refresh_from_db(fields=["node", "fence"])
        transaction.on_commit(lambda: send_stop(kernel, state=state, reason=reason))
    return True


def stop_kernels(kernels: QuerySet[Kernel], *, reason: str) -> int:
    """Stops those of them that are not ending already; how many. In the caller's transaction, if there is one."""
    return sum(stop_kernel(kernel, reason=reason) for kernel in kernels.filter(state__in=STAYING_STATES))


def stop_project_kernels(project: Project) -> None:
    """Ends all kernels of a project that is being deleted; in the caller's transaction."""
    stop_kernels(Kernel.objects.filter(project=project), reason="Its project was deleted.")


def _leave_queue(kernel: Kernel, reason: str) -> bool:
    """False: it does not wait any more."""
    words = reason or "You stopped it while it waited for a place."
    try:
        return end_kernel(kernel, state="stopped", reason=words, has_died=False)
    except TransportError:
        # The pages hear of it later: its runs are ended by a task, once the message server is back.
        ended = waiting_kernels().filter(pk=kernel.pk)
        return ended.update(state=KernelState.STOPPED, reason=words[:500], ended_at=timezone.now()) > 0


def interrupt_kernel(document: Document) -> Kernel:
    """Interrupts what runs; what is queued behind it is cancelled. One that waits for a place leaves the queue.

    Raises:
        KernelNotRunning, Unavailable
    """
    kernel = live_kernel(document.pk)
    if kernel is None:
        raise KernelNotRunning
    interrupt_live_kernel(kernel)
    return kernel


def interrupt_live_kernel(kernel: Kernel) -> None:
    """Raises KernelNotRunning, Unavailable."""
    if kernel.node_id is None and stop_kernel(kernel):
        return
    deliver(kernel, InterruptKernel(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk))))


def restart_kernel(*, user: User, document: Document) -> Kernel:
    """A new process for the document's kernel; a new kernel, of the same kernelspec, when it had ended.

    Raises: as `start_kernel`.
    """
    kernel = live_kernel(document.pk)
    if kernel is None:
        return start_kernel(user=user, document=document)
    restart_live_kernel(kernel)
    return kernel


def restart_live_kernel(kernel: Kernel) -> None:
    """A new process for it, same id; nothing to do while it waits for a place.

    Raises: KernelStopping, KernelNotRunning, Unavailable.
    """
    if kernel.state == KernelState.STOPPING:
        raise KernelStopping
    if kernel.node_id is not None:
        deliver(kernel, RestartKernel(fence=kernel.fence, kernel_id=KernelId(str(kernel.pk))))


def require_kernel(document: Document) -> Kernel:
    """The document's live kernel. Raises KernelNotRunning."""
    kernel = live_kernel(document.pk)
    if kernel is None or kernel.node_id is None:
        raise KernelNotRunning
    return kernel


def _choose(user: User, document: Document, kernelspec_name: str | None) -> tuple[str, list[NodeLoad]]:
    nodes = nodes_up()
    name = choose_allowed(
        nodes,
        effective_quotas(user, document.project.team),
        wanted=kernelspec_name,
        last_used=last_kernelspec_name(document.pk),
        notebook_metadata={} if kernelspec_name else live_notebook(document).metadata,
    )
    return name, node_loads(nodes)


def _create(*, user: User, document: Document, kernelspec_name: str, loads: list[NodeLoad]) -> Kernel:
    """The document's new pending kernel, or the one that somebody else has just made. In a transaction."""
    limits = reserve(user=user, project=document.project, kernelspec_name=kernelspec_name)
    try:
        with transaction.atomic():
            kernel = Kernel.objects.create(
                project=document.project,
                document=document,
                user=user,
                kernelspec_name=kernelspec_name,
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
    want = wants_of([kernel])[kernel.pk]
    check_possible(loads, want)
    place_or_queue(kernel, want, loads)
    send_kernels_hint(document.project_id)
    return kernel
