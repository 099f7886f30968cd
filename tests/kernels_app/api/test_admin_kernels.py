"""The admin API of kernels and nodes."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from kernels_app.models import Kernel, KernelState, Node
from notebooks_app.models import Document, Project
from notebooks_app.services.projects import create_project
from tests.asking import Asking
from tests.cast import Cast
from zasper_hub.accounts.models import AuditEvent, Team, TeamMembership, TeamRole

KERNELS = "/api/hub/v1/admin/kernels"
NODES = "/api/hub/v1/admin/nodes"


@pytest.fixture
def kernels(cast: Cast) -> dict[str, Kernel]:
    """Bob's two (one in the lab, which alice administers), mallory's one that waits, and one that ended."""
    node = Node.objects.create(
        node_id="n1", info={"provisioner": "docker", "memory_bytes": 8 << 30, "cpu_count": 4}
    )
    lab = Team.objects.create(slug="lab", name="Lab")
    TeamMembership.objects.create(team=lab, user=cast.alice, role=TeamRole.ADMIN)
    TeamMembership.objects.create(team=lab, user=cast.bob)
    in_lab = create_project(cast.bob, name="In the lab", team_slug="lab").project
    document = Document.objects.create(project=cast.project, path="folder/a.ipynb", epoch="e")
    foreign = create_project(cast.mallory, name="Foreign").project
    made = {"kernelspec_name": "python3", "node": node}
    return {
        "bob": Kernel.objects.create(
            project=cast.project, document=document, user=cast.bob, state=KernelState.IDLE, **made
        ),
        "lab": Kernel.objects.create(project=in_lab, user=cast.bob, state=KernelState.BUSY, **made),
        "waits": Kernel.objects.create(project=foreign, user=cast.mallory, kernelspec_name="ir"),
        "ended": Kernel.objects.create(project=foreign, user=cast.mallory, state=KernelState.DIED, **made),
    }


def ids(kernels: dict[str, Kernel], *names: str) -> set[str]:
    return {str(kernels[name].pk) for name in names}


def test_live_kernels_are_listed_filtered_and_sorted(root: Asking, kernels: dict[str, Kernel]) -> None:
    def listed(**query: str | int) -> set[str]:
        answer = root.get(KERNELS, **query)
        assert answer.status_code == 200, answer.content
        return {item["id"] for item in answer.json()["items"]}

    assert listed() == ids(kernels, "bob", "lab", "waits")
    assert listed(owner="BOB") == ids(kernels, "bob", "lab")
    assert listed(team="lab") == ids(kernels, "lab")
    assert listed(node="n1", state="idle") == ids(kernels, "bob")
    assert listed(search="folder/a") == ids(kernels, "bob")
    assert listed(search="lab", sort="owner") == ids(kernels, "lab")
    assert root.get(KERNELS, state="died").status_code == 422
    waiting = next(item for item in root.get(KERNELS).json()["items"] if item["state"] == "pending")
    assert (waiting["queue_position"], waiting["node"]) == (1, None)
    shown = root.get(KERNELS, owner="bob", state="idle").json()["items"][0]
    assert shown["document"]["path"] == "folder/a.ipynb"
    assert shown["owner"] == {"username": "bob", "display_name": "bob"}


def test_one_some_or_all_of_a_person_or_node_are_stopped(
    cast: Cast, root: Asking, kernels: dict[str, Kernel]
) -> None:
    absent = str(uuid.uuid4())
    answer = root.post(f"{KERNELS}/stop", {"ids": [str(kernels["bob"].pk), absent, str(kernels["ended"].pk)]})
    assert answer.status_code == 202, answer.content
    assert set(answer.json()["stopped"]) == ids(kernels, "bob")
    assert {row["id"] for row in answer.json()["failed"]} == {absent, str(kernels["ended"].pk)}
    kernels["bob"].refresh_from_db()
    assert (kernels["bob"].state, kernels["bob"].reason) == ("stopping", "Stopped by an administrator.")
    event = AuditEvent.objects.get(action="kernel_stopped_by_admin")
    assert (event.actor, event.target) == (cast.admin, f"kernel:{kernels['bob'].pk}")
    of_node = root.post(f"{KERNELS}/stop", {"all": True, "node": "n1"}).json()["stopped"]
    assert set(of_node) == ids(kernels, "bob", "lab")
    everything = root.post(f"{KERNELS}/stop", {"all": True}).json()["stopped"]
    assert set(everything) >= ids(kernels, "waits")


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"ids": [str(uuid.uuid4())], "all": True}, {"ids": ["x"]}],
    ids=["nothing", "no ids", "ids and all", "no id"],
)
def test_a_stop_that_names_nothing_is_refused(root: Asking, body: dict[str, object]) -> None:
    assert root.post(f"{KERNELS}/stop", body).status_code == 422


def test_a_team_administrator_sees_and_stops_only_the_team_s(cast: Cast, kernels: dict[str, Kernel]) -> None:
    alice = Asking(cast.alice)
    assert {item["id"] for item in alice.get(KERNELS).json()["items"]} == ids(kernels, "lab")
    answer = alice.post(f"{KERNELS}/stop", {"ids": [str(kernels["bob"].pk), str(kernels["lab"].pk)]}).json()
    assert set(answer["stopped"]) == ids(kernels, "lab")
    assert [row["code"] for row in answer["failed"]] == ["not_found"]
    alice.post(f"{KERNELS}/stop", {"all": True})
    kernels["waits"].refresh_from_db()
    assert kernels["waits"].state == KernelState.PENDING
    assert Project.objects.filter(deleted_at=None).count() > 1


def test_a_node_is_drained_and_put_to_use_again(root: Asking, kernels: dict[str, Kernel]) -> None:
    [node] = root.get(NODES).json()["items"]
    assert (node["id"], node["kernel_count"], node["memory_total_bytes"]) == ("n1", 2, 8 << 30)
    assert root.post(f"{NODES}/n1/drain").json()["state"] == "draining"
    assert root.post(f"{NODES}/n1/drain").json()["state"] == "draining"
    assert root.post(f"{NODES}/n1/undrain").json()["state"] == "up"
    actions = AuditEvent.objects.filter(target="node:n1").values_list("action", flat=True)
    assert sorted(actions) == ["node_drained", "node_undrained"]
    assert root.post(f"{NODES}/no-such/drain").status_code == 404


def test_a_drain_has_a_deadline_that_can_be_changed_and_taken_back(
    root: Asking, kernels: dict[str, Kernel]
) -> None:
    def until(minutes: float) -> str:
        return (timezone.now().replace(microsecond=0) + timedelta(minutes=minutes)).isoformat()

    first, second = until(60), until(90)
    shown = root.post(f"{NODES}/n1/drain", {"until": first}).json()
    assert (shown["state"], datetime.fromisoformat(shown["drain_at"])) == (
        "draining",
        datetime.fromisoformat(first),
    )
    root.post(f"{NODES}/n1/drain", {"until": first})
    assert root.post(f"{NODES}/n1/drain", {"until": second}).json()["drain_at"] != shown["drain_at"]
    assert root.post(f"{NODES}/n1/drain", {"until": None}).json()["drain_at"] is None
    root.post(f"{NODES}/n1/drain", {"until": first})
    assert root.post(f"{NODES}/n1/undrain").json()["drain_at"] is None
    events = AuditEvent.objects.filter(target="node:n1").order_by("pk")
    assert [(event.action, "until" in event.details) for event in events] == [
        ("node_drained", True),
        ("node_drained", True),
        ("node_drained", False),
        ("node_drained", True),
        ("node_undrained", False),
    ], "a repeat is no event"


@pytest.mark.parametrize(
    "until", ["yesterday", "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-12-01T10:00", 5e300]
)
def test_a_deadline_that_makes_no_sense_is_refused(
    root: Asking, kernels: dict[str, Kernel], until: object
) -> None:
    answer = root.post(f"{NODES}/n1/drain", {"until": until})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert Node.objects.get(pk="n1").state == "up"


def test_a_node_that_is_up_uses_nothing_when_it_has_no_kernels_and_is_unknown_when_lost(
    root: Asking, kernels: dict[str, Kernel]
) -> None:
    figures = ("memory_used_bytes", "memory_reserved_bytes", "cpu_used", "memory_total_bytes", "cpu_total")
    Kernel.objects.filter(pk=kernels["bob"].pk).update(
        memory_bytes=3 << 20, cpu_cores=0.5, memory_limit_bytes=1 << 30
    )
    Node.objects.create(node_id="n2", info={"memory_bytes": 4 << 30, "cpu_count": 2})
    Node.objects.create(node_id="n3", state="lost", info={"memory_bytes": 4 << 30, "cpu_count": 2})
    shown = {node["id"]: [node[name] for name in figures] for node in root.get(NODES).json()["items"]}
    assert shown == {
        "n1": [3 << 20, 1 << 30, 0.5, 8 << 30, 4],
        "n2": [0, 0, 0, 4 << 30, 2],
        "n3": [None, None, None, 4 << 30, 2],
    }


def test_only_a_lost_node_is_removed(root: Asking, kernels: dict[str, Kernel]) -> None:
    assert root.delete(f"{NODES}/n1").json()["error"]["code"] == "conflict"
    Node.objects.filter(pk="n1").update(state="lost")
    assert root.post(f"{NODES}/n1/drain").json()["error"]["code"] == "conflict"
    assert root.delete(f"{NODES}/n1").status_code == 204
    assert root.delete(f"{NODES}/n1").status_code == 404
    kernels["ended"].refresh_from_db()
    assert kernels["ended"].node is None
