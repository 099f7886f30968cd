"""What a new kernel reserves of its person's quotas, and who is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from kernels_app.bus.envelopes import Limits, StartKernel
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.errors import QuotaExceeded, UnknownKernelspec
from kernels_app.models import LIVE_STATES, DailyUsage, Kernel, KernelState
from kernels_app.services.kernel_sessions import open_session
from kernels_app.services.kernels import start_kernel, switch_kernelspec
from kernels_app.services.project_kernels import start_project_kernel
from notebooks_app.models import Project, ProjectMembership, Role
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import Team
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

GIB = 1 << 30


def give(cast: Cast, quota: Quota, value: object, level: Level = Level.SITE, **whose: Any) -> None:
    set_quota(level, quota, value, actor=cast.admin, **whose)


@pytest.mark.django_db(transaction=True)
def test_of_twenty_starts_at_once_with_a_quota_of_three_exactly_three_succeed(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    give(cast, Quota.MAX_KERNELS, 3, Level.PERSON, person=cast.alice)
    node = ScriptedNode(hub_wire)
    documents = [make_document(cast, "1", path=f"{number}.ipynb") for number in range(10)]
    gate = threading.Barrier(20)
    started: list[Kernel] = []
    refused: list[QuotaExceeded] = []
    errors: list[BaseException] = []

    def start(number: int) -> None:
        try:
            gate.wait(timeout=20)
            if number < 10:
                started.append(start_kernel(user=cast.alice, document=documents[number]))
            else:
                started.append(start_project_kernel(user=cast.alice, project=cast.project))
        except QuotaExceeded as error:
            refused.append(error)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    assert not errors
    assert (len(started), len(refused)) == (3, 17)
    assert Kernel.objects.filter(user=cast.alice, state__in=LIVE_STATES).count() == 3
    assert len([command for command in node.commands() if isinstance(command, StartKernel)]) == 3
    assert {error.details["used"] for error in refused} == {3}
    assert all(len(error.details["kernels"]) == 3 for error in refused)


@pytest.mark.django_db(transaction=True)
def test_of_many_starts_at_once_no_more_memory_is_reserved_than_the_total(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    give(cast, Quota.KERNEL_MEMORY_BYTES, 2 * GIB)
    give(cast, Quota.TOTAL_MEMORY_BYTES, 5 * GIB)
    ScriptedNode(hub_wire)
    gate = threading.Barrier(8)
    errors: list[str] = []

    def start() -> None:
        try:
            gate.wait(timeout=20)
            start_project_kernel(user=cast.alice, project=cast.project)
        except QuotaExceeded as error:
            errors.append(error.details["quota"])
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    limits = Kernel.objects.filter(user=cast.alice).values_list("memory_limit_bytes", flat=True)
    assert list(limits) == [2 * GIB, 2 * GIB]
    assert errors == ["total_memory_bytes"] * 6


def test_a_kernel_carries_its_limits_to_the_node(cast: Cast, hub_wire: MemoryStore) -> None:
    give(cast, Quota.KERNEL_MEMORY_BYTES, GIB)
    give(cast, Quota.KERNEL_CPU_CORES, 1.5)
    give(cast, Quota.KERNEL_PROCESSES, 100)
    node = ScriptedNode(hub_wire)
    kernel = start_project_kernel(user=cast.bob, project=cast.project)
    from kernels_app.services.commands import send_start

    send_start(kernel)
    [command] = node.commands()
    assert isinstance(command, StartKernel)
    assert command.limits == Limits(memory_bytes=GIB, cpu_cores=1.5, process_count=100)


def test_the_quotas_of_the_project_s_team_count(cast: Cast, hub_wire: MemoryStore) -> None:
    lab = Team.objects.create(slug="lab", name="Lab")
    shared = Project.objects.create(team=lab, slug="shared", name="Shared")
    ProjectMembership.objects.create(project=shared, user=cast.bob, role=Role.EDITOR)
    give(cast, Quota.KERNEL_MEMORY_BYTES, GIB)
    give(cast, Quota.KERNEL_MEMORY_BYTES, 4 * GIB, Level.TEAM, team=lab)
    ScriptedNode(hub_wire)
    assert start_project_kernel(user=cast.bob, project=shared).memory_limit_bytes == 4 * GIB
    assert start_project_kernel(user=cast.bob, project=cast.project).memory_limit_bytes == GIB


def test_without_a_limit_of_its_own_a_kernel_gets_what_is_left_of_the_total(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    give(cast, Quota.TOTAL_MEMORY_BYTES, 4 * GIB)
    ScriptedNode(hub_wire)
    assert start_project_kernel(user=cast.alice, project=cast.project).memory_limit_bytes == 4 * GIB
    with pytest.raises(QuotaExceeded, match=r"have 4\.0 GiB of the 4\.0 GiB"):
        start_project_kernel(user=cast.alice, project=cast.project)


def test_kernels_that_ended_give_back_what_they_had(cast: Cast, hub_wire: MemoryStore) -> None:
    give(cast, Quota.MAX_KERNELS, 1)
    ScriptedNode(hub_wire)
    kernel = start_project_kernel(user=cast.alice, project=cast.project)
    with pytest.raises(QuotaExceeded, match="You are running 1 of 1 kernel: stop one"):
        start_project_kernel(user=cast.alice, project=cast.project)
    Kernel.objects.filter(pk=kernel.pk).update(state=KernelState.STOPPED, ended_at=timezone.now())
    start_project_kernel(user=cast.alice, project=cast.project)


def test_changing_the_kernelspec_of_the_last_kernel_needs_no_room_for_two(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    give(cast, Quota.MAX_KERNELS, 1)
    ScriptedNode(hub_wire)
    document = make_document(cast, "1")
    start_kernel(user=cast.alice, document=document)
    kernel = switch_kernelspec(user=cast.alice, document=document, kernelspec_name="deno")
    assert kernel.kernelspec_name == "deno"


def by_document(cast: Cast) -> Kernel:
    return start_kernel(user=cast.alice, document=make_document(cast, "1"), kernelspec_name="deno")


def by_switching(cast: Cast) -> Kernel:
    document = make_document(cast, "1")
    return switch_kernelspec(user=cast.alice, document=document, kernelspec_name="deno")


def by_project(cast: Cast) -> Kernel:
    return start_project_kernel(user=cast.alice, project=cast.project, kernelspec_name="deno")


def by_session(cast: Cast) -> Kernel:
    return open_session(
        user=cast.alice, project=cast.project, path="x.py", kind="console", kernelspec_name="deno"
    ).kernel


@pytest.mark.parametrize("start", [by_document, by_switching, by_project, by_session])
def test_a_kernelspec_that_is_not_allowed_is_started_in_no_way(
    cast: Cast, hub_wire: MemoryStore, start: Callable[[Cast], Kernel]
) -> None:
    give(cast, Quota.KERNELSPECS, ["python3"], Level.PERSON, person=cast.alice)
    node = ScriptedNode(hub_wire)
    with pytest.raises(UnknownKernelspec, match=r"your own limit allows\. You may start: python3") as caught:
        start(cast)
    assert caught.value.details["available"] == ["python3"]
    assert not Kernel.objects.exists()
    assert node.commands() == []


def test_who_has_used_up_the_computing_budget_starts_no_more(cast: Cast, hub_wire: MemoryStore) -> None:
    give(cast, Quota.COMPUTE_GIB_HOURS, 10)
    ScriptedNode(hub_wire)
    now = timezone.now()
    Kernel.objects.create(
        project=cast.project, user=cast.alice, kernelspec_name="python3", state=KernelState.STOPPED,
        memory_limit_bytes=2 * GIB, ready_at=now - timedelta(hours=4), ended_at=now,
    )  # fmt: skip
    start_project_kernel(user=cast.alice, project=cast.project)  # 8 of 10
    DailyUsage.objects.create(user=cast.alice, day=now.date() - timedelta(days=10), reserved_gib_hours=2)
    with pytest.raises(QuotaExceeded, match=r"used up: 10\.0 of 10\.0 GiB-hours") as caught:
        start_project_kernel(user=cast.alice, project=cast.project)
    assert caught.value.details["quota"] == "compute_gib_hours"
    start_project_kernel(user=cast.bob, project=cast.project)  # a person's own


def test_what_was_computed_before_the_window_counts_no_more(cast: Cast, hub_wire: MemoryStore) -> None:
    give(cast, Quota.COMPUTE_GIB_HOURS, 1)
    ScriptedNode(hub_wire)
    day = timezone.now().date()
    DailyUsage.objects.create(user=cast.alice, day=day - timedelta(days=30), reserved_gib_hours=100)
    start_project_kernel(user=cast.alice, project=cast.project)
    DailyUsage.objects.create(user=cast.alice, day=day - timedelta(days=29), measured_gib_hours=100)
    with pytest.raises(QuotaExceeded):
        start_project_kernel(user=cast.alice, project=cast.project)


def test_zero_kernels_says_so(cast: Cast, hub_wire: MemoryStore) -> None:
    give(cast, Quota.MAX_KERNELS, 0, Level.PERSON, person=cast.alice)
    ScriptedNode(hub_wire)
    with pytest.raises(QuotaExceeded, match="Your own limit allows no kernels"):
        start_project_kernel(user=cast.alice, project=cast.project)
