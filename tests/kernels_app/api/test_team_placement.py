"""On which nodes a team's kernels and terminals run, as administrators of the hub set it."""

from __future__ import annotations

from typing import Any

import pytest

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.terminals import TERMINALS_LABEL
from kernels_app.errors import NoNode
from kernels_app.models import Node, TeamPlacement
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.terminals import start_terminal
from tests.asking import Asking
from tests.cast import Cast, make_cast
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import AuditEvent, Team, TeamMembership, TeamRole

pytestmark = pytest.mark.django_db(transaction=True)


class Placing(Asking):
    def __init__(self, cast: Cast, person: Any) -> None:
        super().__init__(person)
        self.path = f"/api/hub/v1/admin/teams/{cast.project.team.slug}/placement"

    def put(self, labels: object) -> Any:
        from django.test import Client

        return Client().put(
            self.path, {"node_labels": labels}, content_type="application/json", headers=self.headers
        )

    def shown(self) -> Any:
        return self.get(self.path).json()


@pytest.fixture
def cast(transactional_db: None, hub_wire: MemoryStore) -> Cast:
    return make_cast()


@pytest.fixture
def root(cast: Cast) -> Placing:
    return Placing(cast, cast.admin)


@pytest.fixture
def two_nodes(hub_wire: MemoryStore) -> None:
    """A large one, and a small one with a GPU; both offer terminals."""
    for name, gib, labels in (("plain", 64, {}), ("small", 1, {"gpu": "a100", "zone": "lab"})):
        ScriptedNode(hub_wire, name, memory_bytes=gib << 30, labels={TERMINALS_LABEL: "yes", **labels})
        Node.objects.create(node_id=name, fence=1)


def test_kernels_and_terminals_of_a_team_go_where_it_is_put(
    cast: Cast, root: Placing, two_nodes: None
) -> None:
    assert root.shown()["node_labels"] == {}
    assert start_project_kernel(user=cast.alice, project=cast.project).node_id == "plain"
    shown = root.put({"gpu": "a100"}).json()
    assert shown == root.shown()
    assert [(node["id"], node["is_suitable"]) for node in shown["nodes"]] == [
        ("plain", False),
        ("small", True),
    ]
    assert [node["labels"] for node in shown["nodes"]] == [{}, {"gpu": "a100", "zone": "lab"}]
    assert start_project_kernel(user=cast.alice, project=cast.project).node_id == "small"
    assert start_terminal(user=cast.alice, project=cast.project).node_id == "small"
    assert root.put({}).json()["node_labels"] == {}
    assert not TeamPlacement.objects.exists()
    assert start_project_kernel(user=cast.alice, project=cast.project).node_id == "plain"
    [first, second] = AuditEvent.objects.filter(action="team_placement_changed").order_by("pk")
    assert first.details == {"old": "everywhere", "new": "gpu=a100"}
    assert (second.details["new"], second.actor, second.team_id) == (
        "everywhere",
        cast.admin,
        cast.project.team_id,
    )


def test_a_team_that_no_node_suits_is_told_so(cast: Cast, root: Placing, two_nodes: None) -> None:
    shown = root.put({"zone": "moon"}).json()
    assert not any(node["is_suitable"] for node in shown["nodes"])
    with pytest.raises(NoNode, match="meant for kernels of this team"):
        start_project_kernel(user=cast.alice, project=cast.project)
    with pytest.raises(NoNode, match="meant for this team"):
        start_terminal(user=cast.alice, project=cast.project)


def test_what_is_set_again_is_no_event(root: Placing) -> None:
    root.put({"gpu": "yes"})
    root.put({"gpu": "yes"})
    assert AuditEvent.objects.filter(action="team_placement_changed").count() == 1


@pytest.mark.parametrize(
    "labels",
    [
        {"": "yes"},
        {"gpu": ""},
        {"gpu": "a,b=c"},
        {"a b": "c"},
        {"gpu": "x" * 64},
        {"g\npu": "yes"},
        {"gpu": 5},
        {"gpu": {"a": "b"}},
        ["gpu"],
        None,
        {f"l{number}": "x" for number in range(21)},
    ],
)
def test_labels_that_no_node_can_have_are_refused(root: Placing, labels: object) -> None:
    answer = root.put(labels)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert not TeamPlacement.objects.exists()


def test_a_team_s_own_administrator_does_not_place_it(cast: Cast) -> None:
    lab = Team.objects.create(slug="lab", name="Lab")
    TeamMembership.objects.create(team=lab, user=cast.alice, role=TeamRole.ADMIN)
    alice = Placing(cast, cast.alice)
    alice.path = "/api/hub/v1/admin/teams/lab/placement"
    assert alice.put({"gpu": "yes"}).status_code == 403
    assert alice.get(alice.path).status_code == 403
