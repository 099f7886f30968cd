"""What a new kernel may use, reserved of its person's quotas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.utils import timezone

from kernels_app.bus.envelopes import Limits, NodeInfo
from kernels_app.errors import QuotaExceeded, UnknownKernelspec
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.runs.placement import choose_kernelspec
from kernels_app.selectors.compute import gib_hours_of
from notebooks_app.models import Project
from zasper_hub.accounts.models import User
from zasper_hub.accounts.quotas import DEFINITIONS, EffectiveQuotas, Origin, Quota
from zasper_hub.accounts.selectors.quotas import effective_quotas

GIB = 1 << 30
SHOWN_KERNELS = 50  # of those that count, in the answer to who is refused one more


def reserve(*, user: User, project: Project, kernelspec_name: str) -> Limits:
    """The limits of a kernel that the person starts in the project, once it is clear that they may.

    In the transaction that makes the kernel's row: until it ends, others of the same person wait here, so that of any
    number of starts at once as many succeed as there is room for.

    Raises:
        QuotaExceeded
        UnknownKernelspec: their quota does not allow this one.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    quotas = effective_quotas(user, project.team)
    check_kernelspec(quotas, kernelspec_name)
    kernels = list(
        Kernel.objects.filter(user=user, state__in=LIVE_STATES)
        .select_related("project__team", "document")
        .order_by("-created_at")
    )
    check_count(quotas, kernels)
    check_compute(quotas, user, kernels)
    return Limits(
        memory_bytes=_reserve_memory(quotas, kernels),
        cpu_cores=quotas.number(Quota.KERNEL_CPU_CORES),
        process_count=quotas.count(Quota.KERNEL_PROCESSES),
        idle_timeout_s=quotas.count(Quota.IDLE_TIMEOUT_S),
        max_life_s=quotas.count(Quota.MAX_LIFE_S),
    )


def check_kernelspec(quotas: EffectiveQuotas, kernelspec_name: str) -> None:
    """Raises UnknownKernelspec: as for one that no node has, since to this person it is not there."""
    if quotas.allows(kernelspec_name):
        return
    allowed = quotas.names(Quota.KERNELSPECS) or ()
    there_are = f"You may start: {', '.join(allowed)}." if allowed else "You may start none at the moment."
    raise UnknownKernelspec(
        f"The kernel {kernelspec_name[:100]!r} is not among those {whose(quotas.origin(Quota.KERNELSPECS))} allows. "
        f"{there_are}",
        kernelspec_name=kernelspec_name[:100],
        available=list(allowed),
        quota=Quota.KERNELSPECS.value,
        origin=quotas.origin(Quota.KERNELSPECS).value,
    )


def permitted(nodes: Sequence[NodeInfo], quotas: EffectiveQuotas) -> list[NodeInfo]:
    """The nodes, each with those of its kernelspecs that may be started."""
    return [
        msgspec.structs.replace(
            node, kernelspecs=[spec for spec in node.kernelspecs if quotas.allows(spec.name)]
        )
        for node in nodes
    ]


def choose_allowed(
    nodes: Sequence[NodeInfo],
    quotas: EffectiveQuotas,
    *,
    wanted: str | None,
    last_used: str | None,
    notebook_metadata: Mapping[str, Any],
) -> str:
    """As `choose_kernelspec`, among those that may be started; who may not start what fits is told so.

    Raises:
        NoNode, UnknownKernelspec
    """
    if wanted is not None:
        check_kernelspec(quotas, wanted)
    found = {"wanted": wanted, "last_used": last_used, "notebook_metadata": notebook_metadata}
    try:
        return choose_kernelspec(permitted(nodes, quotas), **found)  # type: ignore[arg-type]  # as they came
    except UnknownKernelspec:
        check_kernelspec(quotas, choose_kernelspec(nodes, **found))  # type: ignore[arg-type]
        raise


