"""What running kernels may use, when quotas change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db import transaction

from kernels_app.bus.envelopes import UpdateLimits
from kernels_app.bus.identifiers import KernelId
from kernels_app.models import DEMO_FENCE, LIVE_STATES, Kernel, KernelState
from kernels_app.services.commands import limits_of
from kernels_app.services.delivery import command_publication, write_or_leave
from kernels_app.services.notices import tell_use
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.quotas import EffectiveQuotas, Quota
from zasper_hub.accounts.selectors.quotas import effective_quotas_of_many


@transaction.atomic
def apply_limits(*, team: Team | None = None, person: User | None = None) -> int:
    """Gives live kernels (of a team's projects, of a person, or all) the limits that count now; how many changed.

    Their nodes are told after the commit, and do at once what their provisioners can.
    """
    kernels = (
        Kernel.objects.filter(state__in=LIVE_STATES, user__isnull=False)
        .exclude(state=KernelState.STOPPING)
        .exclude(fence=DEMO_FENCE)
    )
    concerned = kernels
    if team is not None:
        concerned = concerned.filter(project__team=team)
    if person is not None:
        concerned = concerned.filter(user=person)
    user_ids = set(concerned.values_list("user_id", flat=True))
    # Who starts a kernel meanwhile waits, or is waited for: what they reserve is seen here.
    list(User.objects.select_for_update(no_key=True).filter(pk__in=user_ids).order_by("pk"))
    of_person: dict[int, list[Kernel]] = defaultdict(list)
    for kernel in kernels.filter(user_id__in=user_ids).select_related("project").order_by("created_at"):
        of_person[kernel.user_id or 0].append(kernel)
    places = {(kernel.user_id, kernel.project.team_id) for mine in of_person.values() for kernel in mine}
    quotas = effective_quotas_of_many(places)
    concerned_ids = set(concerned.values_list("pk", flat=True))
    changed: list[Kernel] = []
    for mine in of_person.values():
        for kernel in mine:
            if kernel.pk in concerned_ids and _change(
                kernel, mine, quotas[(kernel.user_id, kernel.project.team_id)]
            ):
                changed.append(kernel)
    Kernel.objects.bulk_update(changed, ["memory_limit_bytes", "cpu_limit_cores", "process_limit"])
    transaction.on_commit(lambda: _tell_nodes(changed))
    return len(changed)


def _change(kernel: Kernel, mine: Iterable[Kernel], quotas: EffectiveQuotas) -> bool:
    """Sets the kernel's limits to those that count now; whether they are others."""
    before = limits_of(kernel)
    kernel.memory_limit_bytes = _memory_limit(kernel, mine, quotas)
    kernel.cpu_limit_cores = quotas.number(Quota.KERNEL_CPU_CORES)
    kernel.process_limit = quotas.count(Quota.KERNEL_PROCESSES)
    return limits_of(kernel) != before


def _memory_limit(kernel: Kernel, mine: Iterable[Kernel], quotas: EffectiveQuotas) -> int | None:
    """The kernel's memory limit from now on. It grows only into what is left of the person's total."""
    limit = quotas.count(Quota.KERNEL_MEMORY_BYTES)
    total = quotas.count(Quota.TOTAL_MEMORY_BYTES)
    before = kernel.memory_limit_bytes
    if total is None:
        return limit
    others = sum(other.memory_limit_bytes or 0 for other in mine if other.pk != kernel.pk)
    left = max(total - others, 0)
    if limit is None:
        # It has what was left of the total when it started; without any limit, what is left now.
        return before if before is not None else (left or None)
    if before is not None and limit > before:
        return max(before, min(limit, left))
    return limit


def _tell_nodes(kernels: Iterable[Kernel]) -> None:
    for kernel in kernels:
        if kernel.node_id is not None:
            command = UpdateLimits(
                fence=kernel.fence, kernel_id=KernelId(str(kernel.pk)), limits=limits_of(kernel)
            )
            write_or_leave("update_limits", kernel.pk, [command_publication(kernel.node_id, command)])
    tell_use(kernels)
