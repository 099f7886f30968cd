"""`manage.py generate_demo`."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from kernels_app.bus.identifiers import NodeId, command_stream
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.transport import FROM_START
from kernels_app.models import Kernel, Node
from kernels_app.services.budget import end_over_budget
from kernels_app.services.culling import watch_lives
from kernels_app.services.demo import DEMO_DOMAIN
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.upkeep import reap_lost_nodes
from kernels_app.services.waiting import queue_positions
from kernels_app.tasks import watch_kernels
from notebooks_app.models import Project
from tests.asking import Asking
from tests.cast import PASSWORD, Cast, make_cast
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import Team, User
from zasper_hub.accounts.quotas import Level
from zasper_hub.accounts.services import create_person
from zasper_hub.accounts.services.quotas import set_quotas


def test_it_fills_an_empty_hub_with_rows_only_and_takes_them_away_again(db: None) -> None:
    root = create_person(username="root", password=PASSWORD, is_administrator=True)
    teams_before = Team.objects.count()
    folders = Path(settings.DATA_DIR) / "projects"
    before = set(folders.iterdir()) if folders.is_dir() else set()
    call_command("generate_demo", "--people", "50", "--kernels", "30", "--nodes", "3", stdout=StringIO())
    assert (User.objects.count(), Kernel.objects.count(), Node.objects.count()) == (51, 30, 3)
    asking = Asking(root)
    hub = asking.get("/api/hub/v1/admin/overview").json()
    assert (hub["people"]["total"], hub["kernels"]["total"], len(hub["nodes"])) == (51, 30, 3)
    assert hub["people"]["online"] > 5
    assert hub["queue"]["length"] == 2
    assert all(node["is_demo"] and node["memory_used_bytes"] for node in hub["nodes"])
    people = asking.get("/api/hub/v1/admin/people", sort="-storage_bytes", limit=3).json()["items"]
    assert people[0]["storage_bytes"] >= people[1]["storage_bytes"] > 0
    teams = asking.get("/api/hub/v1/admin/teams").json()["items"]
    assert sum(team["storage_bytes"] for team in teams) > 0
    assert (set(folders.iterdir()) if folders.is_dir() else set()) == before
    # They are on no wire, and yet not lost: twice, as the worker looks.
    assert reap_lost_nodes() == reap_lost_nodes() == []
    with pytest.raises(CommandError, match="already"):
        call_command("generate_demo", stdout=StringIO())
    call_command("generate_demo", "--remove", stdout=StringIO())
    assert (User.objects.count(), Kernel.objects.count(), Node.objects.count()) == (1, 0, 0)
    assert (Project.objects.count(), Team.objects.count()) == (0, teams_before)


def test_it_refuses_a_hub_that_people_use_unless_told(cast: Cast) -> None:
    with pytest.raises(CommandError, match="people of its own"):
        call_command("generate_demo", stdout=StringIO())
    assert User.objects.count() == 5
    call_command(
        "generate_demo", "--people", "3", "--kernels", "2", "--nodes", "1", "--force", stdout=StringIO()
    )
    assert User.objects.count() == 8
    call_command("generate_demo", "--remove", stdout=StringIO())
    assert User.objects.count() == 5
    assert Project.objects.filter(pk=cast.project.pk).exists()


@pytest.mark.parametrize("arguments", [("--people", "-1"), ("--people", "501"), ("--nodes", "51")])
def test_absurd_numbers_are_refused(db: None, arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        call_command("generate_demo", *arguments, stdout=StringIO())


def test_what_watches_over_kernels_leaves_demo_rows_alone(
    hub_wire: MemoryStore, transactional_db: None
) -> None:
    cast = make_cast()
    call_command(
        "generate_demo", "--people", "20", "--kernels", "30", "--nodes", "2", "--force", stdout=StringIO()
    )
    assert not Kernel.objects.filter(user__in=(cast.alice, cast.bob)).exists()
    demo = dict(Kernel.objects.values_list("pk", "state"))
    Kernel.objects.update(last_activity_at=timezone.now() - timedelta(days=9), kernelspec_name="python3")
    node = ScriptedNode(hub_wire)
    real = start_project_kernel(user=cast.alice, project=cast.project)
    assert real.node_id == node.node_id, "it does not queue behind what never starts"
    node.commands()
    limits = {
        "idle_timeout_s": 60,
        "max_life_s": 600,
        "kernel_memory_bytes": 1 << 30,
        "compute_gib_hours": 0.1,
    }
    set_quotas(Level.SITE, limits, actor=cast.admin)
    User.objects.filter(email__endswith=DEMO_DOMAIN).update(is_active=False)
    for _look in range(2):
        watch_kernels()
        watch_lives(timezone.now() + timedelta(days=1))
        end_over_budget()
    assert dict(Kernel.objects.filter(pk__in=demo).values_list("pk", "state")) == demo
    assert not Kernel.objects.filter(pk__in=demo).exclude(ends_at=None).exists()
    for number in (1, 2):
        assert not hub_wire.read_log(command_stream(NodeId(f"demo-node-{number}")), FROM_START, None)
    positions = queue_positions()
    assert sorted(positions.values()) == [1, 2]
    Node.objects.filter(pk=node.node_id).update(state="draining")
    second = start_project_kernel(user=cast.bob, project=cast.project)
    assert queue_positions()[second.pk] == 1, "who really waits is the first"
