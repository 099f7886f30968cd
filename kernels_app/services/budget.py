"""Computing budgets that are used up while kernels run."""

from __future__ import annotations

from django.utils import timezone

from kernels_app.models import DEMO_FENCE, Kernel, KernelState
from kernels_app.selectors.compute import gib_hours_of_many
from kernels_app.services.kernels import stop_kernel
from zasper_hub.accounts.quotas import Quota
from zasper_hub.accounts.selectors.quotas import effective_quotas_of_many


def end_over_budget() -> int:
    """Ends the idle kernels of people who have used up their computing budget; how many.

    Called periodically. A busy one ends its cell first.
    """
    idle = list(
        Kernel.objects.filter(state=KernelState.IDLE, user__isnull=False)
        .exclude(fence=DEMO_FENCE)
        .select_related("project", "node")
    )
    quotas = effective_quotas_of_many({(kernel.user_id, kernel.project.team_id) for kernel in idle})
    budgets = {
        kernel.pk: quotas[(kernel.user_id, kernel.project.team_id)].number(Quota.COMPUTE_GIB_HOURS)
        for kernel in idle
    }
    limited = [kernel for kernel in idle if budgets[kernel.pk] is not None]
    used = gib_hours_of_many({kernel.user_id or 0 for kernel in limited}, timezone.now())
    count = 0
    for kernel in limited:
        budget = budgets[kernel.pk]
        spent = used[kernel.user_id or 0]
        if budget is not None and spent >= budget:
            reason = f"The computing budget is used up: {spent:,.1f} of {budget:,.1f} GiB-hours."
            count += stop_kernel(kernel, state="culled", reason=reason)
    return count
