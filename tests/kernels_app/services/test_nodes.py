"""Kernels that only a row or only a node knows, and rows that are deleted under their kernels."""

from __future__ import annotations

from uuid import uuid4

import pytest

from kernels_app.bus.envelopes import StopKernel
from kernels_app.bus.identifiers import NODES_KEY, KernelId
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.errors import NotFound
from kernels_app.models import Kernel, Node
from kernels_app.services import nodes, upkeep
from kernels_app.services.hub_log import now_ms
from kernels_app.services.kernels import start_kernel
from kernels_app.services.nodes import reap_orphans, set_draining
from kernels_app.services.project_kernels import start_project_kernel
from notebooks_app.models import Project
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import Team, User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(transactional_db: None, hub_wire: MemoryStore) -> Cast:
    return make_cast()


@pytest.fixture
def node(hub_wire: MemoryStore) -> ScriptedNode:
    return ScriptedNode(hub_wire)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    at = now_ms() + round(seconds * 1000)
    monkeypatch.setattr(nodes, "now_ms", lambda: at)


def key(kernel: Kernel) -> KernelId:
    return KernelId(str(kernel.pk))


def test_a_row_whose_kernel_nobody_has_is_lost_but_not_at_once(
    cast: Cast, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = start_kernel(user=cast.alice, document=make_document(cast, "1"))
    node.bring_up()
    Kernel.objects.update(state="idle")
    node.list_kernels()
    assert reap_orphans() == 0, "the list may be a few seconds old"
    later(monkeypatch, 30)
    assert reap_orphans() == 1
    kernel.refresh_from_db()
    assert (kernel.state, kernel.reason) == ("lost", "Its node does not have the kernel any more.")


def test_a_kernel_that_its_node_lists_in_time_is_left_alone(
    cast: Cast, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = start_project_kernel(user=cast.alice, project=cast.project)
    Kernel.objects.update(state="idle")
    node.list_kernels()
    reap_orphans()
    node.list_kernels(key(kernel))
    later(monkeypatch, 30)
    assert reap_orphans() == 0
    node.list_kernels()
    assert reap_orphans() == 0, "the count begins anew"


def test_a_kernel_that_starts_or_stops_is_no_orphan(
    cast: Cast, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = start_project_kernel(user=cast.alice, project=cast.project)
    for state in ("pending", "stopping"):
        Kernel.objects.update(state=state)
        for listed in ([], [key(kernel)]):
            node.list_kernels(*listed)
            reap_orphans()
            later(monkeypatch, 30)
            assert reap_orphans() == 0


@pytest.mark.parametrize("row", ["none", "ended"])
def test_a_kernel_without_a_living_row_is_stopped(
    cast: Cast, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    kernel_id = KernelId(str(uuid4()))
    if row == "ended":
        kernel_id = key(start_project_kernel(user=cast.alice, project=cast.project))
        Kernel.objects.update(state="lost")
    node.commands()
    node.list_kernels(kernel_id)
    reap_orphans()
    assert node.commands() == []
    later(monkeypatch, 30)
    assert reap_orphans() == 1
    assert node.command(StopKernel).kernel_id == kernel_id


def test_a_list_of_an_earlier_life_says_nothing(
    cast: Cast, node: ScriptedNode, hub_wire: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.list_kernels(KernelId(str(uuid4())))
    node.leave()
    again = ScriptedNode(hub_wire)
    reap_orphans()
    later(monkeypatch, 30)
    assert reap_orphans() == 0
    assert again.commands() == []


def test_a_node_is_told_again_whether_it_drains_until_it_says_so_itself(
    cast: Cast, node: ScriptedNode
) -> None:
    Node.objects.create(node_id=node.node_id, fence=node.fence)
    set_draining(node.node_id, True)
    node.register(is_draining=True)
    nodes.tell_draining_nodes()
    Node.objects.update(state="up")
    node.register(is_draining=False)
    with pytest.raises(NotFound):
        set_draining("unheard-of", True)
    Node.objects.update(state="lost")
    with pytest.raises(NotFound):
        set_draining(node.node_id, True)


# What they belong to is deleted


def test_a_deleted_account_s_kernels_are_stopped(cast: Cast, node: ScriptedNode) -> None:
    kernel = start_project_kernel(user=cast.bob, project=cast.project)
    kept = start_project_kernel(user=cast.alice, project=cast.project)
    node.commands()
    User.objects.get(pk=cast.bob.pk).delete()
    assert node.command(StopKernel).kernel_id == key(kernel)
    kernel.refresh_from_db()
    kept.refresh_from_db()
    assert (kernel.state, kept.state) == ("stopping", "pending")


def test_a_disabled_account_s_kernels_are_stopped_at_the_next_look(cast: Cast, node: ScriptedNode) -> None:
    kernel = start_project_kernel(user=cast.bob, project=cast.project)
    User.objects.filter(pk=cast.bob.pk).update(is_active=False)
    assert upkeep.stop_kernels_of_nobody() == 1
    kernel.refresh_from_db()
    assert (kernel.state, kernel.reason) == (
        "stopping",
        "Stopped because the account that started it was disabled or deleted.",
    )
    assert upkeep.stop_kernels_of_nobody() == 0


def test_deleting_a_team_or_project_stops_its_kernels(cast: Cast, node: ScriptedNode) -> None:
    team = Team.objects.create(slug="lab", name="Lab")
    shared = Project.objects.create(team=team, slug="shared", name="Shared")
    kernel = start_project_kernel(user=cast.alice, project=shared)
    node.commands()
    shared.delete()
    assert node.command(StopKernel).kernel_id == key(kernel)


def test_deleting_a_node_ends_its_kernels_and_forgets_it(
    cast: Cast, node: ScriptedNode, hub_wire: MemoryStore
) -> None:
    up = start_project_kernel(user=cast.alice, project=cast.project)
    Kernel.objects.update(state="idle")
    node.commands()
    Node.objects.get(pk=node.node_id).delete()
    up.refresh_from_db()
    assert (up.state, up.reason) == ("lost", "The node that ran the kernel was removed.")
    assert node.command(StopKernel).kernel_id == key(up)
    assert node.node_id not in hub_wire.get_fields(NODES_KEY)


def test_a_kernel_that_is_nowhere_is_lost(cast: Cast, node: ScriptedNode) -> None:
    kernel = start_project_kernel(user=cast.alice, project=cast.project)
    Kernel.objects.update(state="busy", node=None)
    upkeep.stop_kernels_of_nobody()
    kernel.refresh_from_db()
    assert kernel.state == "lost"
