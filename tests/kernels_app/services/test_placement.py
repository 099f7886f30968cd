"""Which node takes a kernel: free memory, places, labels, and nodes that drain or go."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from kernels_app.bus.envelopes import Execute, NodeStarted, StartKernel, decode_command
from kernels_app.bus.identifiers import command_stream
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.errors import NoNode
from kernels_app.models import Kernel, Node, TeamPlacement
from kernels_app.services.endings import record_node_lost, record_node_started
from kernels_app.services.nodes import set_draining
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.queue import fill_places
from kernels_app.services.runs import CellToRun, run_cells
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode, now_ms

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(transactional_db: None, hub_wire: MemoryStore) -> Cast:
    return make_cast()


def test_memory_limits_are_reserved(cast: Cast, hub_wire: MemoryStore, settings: Any) -> None:
    from zasper_hub.accounts.models import QuotaSetting
    from zasper_hub.accounts.quotas import Level, Quota

    settings.HUB_MEMORY_OVERCOMMIT = 1.0
    QuotaSetting.objects.create(level=Level.SITE, quota=Quota.KERNEL_MEMORY_BYTES, value=3 << 30)
    ScriptedNode(hub_wire, memory_bytes=8 << 30)
    kernels = [start_project_kernel(user=cast.alice, project=cast.project) for _ in range(3)]
    assert [kernel.node_id for kernel in kernels] == ["node-a", "node-a", None]
    settings.HUB_MEMORY_OVERCOMMIT = 2.0
    assert fill_places() == 1
    QuotaSetting.objects.update(value=32 << 30)
    with pytest.raises(NoNode, match="the largest has 16"):
        start_project_kernel(user=cast.alice, project=cast.project)


def test_a_team_s_kernels_go_where_its_labels_say(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, "node-a", memory_bytes=64 << 30)
    ScriptedNode(hub_wire, "node-b", memory_bytes=1 << 30, labels={"zone": "lab"})
    placement = TeamPlacement.objects.create(team=cast.project.team, node_labels={"zone": "lab"})
    assert start_project_kernel(user=cast.alice, project=cast.project).node_id == "node-b"
    placement.node_labels = {"zone": "moon"}
    placement.save()
    with pytest.raises(NoNode):
        start_project_kernel(user=cast.alice, project=cast.project)
    assert Kernel.objects.count() == 1


# Nodes that drain and nodes that go


def test_a_drained_node_keeps_what_it_has_and_gets_no_more(cast: Cast, hub_wire: MemoryStore) -> None:
    node = ScriptedNode(hub_wire)
    kept = start_project_kernel(user=cast.alice, project=cast.project)
    node.commands()
    set_draining(node.node_id, True)
    set_draining(node.node_id, True)  # harmless
    told = hub_wire.read_log(command_stream(node.node_id), "0-0", None)[-1]  # type: ignore[arg-type]
    assert decode_command(told.payload).is_draining is True  # type: ignore[union-attr]
    waiting = start_project_kernel(user=cast.bob, project=cast.project)
    kept.refresh_from_db()
    assert (kept.state, kept.node_id, waiting.node_id) == ("pending", "node-a", None)
    set_draining(node.node_id, False)
    waiting.refresh_from_db()
    assert waiting.node_id == "node-a"


def test_while_one_drains_the_other_takes_all(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, "node-a", memory_bytes=64 << 30)
    ScriptedNode(hub_wire, "node-b", memory_bytes=1 << 30)
    assert start_project_kernel(user=cast.alice, project=cast.project).node_id == "node-a"
    set_draining("node-a", True)
    assert start_project_kernel(user=cast.alice, project=cast.project).node_id == "node-b"


def test_a_kernel_whose_node_was_lost_before_it_began_waits_for_another(
    cast: Cast, hub_wire: MemoryStore
) -> None:
    first = ScriptedNode(hub_wire, "node-a")
    mine = make_document(cast, "1", "2", path="mine.ipynb")
    accepted = run_cells(user=cast.bob, document=mine, request_id="r", cells=[CellToRun("c1", "1")])
    [never_begun, _] = first.commands()
    assert isinstance(never_begun, StartKernel)
    first.leave()
    record_node_lost("node-a", Node.objects.get(pk="node-a").fence)
    assert accepted.kernel_id is not None
    kernel = Kernel.objects.get(pk=accepted.kernel_id)
    assert (kernel.state, kernel.node_id) == ("pending", None)
    second = ScriptedNode(hub_wire, "node-b")
    record_node_started(NodeStarted(node_id=second.node_id, fence=second.fence, at=now_ms(), info=b"{}"), {})
    start, execute = second.commands()
    assert isinstance(start, StartKernel)
    assert isinstance(execute, Execute)
    assert start.log_generation > never_begun.log_generation, "what the first may still write comes too late"
    second.kernel(start, "idle")
    assert Node.objects.get(pk="node-a").state == "lost"


def test_what_one_node_has_lost_does_not_touch_the_other_s(cast: Cast, hub_wire: MemoryStore) -> None:
    ScriptedNode(hub_wire, "node-a", slot_count=1, memory_bytes=64 << 30)
    ScriptedNode(hub_wire, "node-b", slot_count=1)
    kernels = [start_project_kernel(user=cast.alice, project=cast.project) for _ in range(3)]
    assert [kernel.node_id for kernel in kernels] == ["node-a", "node-b", None]
    Kernel.objects.exclude(node=None).update(state="idle")
    record_node_lost("node-a", Node.objects.get(pk="node-a").fence)
    states: dict[UUID, str] = dict(Kernel.objects.values_list("pk", "state"))
    assert [states[kernel.pk] for kernel in kernels] == ["lost", "idle", "pending"]
