"""How many terminals a person may have, and what each may use."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.test import Client

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.terminals import StartTerminal, TerminalLimits, terminals_of_person
from notebooks_app.models import Project, ProjectMembership, Role
from tests.cast import Cast, headers_of
from tests.kernels_app.api.test_terminals import commands, offer_terminals
from tests.kernels_app.scripted_node import ScriptedNode
from zasper_hub.accounts.models import User
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def node(hub_wire: MemoryStore) -> ScriptedNode:
    made = ScriptedNode(hub_wire)
    offer_terminals(made)
    return made


@pytest.fixture
def projects(cast: Cast) -> list[Project]:
    """Bob edits all of them."""
    made = []
    for number in range(4):
        project = Project.objects.create(
            team=cast.alice.personal_team, slug=f"p{number}", name=f"Project {number}", created_by=cast.alice
        )
        ProjectMembership.objects.create(project=project, user=cast.alice, role=Role.OWNER)
        ProjectMembership.objects.create(project=project, user=cast.bob, role=Role.EDITOR)
        made.append(project)
    return made


def start(user: User, project: Project, name: str | None = None) -> Any:
    body = {} if name is None else {"name": name}
    client = Client(headers=headers_of(user))
    return client.post(_path(project), body, content_type="application/json")


def stop(user: User, project: Project, name: str) -> None:
    assert Client(headers=headers_of(user)).delete(f"{_path(project)}/{name}").status_code == 204


def _path(project: Project) -> str:
    return f"/api/hub/v1/projects/{project.pk}/terminals"


def test_a_person_has_so_many_terminals_in_all_projects_and_no_more(
    cast: Cast, node: ScriptedNode, projects: list[Project], settings: Any
) -> None:
    settings.HUB_MAX_TERMINALS_PER_USER = 3
    first, second, third, fourth = projects
    assert [start(cast.bob, project).status_code for project in (first, first, second)] == [201] * 3
    refused = start(cast.bob, third)
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert error["message"] == (
        "You have 3 of 3 terminals: stop one that you do not need. "
        "They run in “Project 0” (2), “Project 1” (1)."
    )
    details = error["details"]
    assert (details["quota"], details["limit"], details["used"]) == ("terminals", 3, 3)
    assert [(each["name"], each["project"]["slug"]) for each in details["terminals"]] == [
        ("1", "p0"), ("2", "p0"), ("1", "p1"),
    ]  # fmt: skip
    assert start(cast.bob, first, "1").status_code == 201  # that is there already
    assert start(cast.alice, third).status_code == 201  # another person's
    stop(cast.bob, first, "2")
    assert start(cast.bob, fourth).status_code == 201
    assert start(cast.bob, fourth).status_code == 429


def test_terminals_that_are_gone_are_counted_no_more(
    cast: Cast, node: ScriptedNode, projects: list[Project], settings: Any
) -> None:
    settings.HUB_MAX_TERMINALS_PER_USER = 1
    for _ in range(3):
        name = start(cast.bob, projects[0]).json()["name"]
        stop(cast.bob, projects[0], name)
    assert len(node.store.get_fields(terminals_of_person(str(cast.bob.pk)))) == 1


def test_none_at_all(cast: Cast, node: ScriptedNode, projects: list[Project], settings: Any) -> None:
    settings.HUB_MAX_TERMINALS_PER_USER = 0
    refused = start(cast.bob, projects[0])
    assert (refused.status_code, refused.json()["error"]["details"]["limit"]) == (429, 0)


def test_of_many_starts_at_once_so_many_succeed_as_there_is_room_for(
    cast: Cast, node: ScriptedNode, projects: list[Project], settings: Any
) -> None:
    settings.HUB_MAX_TERMINALS_PER_USER = 2
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda project=project: statuses.append(start(cast.bob, project).status_code))
        for project in projects
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 201, 429, 429]


def test_who_may_have_no_kernel_may_have_no_terminal(
    cast: Cast, node: ScriptedNode, projects: list[Project]
) -> None:
    set_quota(Level.PERSON, Quota.MAX_KERNELS, 0, actor=cast.admin, person=cast.bob)
    refused = start(cast.bob, projects[0])
    assert refused.status_code == 429
    assert refused.json()["error"]["message"].endswith(
        "allows no kernels, and so no terminals. Ask an administrator."
    )
    assert refused.json()["error"]["details"]["quota"] == "max_kernels"
    assert commands(node) == []


def test_a_terminal_may_use_what_a_kernel_may(
    cast: Cast, node: ScriptedNode, projects: list[Project]
) -> None:
    for quota, value in (
        (Quota.KERNEL_MEMORY_BYTES, 1 << 30), (Quota.KERNEL_CPU_CORES, 1.5), (Quota.KERNEL_PROCESSES, 100),
    ):  # fmt: skip
        set_quota(Level.PERSON, quota, value, actor=cast.admin, person=cast.bob)
    start(cast.bob, projects[0])
    [command] = commands(node)
    assert isinstance(command, StartTerminal)
    assert command.limits == TerminalLimits(
        memory_bytes=1 << 30, cpu_cores=1.5, process_count=100, idle_timeout_s=12 * 3600
    )


def test_a_terminal_is_no_larger_than_all_kernels_together(
    cast: Cast, node: ScriptedNode, projects: list[Project]
) -> None:
    set_quota(Level.PERSON, Quota.TOTAL_MEMORY_BYTES, 2 << 30, actor=cast.admin, person=cast.bob)
    start(cast.bob, projects[0])
    [command] = commands(node)
    assert isinstance(command, StartTerminal)
    assert command.limits.memory_bytes == 2 << 30
