"""What kernels use, into their rows and to the pages that show them."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from kernels_app.bus.envelopes import KernelFigures, KernelsMeasured
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.services.notices import tell_use


def record_figures(event: KernelsMeasured) -> None:
    """Only of kernels that the node runs in this life of its; others are left as they are."""
    figures = _by_row(event)
    measured: list[Kernel] = []
    with transaction.atomic():
        live = Kernel.objects.filter(node_id=event.node_id, fence=event.fence, state__in=LIVE_STATES)
        for kernel in live.filter(pk__in=figures):
            found = figures[kernel.pk]
            kernel.memory_bytes, kernel.cpu_cores = max(found.memory_bytes, 0), max(found.cpu_cores, 0.0)
            changes = {"memory_bytes": kernel.memory_bytes, "cpu_cores": kernel.cpu_cores}
            if live.filter(pk=kernel.pk).update(**changes):
                measured.append(kernel)
    tell_use(measured)


def _by_row(event: KernelsMeasured) -> dict[UUID, KernelFigures]:
    found: dict[UUID, KernelFigures] = {}
    for kernel_id, figures in event.kernels.items():
        try:
            found[UUID(kernel_id)] = figures
        except ValueError:
            continue
    return found
