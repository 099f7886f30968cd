"""Kernels that go on writing when their project is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from kernels_app.bus.envelopes import ProjectFigures, ProjectsMeasured, StopKernel
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel, KernelState
from kernels_app.selectors.terminals import live_terminals
from kernels_app.services.project_kernels import start_project_kernel
from kernels_app.services.storage_limits import SLACK_BYTES, record_project_figures
from kernels_app.services.terminals import start_terminal
from notebooks_app.models import Project, ProjectStorage
from notebooks_app.services.projects import create_project
from notebooks_app.services.storage_quota import measure
from notebooks_app.storage.project_files import project_folder
from tests.cast import Cast, make_cast
from tests.kernels_app.scripted_node import ScriptedNode, now_ms
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1 << 20


class Scene:
    """Two kernels of one project and one of another; what the node measured of the first."""

    def __init__(self, store: MemoryStore, *, limit_bytes: int | None = 100 * MIB) -> None:
        self.cast: Cast = make_cast()
        if limit_bytes is not None:
            set_quota(Level.SITE, Quota.PROJECT_STORAGE_BYTES, limit_bytes, actor=self.cast.admin)
        self.node = ScriptedNode(store, labels={"terminals": "yes"})
        self.project = self.cast.project
        other = create_project(self.cast.alice, name="Other").project
        self.idle, self.busy = (
            start_project_kernel(user=self.cast.alice, project=self.project) for _ in range(2)
        )
        self.of_other = start_project_kernel(user=self.cast.alice, project=other)
        self.become(self.idle, KernelState.IDLE)
        self.become(self.busy, KernelState.BUSY)
        self.become(self.of_other, KernelState.BUSY)
        measure(self.project)
        self.node.commands()

    def become(self, kernel: Kernel, state: KernelState) -> None:
        Kernel.objects.filter(pk=kernel.pk).update(state=state)

    def keep(self, size_bytes: int) -> None:
        """Files of this size are in the project."""
        folder = Path(settings.DATA_DIR) / project_folder(self.project.pk)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "big").open("wb") as file:
            file.truncate(size_bytes)

    def measured(self, files_bytes: int, grown_bytes: int, *, project: str = "") -> list[StopKernel]:
        """What the hub does about it."""
        figures = {project or str(self.project.pk): ProjectFigures(files_bytes, grown_bytes)}
        record_project_figures(
            ProjectsMeasured(node_id=self.node.node_id, fence=self.node.fence, at=now_ms(), projects=figures)
        )
        commands = self.node.commands()
        assert all(isinstance(command, StopKernel) for command in commands)
        return [command for command in commands if isinstance(command, StopKernel)]


def ids(commands: list[StopKernel]) -> set[str]:
    return {str(command.kernel_id) for command in commands}


def test_who_makes_a_full_project_larger_ends_and_is_told_the_figures(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire)
    scene.keep(120 * MIB)
    [command] = scene.measured(120 * MIB, 120 * MIB)
    assert (command.kernel_id, command.state) == (str(scene.busy.pk), "killed")
    assert command.reason == (
        "This project has 120 MiB of 100 MiB of storage in use: a kernel that went on writing was ended. "
        "Delete files and empty the trash, or ask an administrator for more."
    )


def test_the_figures_are_kept(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire)
    assert scene.measured(50 * MIB, 50 * MIB) == []
    assert ProjectStorage.objects.get(project=scene.project).files_bytes == 50 * MIB
    assert scene.measured(-5, 0) == []
    assert ProjectStorage.objects.get(project=scene.project).files_bytes == 0


def test_without_a_busy_kernel_all_there_is_ends(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire)
    start_terminal(user=scene.cast.alice, project=scene.project)
    scene.become(scene.busy, KernelState.IDLE)
    scene.keep(120 * MIB)
    assert ids(scene.measured(120 * MIB, 120 * MIB)) == {str(scene.idle.pk), str(scene.busy.pk)}
    assert live_terminals(scene.project.pk) == []


@pytest.mark.parametrize("kept_mib", [99, 100])
def test_nobody_ends_while_there_is_room(hub_wire: MemoryStore, kept_mib: int) -> None:
    scene = Scene(hub_wire)
    scene.keep(kept_mib * MIB)
    assert scene.measured(kept_mib * MIB, kept_mib * MIB) == []


def test_work_in_a_full_project_goes_on_while_it_does_not_grow(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire)
    scene.keep(500 * MIB)
    # Notebooks are saved in a full project too.
    assert scene.measured(500 * MIB, 0) == []
    assert scene.measured(500 * MIB, SLACK_BYTES - 1) == []
    assert ids(scene.measured(500 * MIB, SLACK_BYTES)) == {str(scene.busy.pk)}


def test_figures_that_are_out_of_date_end_nobody(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire)
    scene.keep(10 * MIB)  # deleted since the node looked
    ProjectStorage.objects.filter(project=scene.project).update(measured_at="2000-01-01T00:00:00Z")
    assert scene.measured(500 * MIB, 500 * MIB) == []
    assert ProjectStorage.objects.get(project=scene.project).files_bytes == 10 * MIB


def test_without_a_quota_nobody_ends(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire, limit_bytes=None)
    scene.keep(1000 * MIB)
    assert scene.measured(1000 * MIB, 1000 * MIB) == []


def test_the_storage_of_a_person_counts_too(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire, limit_bytes=None)
    alice = scene.cast.alice
    set_quota(Level.PERSON, Quota.PERSON_STORAGE_BYTES, 60 * MIB, actor=scene.cast.admin, person=alice)
    ProjectStorage.objects.filter(project=scene.project).update(trash_bytes=0)
    scene.keep(70 * MIB)
    [command] = scene.measured(70 * MIB, 70 * MIB)
    assert command.reason.startswith("The projects of ")
    assert " 70 MiB of 60 MiB of storage in use" in command.reason


@pytest.mark.parametrize("project", ["", "no id", "7f000001-0000-4000-8000-000000000000"])
def test_projects_that_are_not_there_are_left_out(hub_wire: MemoryStore, project: str) -> None:
    scene = Scene(hub_wire)
    if not project:
        Project.objects.filter(pk=scene.project.pk).delete()
        scene.node.commands()
    assert scene.measured(500 * MIB, 500 * MIB, project=project) == []


def test_a_message_server_that_is_away_fails_nothing(hub_wire: MemoryStore) -> None:
    scene = Scene(hub_wire)
    scene.become(scene.busy, KernelState.IDLE)
    scene.keep(120 * MIB)
    hub_wire.set_down(True)
    try:
        record_project_figures(
            ProjectsMeasured(
                node_id=scene.node.node_id,
                fence=scene.node.fence,
                at=now_ms(),
                projects={str(scene.project.pk): ProjectFigures(120 * MIB, 120 * MIB)},
            )
        )
    finally:
        hub_wire.set_down(False)
