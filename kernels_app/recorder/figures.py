"""What kernels use, into their rows."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from kernels_app.bus.envelopes import KernelsMeasured
from kernels_app.models import LIVE_STATES, Kernel


def record_figures(event: KernelsMeasured) -> None:
    """Only of kernels that the node runs in this life of its; others are left as they are."""
    with transaction.atomic():
        for kernel_id, figures in event.kernels.items():
            try:
                key = UUID(kernel_id)
            except ValueError:
                continue
            Kernel.objects.filter(
                pk=key, node_id=event.node_id, fence=event.fence, state__in=LIVE_STATES
            ).update(memory_bytes=max(figures.memory_bytes, 0), cpu_cores=max(figures.cpu_cores, 0.0))
