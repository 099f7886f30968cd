"""Which projects are measured, told of and found to fill the disk; and what is ended then, on a real node."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kernels_app.bus.envelopes import KernelEvent, ProjectFigures, ProjectsMeasured
from kernels_app.bus.memory_store import forget_memory_store
from kernels_app.node import storage_watch
from kernels_app.node.storage import (
    FILLING_FILES,
    SELDOM_S,
    WRITTEN_FILES,
    Disk,
    Growth,
    Size,
    Storage,
    disk_reason,
    disk_warning,
)
from kernels_app.node.storage_watch import disk_of_folder, folder_size
from tests.kernels_app.node.running_node import DEADLINE_S, NODE_ID, Notebook, RunningNode, running_node
from tests.kernels_app.node.terminal_reader import Shell

MIB = 1 << 20
DISK = Disk(100 << 30, 50 << 30)
FULL = Disk(DISK.total_bytes, 1000 * MIB)
WIRE = "storage"
WRITES = (
    "import time\n"
    "with open('big', 'wb') as file:\n"
    "    for _ in range({count}): file.write(b'x' * (1 << 20)); file.flush(); time.sleep({pause_s})\n"
)
WITHOUT_END = WRITES.format(count=100_000, pause_s=0.005)


def used_more(disk: Disk, count: int) -> Disk:
    return Disk(disk.total_bytes, disk.free_bytes - count)


# What is decided


def test_a_project_is_measured_when_something_starts_in_it_and_when_something_was_written() -> None:
    storage = Storage()
    assert storage.due(["a"], DISK, 0.0) == ["a"]
    storage.measured({"a": Size(100)}, DISK, now_s=0.0, took_s=0.0)
    assert storage.due(["a"], DISK, 1.0) == []
    assert storage.due(["a"], used_more(DISK, 3 * MIB), 1.0) == []
    assert storage.due(["a", "b"], used_more(DISK, 3 * MIB), 1.0) == ["b"]
    assert storage.due(["a"], used_more(DISK, 4 * MIB), 1.0) == ["a"]
    # What others delete meanwhile hides what is written.
    assert storage.due(["a"], used_more(DISK, -40 * MIB), 1.0) == []
    assert storage.due(["a"], used_more(DISK, -40 * MIB), SELDOM_S) == ["a"]


def test_measuring_takes_a_small_share_of_the_time_but_what_is_new_never_waits() -> None:
    storage = Storage()
    storage.measured({"a": Size(0)}, DISK, now_s=10.0, took_s=0.5)
    written = used_more(DISK, 100 * MIB)
    assert storage.due(["a", "new"], written, 19.9) == ["new"]
    storage.due(["a"], written, 19.9)
    assert storage.due(["a"], written, 20.0) == ["a"]
    # A disk that is nearly full cannot wait so long.
    storage.measured({"a": Size(0)}, FULL, now_s=30.0, took_s=0.5)
    assert storage.due(["a"], FULL, 30.9) == []
    assert storage.due(["a"], FULL, 31.0) == ["a"]


def test_the_hub_is_told_of_what_changed_and_how_much_a_project_grew_since_its_least() -> None:
    storage = Storage()
    for sizes, told in (
        ({"a": 50 * MIB, "b": 0}, {"a": Growth(50 * MIB, 0), "b": Growth(0, 0)}),
        ({"a": 50 * MIB + 1000}, {}),
        ({"a": 20 * MIB}, {"a": Growth(20 * MIB, 0)}),
        ({"a": 60 * MIB, "b": 1000}, {"a": Growth(60 * MIB, 40 * MIB)}),
    ):
        found = {name: Size(count) for name, count in sizes.items()}
        storage.measured(found, DISK, now_s=0.0, took_s=0.0)
        assert storage.news() == told
    storage.due([], DISK, 1.0)  # nothing runs in them any more
    storage.measured({"a": Size(60 * MIB)}, DISK, now_s=0.0, took_s=0.0)
    assert storage.news() == {"a": Growth(60 * MIB, 0)}


@pytest.mark.parametrize(
    ("reserve_bytes", "total_bytes", "expected_bytes"),
    [(None, 2 << 40, 1 << 30), (None, 10 << 30, 512 * MIB), (300 * MIB, 2 << 40, 300 * MIB)],
)
def test_a_share_of_the_disk_is_the_hub_s(
    reserve_bytes: int | None, total_bytes: int, expected_bytes: int
) -> None:
    storage = Storage(reserve_bytes)
    assert storage.reserve_of(Disk(total_bytes, 0)) == expected_bytes
    assert storage.is_short(Disk(total_bytes, expected_bytes - 1))
    assert not storage.is_short(Disk(total_bytes, expected_bytes))


def test_the_project_that_grows_most_fills_the_disk_and_none_that_hardly_grows() -> None:
    storage = Storage()

    def filling(slow: int, fast: int, disk: Disk = FULL) -> str | None:
        sizes = {"large": Size(900 * MIB), "slow": Size(slow * MIB), "fast": Size(fast * MIB)}
        storage.measured(sizes, disk, now_s=0.0, took_s=0.0)
        return storage.filling(disk)

    assert storage.filling(FULL) is None
    assert filling(0, 0, DISK) is None
    assert filling(50, 60, DISK) is None, "while there is room"
    assert filling(65, 75) is None
    assert filling(64, 150) == "fast"
    assert filling(64, 151) is None, "it is not blamed twice for the same"
    # Whoever writes little at a time fills it too, at last.
    assert [filling(slow, 151) for slow in (58, 62, 66, 70, 74, 78)] == [None, None, "slow", None, None, None]
    assert filling(20, 151) is None
    assert filling(35, 151) is None
    assert filling(36, 151) == "slow", "what was deleted is room to fill again"
    assert filling(100, 200, DISK) is None
    assert filling(115, 200) is None


def test_files_without_content_fill_a_disk_too() -> None:
    storage = Storage()
    roomy, scarce = (
        Disk(100 << 30, 50 << 30, 1_000_000, 500_000),
        Disk(100 << 30, 50 << 30, 1_000_000, 49_999),
    )
    assert not storage.is_short(roomy)
    assert storage.is_short(scarce)
    assert not storage.is_short(Disk(100 << 30, 50 << 30)), "a disk that counts no files"
    assert not storage.is_short(Disk(1 << 40, 1 << 39, 10**9, 200_000)), "enough, however large the disk"
    storage.measured({"a": Size(10), "b": Size(900 * MIB, 40)}, roomy, now_s=0.0, took_s=0.0)
    assert storage.due(["a", "b"], roomy, 1.0) == []
    written = Disk(roomy.total_bytes, roomy.free_bytes, roomy.total_files, roomy.free_files - WRITTEN_FILES)
    assert storage.due(["a", "b"], written, 1.0) == ["a", "b"]
    storage.measured({"a": Size(10, FILLING_FILES - 1)}, scarce, now_s=1.0, took_s=0.0)
    assert storage.filling(scarce) is None
    # Who writes one large file does not take what is scarce.
    storage.measured({"a": Size(10, FILLING_FILES), "b": Size(1900 * MIB, 41)}, scarce, now_s=2.0, took_s=0.0)
    assert storage.filling(scarce) == "a"
    assert storage.filling(scarce) is None, "it is not blamed twice for the same"
    assert "only 49,999 more files fit" in disk_reason(scarce)
    assert disk_warning(scarce).startswith("Only 49,999 of 1,000,000 files more fit ")


def test_a_folder_is_counted_as_a_hostile_kernel_left_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "below" / "file").write_bytes(b"x" * 1000)
    (project / "sparse").touch()
    os.truncate(project / "sparse", 1 << 40)
    (tmp_path / "other").write_bytes(b"x" * 5000)
    (project / "to-all").symlink_to("/")
    (project / "to-itself").symlink_to(project)
    os.mkfifo(project / "pipe")
    deep = project
    for _ in range(300):
        deep = deep / "deep"
        deep.mkdir()
    links = sum(os.lstat(project / name).st_size for name in ("to-all", "to-itself"))
    later = time.monotonic() + 60
    assert folder_size(project, until_s=later) == Size((1 << 40) + 1000 + links, 306)
    assert folder_size(project, until_s=time.monotonic()) == Size(0), "out of time"
    assert folder_size(project / "absent", until_s=later) == Size(0)
    assert folder_size(project / "sparse", until_s=later) == Size(0), "no folder"


# What is done


class SmallDisk:
    """As large as a test says, with what its projects really hold."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free_bytes = 1 << 40
        self.free_files = 1_000_000
        monkeypatch.setattr(storage_watch, "disk_of_folder", self.of)

    def of(self, folder: Path) -> Disk:
        held = folder_size(folder, until_s=time.monotonic() + 60)
        return Disk(
            2000 * MIB, self.free_bytes - held.files_bytes, 1_000_000, self.free_files - held.files_count
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    return SmallDisk(monkeypatch)


@pytest.fixture(params=["process", "sandbox"])
async def node(request: pytest.FixtureRequest, disk: SmallDisk, tmp_path: Path) -> AsyncIterator[RunningNode]:
    forget_memory_store(WIRE)
    async with running_node(tmp_path / "n", f"memory://{WIRE}", provisioner=request.param) as running:
        yield running
    forget_memory_store(WIRE)


async def told_of(node: RunningNode, project: str, check: Callable[[ProjectFigures], bool]) -> ProjectFigures:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for event in await node.events():
                found = event.projects.get(project) if isinstance(event, ProjectsMeasured) else None
                if found is not None and check(found):
                    return found
            await asyncio.sleep(0.02)


async def ready(node: RunningNode, project: str) -> Notebook:
    notebook = node.notebook()
    await notebook.start(project_path=project)
    await notebook.kernel_state("idle")
    return notebook


async def test_the_hub_is_told_what_a_kernel_writes(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "n" / "projects" / "project" / "was there").write_bytes(b"x" * (3 * MIB))
    notebook = await ready(node, "project")
    first = await told_of(node, "project", lambda found: True)
    assert first == ProjectFigures(3 * MIB, 0)
    await notebook.run(WRITES.format(count=20, pause_s=0))
    last = await told_of(node, "project", lambda found: found.files_bytes >= 23 * MIB)
    assert last == ProjectFigures(23 * MIB, 20 * MIB)
    await notebook.kernel_state("idle")
    assert not [
        event for event in await node.events() if isinstance(event, KernelEvent) and event.state == "killed"
    ]


@pytest.mark.parametrize(
    ("node", "where"), [("process", "background"), ("sandbox", "cell")], indirect=["node"]
)
async def test_who_fills_the_disk_ends_and_others_go_on(
    node: RunningNode, disk: SmallDisk, where: str
) -> None:
    neighbour = await ready(node, "other")
    [counting] = await neighbour.run(
        "import time\nfor n in range(10**6): print(n, flush=True); time.sleep(0.05)"
    )
    writer = await ready(node, "project")
    disk.free_bytes = 180 * MIB
    if where == "cell":
        await writer.run(WITHOUT_END)
    else:
        await writer.run(f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {WITHOUT_END!r}])")
    ended = await writer.kernel_state("killed")
    assert ended.reason.startswith("Killed while it wrote: only ")
    assert "MiB are free on the disk of all projects" in ended.reason
    # Something is left for the hub, and nobody else noticed.
    assert storage_watch.disk_of_folder(node.supervisor._config.projects_root).free_bytes > 0
    before = await neighbour.text(counting)
    async with asyncio.timeout(DEADLINE_S):
        while await neighbour.text(counting) == before:
            await asyncio.sleep(0.02)
    assert node.supervisor._info(1).warnings[-1].startswith("Only ")


async def test_who_makes_files_without_end_ends(node: RunningNode, disk: SmallDisk) -> None:
    writer = await ready(node, "project")
    await told_of(node, "project", lambda found: True)
    disk.free_files = 60_000
    await writer.run("n = 0\nwhile True: open(f'{n}', 'w').close(); n += 1")
    ended = await writer.kernel_state("killed")
    assert "more files fit on the disk of all projects" in ended.reason
    assert disk.of(node.supervisor._config.projects_root).free_files > 0


@pytest.fixture
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own start-up files of shells do may take its time."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("_home_of_its_own")
async def test_a_terminal_that_fills_the_disk_ends(node: RunningNode, disk: SmallDisk) -> None:
    shell = Shell(node.wire, NODE_ID, node.fence)
    await shell.start()
    reader = await shell.reader()
    await told_of(node, "project", lambda found: True)
    disk.free_bytes = 180 * MIB
    await reader.type("while :; do head -c 1000000 /dev/zero >> big; done\n")
    assert (await reader.sees_end()).reason.startswith("Killed while it wrote: only ")


def test_the_disk_is_that_of_the_folder(tmp_path: Path) -> None:
    found = disk_of_folder(tmp_path)
    assert 0 < found.free_bytes < found.total_bytes
