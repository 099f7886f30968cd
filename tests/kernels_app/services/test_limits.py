"""Quotas that change while kernels run."""

from __future__ import annotations

import pytest

from kernels_app.bus.envelopes import Limits, UpdateLimits
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel, KernelState
from kernels_app.services.project_kernels import start_project_kernel
from tests.cast import make_cast
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota, set_quotas

GIB = 1 << 30

pytestmark = pytest.mark.django_db(transaction=True)


def told(node: ScriptedNode) -> list[tuple[str, Limits]]:
    return [
        (command.kernel_id, command.limits)
        for command in node.commands()
        if isinstance(command, UpdateLimits)
    ]


def test_running_kernels_get_the_new_limits_and_their_node_is_told(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    node = ScriptedNode(hub_wire)
    of_alice = start_project_kernel(user=cast.alice, project=cast.project)
    of_bob = start_project_kernel(user=cast.bob, project=cast.project)
    ended = start_project_kernel(user=cast.alice, project=cast.project)
    Kernel.objects.filter(pk=ended.pk).update(state=KernelState.STOPPED)
    set_quotas(
        Level.PERSON,
        {"kernel_memory_bytes": GIB, "kernel_cpu_cores": 2, "kernel_processes": 64},
        actor=cast.admin,
        person=cast.alice,
    )
    assert told(node) == [(str(of_alice.pk), Limits(memory_bytes=GIB, cpu_cores=2.0, process_count=64))]
    of_alice.refresh_from_db()
    assert of_alice.memory_limit_bytes == GIB
    set_quota(Level.TEAM, Quota.KERNEL_PROCESSES, 99, actor=cast.admin, team=cast.project.team)
    assert told(node) == [(str(of_bob.pk), Limits(process_count=99))]  # alice has a limit of her own
    set_quota(Level.SITE, Quota.KERNEL_PROCESSES, 50, actor=cast.admin)
    set_quota(Level.SITE, Quota.MAX_KERNELS, 1, actor=cast.admin)  # what runs goes on
    assert told(node) == []
    set_quotas(Level.TEAM, {}, unset=["kernel_processes"], actor=cast.admin, team=cast.project.team)
    assert told(node) == [(str(of_bob.pk), Limits(process_count=50))]


def test_a_kernel_grows_only_into_what_is_left_of_the_total(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    node = ScriptedNode(hub_wire)
    set_quotas(Level.SITE, {"kernel_memory_bytes": GIB, "total_memory_bytes": 3 * GIB}, actor=cast.admin)
    first, second = (start_project_kernel(user=cast.alice, project=cast.project) for _ in range(2))
    set_quota(Level.SITE, Quota.KERNEL_MEMORY_BYTES, 4 * GIB, actor=cast.admin)
    assert told(node) == [(str(first.pk), Limits(memory_bytes=2 * GIB))]
    second.refresh_from_db()
    assert second.memory_limit_bytes == GIB
    set_quota(Level.SITE, Quota.KERNEL_MEMORY_BYTES, GIB // 2, actor=cast.admin)
    assert {limits.memory_bytes for _, limits in told(node)} == {GIB // 2}


def test_a_message_server_that_is_away_does_not_refuse_the_change(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    ScriptedNode(hub_wire)
    kernel = start_project_kernel(user=cast.alice, project=cast.project)
    hub_wire.set_down(True)
    set_quota(Level.SITE, Quota.KERNEL_PROCESSES, 50, actor=cast.admin)
    kernel.refresh_from_db()
    assert kernel.process_limit == 50
