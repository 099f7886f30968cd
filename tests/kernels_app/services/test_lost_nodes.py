"""Nodes that are lost, and whoever ends their kernels interrupted in between."""

from __future__ import annotations

import pytest

from kernels_app.bus.envelopes import NodeStopped
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.transport import TransportError
from kernels_app.models import Kernel, Node
from kernels_app.services import endings, upkeep
from kernels_app.services.hub_log import now_ms
from kernels_app.services.runs import CellToRun, run_cells
from tests.cast import Cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def node(cast: Cast, hub_wire: MemoryStore) -> ScriptedNode:
    """With two kernels."""
    node = ScriptedNode(hub_wire)
    for path in ("a.ipynb", "b.ipynb"):
        document = make_document(cast, "1", path=path)
        run_cells(user=cast.alice, document=document, request_id=path, cells=[CellToRun("c1", "1")])
    Kernel.objects.update(state="idle")
    return node


def lose(node: ScriptedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease has been away for long enough."""
    node.leave()
    upkeep.reap_lost_nodes()
    now = now_ms()
    monkeypatch.setattr(upkeep, "now_ms", lambda: now + 16_000)


def states() -> set[str]:
    return set(Kernel.objects.values_list("state", flat=True))


def test_whoever_is_interrupted_while_ending_kernels_leaves_them_to_the_next_look(
    node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(node, monkeypatch)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(endings, "end_kernel", _interrupt)
        with pytest.raises(TransportError):
            upkeep.reap_lost_nodes()
    assert states() == {"idle"}
    upkeep.reap_lost_nodes()
    assert states() == {"lost"}
    assert Node.objects.get().state == "lost"


def test_kernels_of_the_life_after_are_not_lost_with_it(
    node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(node, monkeypatch)
    upkeep.reap_lost_nodes()
    fence = Node.objects.get().fence
    assert fence > node.fence, "no event of the life that was given up is believed"
    Kernel.objects.update(state="idle", fence=fence + 1)
    upkeep.reap_lost_nodes()
    assert states() == {"idle"}


def test_a_node_that_stops_ends_its_kernels_with_its_own_reason(
    node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = NodeStopped(node_id=node.node_id, fence=node.fence, at=now_ms())
    with monkeypatch.context() as interrupted:
        interrupted.setattr(endings, "end_kernel", _interrupt)
        with pytest.raises(TransportError):
            endings.record_node_stopped(event)
    upkeep.reap_lost_nodes()
    endings.record_node_stopped(event)
    assert states() == {"stopped"}
    assert Node.objects.get().state == "lost"


def _interrupt(*arguments: object, **options: object) -> bool:
    raise TransportError("The process was ended here.")
