"""What the pages at a document are told of its kernel beside the output log: its turn, when it is to end, what it uses.

Such a frame is not kept, but told to each page that connects. `kernel_notice` is told again every few seconds while it
holds, `kernel_use` when the figures change. docs/reference/runs.md
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec
import structlog

from kernels_app.bus.identifiers import DocumentId, run_topic
from kernels_app.bus.transport import Publication, TransportError
from kernels_app.models import Kernel
from kernels_app.runs.lives import EndCause
from kernels_app.runs.waiting import Turn
from kernels_app.selectors.cells import milliseconds
from kernels_app.selectors.kernels import live_kernel
from kernels_app.services.waiting import turn_of
from notebooks_app.wire import blocking_transport

log = structlog.get_logger(__name__)


class KernelNotice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="kernel_notice"):
    """A frame of the runs socket. Times are milliseconds since 1970. Nothing set: nothing holds any more."""

    kernel_id: str
    queue_position: int | None = None
    queue_length: int | None = None
    ends_at: int | None = None
    end_cause: EndCause | None = None
    used_at: int | None = None


class KernelUse(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="kernel_use"):
    """A frame of the runs socket: what the kernel uses of what it may. Null: not measured yet; no limit."""

    kernel_id: str
    memory_bytes: int | None
    memory_limit_bytes: int | None
    cpu_cores: float | None
    cpu_limit_cores: float | None


def turn_notice(kernel_id: UUID, turn: Turn) -> KernelNotice:
    return KernelNotice(kernel_id=str(kernel_id), queue_position=turn.position, queue_length=turn.length)


def ending_notice(kernel: Kernel) -> KernelNotice:
    """That it is to end, or, when nothing is announced, that it is not."""
    if kernel.ends_at is None:
        return KernelNotice(kernel_id=str(kernel.pk))
    return KernelNotice(
        kernel_id=str(kernel.pk),
        ends_at=milliseconds(kernel.ends_at),
        end_cause=EndCause(kernel.end_cause),
        used_at=milliseconds(kernel.last_activity_at),
    )


def use_of(kernel: Kernel) -> KernelUse:
    return KernelUse(
        kernel_id=str(kernel.pk),
        memory_bytes=kernel.memory_bytes,
        memory_limit_bytes=kernel.memory_limit_bytes,
        cpu_cores=kernel.cpu_cores,
        cpu_limit_cores=kernel.cpu_limit_cores,
    )


def notices_of_document(document_id: UUID) -> list[bytes]:
    """What a page that has just connected is told, as frames; none when there is nothing to tell."""
    kernel = live_kernel(document_id)
    if kernel is None:
        return []
    turn = turn_of(kernel)
    if turn is not None:
        return [msgspec.json.encode(turn_notice(kernel.pk, turn))]
    told: list[KernelNotice | KernelUse] = []
    if kernel.memory_bytes is not None:
        told.append(use_of(kernel))
    if kernel.ends_at is not None:
        told.append(ending_notice(kernel))
    return [msgspec.json.encode(one) for one in told]


def tell_ending(kernel: Kernel) -> None:
    """Tells the pages what is announced for the kernel now. While the wire is down they hear of it later."""
    if kernel.document_id is None:
        return
    try:
        publish_notices([(kernel.document_id, ending_notice(kernel))])
    except TransportError as error:
        log.info("notice_not_told", kernel_id=str(kernel.pk), error=str(error))


def tell_use(kernels: Iterable[Kernel]) -> None:
    """Tells the pages what their kernels use. While the wire is down they hear of it when they connect."""
    try:
        publish_notices(
            (kernel.document_id, use_of(kernel)) for kernel in kernels if kernel.document_id is not None
        )
    except TransportError as error:
        log.info("use_not_told", error=str(error))


def publish_notices(notices: Iterable[tuple[UUID, KernelNotice | KernelUse]]) -> None:
    """Tells the pages that are open at each document.

    Raises:
        TransportError
    """
    publications = [
        Publication(msgspec.json.encode(notice), topic=run_topic(DocumentId(str(document_id))))
        for document_id, notice in notices
    ]
    if publications:
        blocking_transport().write(publications)