def check_count(quotas: EffectiveQuotas, kernels: list[Kernel]) -> None:
    limit = quotas.count(Quota.MAX_KERNELS)
    if limit is None or len(kernels) < limit:
        return
    if limit == 0:
        message = (
            f"{whose(quotas.origin(Quota.MAX_KERNELS)).capitalize()} allows no kernels. Ask an administrator."
        )
    else:
        message = (
            f"You are running {len(kernels)} of {limit} {'kernel' if limit == 1 else 'kernels'}: "
            f"stop one that you do not need."
        )
    raise _exceeded(message, quotas, Quota.MAX_KERNELS, len(kernels), kernels)


def check_compute(quotas: EffectiveQuotas, user: User, kernels: list[Kernel]) -> None:
    budget = quotas.number(Quota.COMPUTE_GIB_HOURS)
    if budget is None:
        return
    used = gib_hours_of(user.pk, timezone.now())
    if used < budget:
        return
    raise _exceeded(
        f"Your computing budget is used up: {used:,.1f} of {budget:,.1f} GiB-hours. It frees itself as days pass; "
        f"kernels that run go on counting, so stop those you do not need, or ask an administrator for more.",
        quotas,
        Quota.COMPUTE_GIB_HOURS,
        round(used, 3),
        kernels,
    )


def _reserve_memory(quotas: EffectiveQuotas, kernels: list[Kernel]) -> int | None:
    """Memory limit of one more kernel; without one of its own, all that is left of the total."""
    limit = quotas.count(Quota.KERNEL_MEMORY_BYTES)
    total = quotas.count(Quota.TOTAL_MEMORY_BYTES)
    if total is None:
        return limit
    # A kernel from before there was a total has no limit: it counts as what a new one would get.
    reserved = sum(kernel.memory_limit_bytes or limit or 0 for kernel in kernels)
    left = total - reserved
    least = DEFINITIONS[Quota.KERNEL_MEMORY_BYTES].low
    if left < (least if limit is None else limit):
        wanted = "" if limit is None else f" and one more needs {gib(limit)}"
        raise _exceeded(
            f"Your kernels have {gib(reserved)} of the {gib(total)} of memory you may use together{wanted}: "
            f"stop one that you do not need.",
            quotas,
            Quota.TOTAL_MEMORY_BYTES,
            reserved,
            kernels,
        )
    return left if limit is None else limit


def _exceeded(
    message: str, quotas: EffectiveQuotas, quota: Quota, used: float, kernels: list[Kernel]
) -> QuotaExceeded:
    return QuotaExceeded(
        message,
        quota=quota.value,
        limit=quotas[quota].value,
        used=used,
        unit=DEFINITIONS[quota].unit,
        origin=quotas.origin(quota).value,
        kernels=kernels_shown(kernels),
    )


def kernels_shown(kernels: Iterable[Kernel]) -> list[dict[str, Any]]:
    """What a person needs to choose which kernel to stop."""
    return [
        {
            "id": str(kernel.pk),
            "kernelspec_name": kernel.kernelspec_name,
            "state": kernel.state,
            "project": {
                "id": str(kernel.project_id),
                "team": kernel.project.team.slug,
                "slug": kernel.project.slug,
                "name": kernel.project.name,
            },
            "path": None if kernel.document is None else kernel.document.path,
            "memory_limit_bytes": kernel.memory_limit_bytes,
            "created_at": kernel.created_at.isoformat(),
            "last_activity_at": None
            if kernel.last_activity_at is None
            else kernel.last_activity_at.isoformat(),
        }
        for kernel in list(kernels)[:SHOWN_KERNELS]
    ]


def whose(origin: Origin) -> str:
    return {Origin.SITE: "this hub", Origin.TEAM: "the team", Origin.PERSON: "your own limit"}[origin]


def gib(count_bytes: int) -> str:
    """`1.5 GiB`, or MiB below one."""
    if count_bytes < GIB:
        return f"{count_bytes / (1 << 20):,.0f} MiB"
    return f"{count_bytes / GIB:,.1f} GiB"
