"""Kernels end because nobody uses them, because they have lived long enough, or because their node is drained.

What is decided is in `runs.lives`; here it is carried out. A stop for want of use never hits a kernel that is used:
the row's conditional UPDATE sees the hub's runs, and the node refuses when it sees any other use.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from kernels_app.errors import Conflict, KernelNotRunning, KernelStopping
from kernels_app.models import DEMO_FENCE, LIVE_STATES, Kernel, KernelState, Run
from kernels_app.runs.lives import Announce, End, EndCause, Life, Stay, decide, end_reason
from kernels_app.selectors.kernels import UNFINISHED_STATES
from kernels_app.services.commands import QUIET_S, StopState, send_stop
from kernels_app.services.notices import tell_ending
from notebooks_app.services.file_hints import send_kernels_hint
from zasper_hub.accounts.quotas import EffectiveQuotas, Quota
from zasper_hub.accounts.selectors.quotas import effective_quotas_of_many

log = structlog.get_logger(__name__)

_CANNOT_BE_KEPT = {
    EndCause.LIFE: "The kernel has reached the longest life that is allowed: it cannot be kept. Save what you need.",
    EndCause.DRAIN: "The kernel's host is being taken out of service: it cannot be kept. Save what you need.",
}


def watch_lives(now: datetime) -> None:
    """Announces, ends and lets go on, by what is decided for each kernel now. Called periodically."""
    kernels = list(
        Kernel.objects.filter(state__in=LIVE_STATES)
        .exclude(state__in=(KernelState.PENDING, KernelState.STOPPING))
        .exclude(fence=DEMO_FENCE)
        .select_related("project", "node")
    )
    if not kernels:
        return
    quotas = effective_quotas_of_many({(kernel.user_id, kernel.project.team_id) for kernel in kernels})
    busy = set(
        Run.objects.filter(kernel__in=kernels, state__in=UNFINISHED_STATES).values_list(
            "kernel_id", flat=True
        )
    )
    for kernel in kernels:
        limits = quotas[kernel.user_id, kernel.project.team_id]
        match decide(_life_of(kernel, limits, is_used=kernel.pk in busy), now):
            case Stay():
                if kernel.ends_at is not None:
                    _announce(kernel, None, "")
            case Announce(ends_at, cause):
                _announce(kernel, ends_at, cause)
            case End(cause):
                quota = _QUOTAS.get(cause)
                end_life(kernel, cause, end_reason(cause, None if quota is None else limits.number(quota)))
            case never:
                assert_never(never)


_QUOTAS: Mapping[EndCause, Quota] = {EndCause.IDLE: Quota.IDLE_TIMEOUT_S, EndCause.LIFE: Quota.MAX_LIFE_S}


def end_life(kernel: Kernel, cause: EndCause, reason: str) -> bool:
    """Stops the kernel for that cause. False when that does not hold any more: it ended, is used, or was used since."""
    with transaction.atomic():
        rows = Kernel.objects.filter(pk=kernel.pk).exclude(
            state__in=(KernelState.PENDING, KernelState.STOPPING)
        )
        if cause == EndCause.IDLE:
            # Who queues a cell holds the row: it has its runs before this, or finds the kernel stopping after it.
            Kernel.objects.select_for_update(no_key=True).filter(pk=kernel.pk).first()
            rows = rows.filter(state=KernelState.IDLE, last_activity_at=kernel.last_activity_at).exclude(
                runs__in=_unfinished(kernel.pk)
            )
        stopping = Kernel.objects.filter(pk__in=rows.values("pk"), state__in=LIVE_STATES).update(
            state=KernelState.STOPPING,
            reason=reason,
            end_cause=cause,
            ends_at=None,
            last_activity_at=timezone.now(),
        )
        if not stopping:
            return False
        state: StopState = "stopped" if cause == EndCause.DRAIN else "culled"
        quiet_s = QUIET_S if cause == EndCause.IDLE else None
        transaction.on_commit(lambda: send_stop(kernel, state=state, reason=reason, quiet_s=quiet_s))
        send_kernels_hint(kernel.project_id)
    log.info("kernel_culled", kernel_id=str(kernel.pk), cause=cause)
    return True


def keep_kernel(kernel: Kernel) -> None:
    """Somebody wants it to go on, as if they had just used it.

    Raises:
        KernelNotRunning, KernelStopping
        Conflict: it is to end for a reason that use does not change.
    """
    kept = (
        Kernel.objects.filter(pk=kernel.pk, state__in=LIVE_STATES)
        .exclude(state=KernelState.STOPPING)
        .filter(Q(end_cause="") | Q(end_cause=EndCause.IDLE))
        .update(last_activity_at=timezone.now(), ends_at=None, end_cause="")
    )
    kernel.refresh_from_db()
    if kept:
        tell_ending(kernel)
    elif kernel.state == KernelState.STOPPING:
        raise KernelStopping
    elif kernel.state not in LIVE_STATES:
        raise KernelNotRunning
    else:
        raise Conflict(_CANNOT_BE_KEPT[EndCause(kernel.end_cause)])


def _announce(kernel: Kernel, ends_at: datetime | None, cause: str) -> None:
    """Writes it down, and tells the pages: again at each look, since such a word can be lost."""
    if (kernel.ends_at, kernel.end_cause) != (ends_at, cause):
        rows = Kernel.objects.filter(pk=kernel.pk, last_activity_at=kernel.last_activity_at)
        if not rows.exclude(state=KernelState.STOPPING).update(ends_at=ends_at, end_cause=cause):
            return  # it was used just now: the next look decides
        kernel.ends_at, kernel.end_cause = ends_at, cause
        send_kernels_hint(kernel.project_id)
    tell_ending(kernel)


def _unfinished(kernel_id: UUID) -> QuerySet[Run]:
    return Run.objects.filter(kernel_id=kernel_id, state__in=UNFINISHED_STATES)


def _life_of(kernel: Kernel, limits: EffectiveQuotas, *, is_used: bool) -> Life:
    began_at = kernel.ready_at or kernel.created_at
    is_drained = kernel.node is not None and kernel.node.state == "draining"
    return Life(
        began_at=began_at,
        used_at=max(kernel.last_activity_at or began_at, began_at),
        is_busy=is_used or kernel.state != KernelState.IDLE,
        idle_timeout_s=limits.number(Quota.IDLE_TIMEOUT_S),
        max_life_s=limits.number(Quota.MAX_LIFE_S),
        drain_at=kernel.node.drain_at if is_drained and kernel.node is not None else None,
        ends_at=kernel.ends_at,
        end_cause=EndCause(kernel.end_cause) if kernel.end_cause else None,
    )
