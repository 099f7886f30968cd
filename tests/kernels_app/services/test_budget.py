"""Computing budgets that are used up while kernels run."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone

from kernels_app.bus.envelopes import StopKernel
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import DailyUsage, Kernel, KernelState
from kernels_app.selectors.compute import gib_hours_of
from kernels_app.services.budget import end_over_budget
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.usage import add_measured, days_of, figures_of, roll_up
from tests.cast import Cast, make_cast
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

GIB = 1 << 30


@pytest.mark.django_db(transaction=True)
def test_idle_kernels_end_when_the_budget_is_used_up_and_busy_ones_go_on(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    set_quota(Level.SITE, Quota.KERNEL_MEMORY_BYTES, 4 * GIB, actor=cast.admin)
    set_quota(Level.PERSON, Quota.COMPUTE_GIB_HOURS, 10, actor=cast.admin, person=cast.alice)
    node = ScriptedNode(hub_wire)
    idle, busy, of_bob = (
        start_project_kernel(user=user, project=cast.project) for user in (cast.alice, cast.alice, cast.bob)
    )
    begun = timezone.now() - timedelta(hours=1)
    Kernel.objects.filter(pk__in=[idle.pk, of_bob.pk]).update(state=KernelState.IDLE, ready_at=begun)
    Kernel.objects.filter(pk=busy.pk).update(state=KernelState.BUSY, ready_at=begun)
    node.commands()
    assert end_over_budget() == 0  # 8 of 10
    Kernel.objects.filter(pk__in=[idle.pk, busy.pk]).update(ready_at=begun - timedelta(minutes=30))
    assert end_over_budget() == 1
    [command] = node.commands()
    assert isinstance(command, StopKernel)
    assert (command.kernel_id, command.state) == (str(idle.pk), "culled")
    assert command.reason == "The computing budget is used up: 12.0 of 10.0 GiB-hours."


def test_the_budget_s_figure_is_the_same_before_and_after_the_roll_up(cast: Cast) -> None:
    now = timezone.now()
    # Days before yesterday are rolled up for good: whatever the hour, it ran yesterday and today.
    begun = datetime.combine(now.astimezone(UTC).date() - timedelta(days=1), time(6), UTC)
    kernel = Kernel.objects.create(
        project=cast.project, user=cast.alice, kernelspec_name="python3", state=KernelState.STOPPED,
        memory_limit_bytes=2 * GIB, ready_at=begun, ended_at=now,
    )  # fmt: skip
    Kernel.objects.filter(pk=kernel.pk).update(created_at=begun)
    used = 2 * (now - begun).total_seconds() / 3600
    before = figures_of(cast.alice)[Quota.COMPUTE_GIB_HOURS]
    for days in range(3):
        roll_up((now - timedelta(days=days)).date())
    assert figures_of(cast.alice)[Quota.COMPUTE_GIB_HOURS] == before
    rolled_up = days_of(cast.alice, now)
    assert sum(day.reserved_gib_hours for day in rolled_up) == pytest.approx(used, abs=0.01)
    assert DailyUsage.objects.count() == len(rolled_up) == 2
    # Once its days are over, they alone tell it.
    later = gib_hours_of(cast.alice.pk, now + timedelta(days=5))
    assert later == pytest.approx(before, abs=0.01)
    assert gib_hours_of(cast.alice.pk, now + timedelta(days=40)) == 0


def test_a_kernel_without_a_limit_counts_with_the_memory_it_uses(cast: Cast, hub_wire: MemoryStore) -> None:
    now = timezone.now()
    kernel = Kernel.objects.create(
        project=cast.project,
        user=cast.alice,
        kernelspec_name="python3",
        state=KernelState.IDLE,
        memory_bytes=6 * GIB,
    )
    Kernel.objects.filter(pk=kernel.pk).update(created_at=now - timedelta(hours=1))
    add_measured(now)  # the first look has nothing to compare with
    add_measured(now + timedelta(minutes=10))
    add_measured(now + timedelta(minutes=10))  # once more adds nothing
    assert sum(
        day.measured_gib_hours for day in days_of(cast.alice, now + timedelta(minutes=10))
    ) == pytest.approx(1)
    later = gib_hours_of(cast.alice.pk, now + timedelta(minutes=10))
    assert later == pytest.approx(1)
