"""What a sandbox's command line, its filter, control groups and the watchdog are made of."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kernels_app.bus.envelopes import Limits
from kernels_app.node.config import ConfigError, NodeConfig, read_config
from kernels_app.node.isolation import find_isolation
from kernels_app.node.provisioners import control_groups
from kernels_app.node.provisioners.bubblewrap import (
    Machine,
    OpenFile,
    SandboxSettings,
    is_visible,
    sandbox_words,
)
from kernels_app.node.provisioners.control_groups import ControlGroup, ControlGroups, find_control_groups
from kernels_app.node.provisioners.processes import ProcessScan, Usage
from kernels_app.node.provisioners.sandbox_probe import SandboxUnavailable, find_machine
from kernels_app.node.provisioners.syscall_filter import syscall_filter
from kernels_app.node.provisioners.terminal_process import _LAUNCHER
from kernels_app.node.resources import Resources

MACHINE = Machine(
    program="/usr/bin/bwrap", links={"/bin": "usr/bin", "/lib": None}, kernel_folders=(Path("/srv/kernels"),)
)


def config(tmp_path: Path, **environment: str) -> NodeConfig:
    return read_config(
        {
            "NODE_PROJECTS_ROOT": str(tmp_path),
            "NODE_RUN_DIR": str(tmp_path / "run"),
            "NODE_KERNEL_PYTHON": sys.executable,
            "REDIS_URL": "memory://x",
            **environment,
        }
    )


def words(settings: SandboxSettings | None = None, machine: Machine = MACHINE) -> list[str]:
    return sandbox_words(
        machine,
        settings or SandboxSettings(),
        project=Path("/data/projects/one"),
        cwd=Path("/data/projects/one/sub"),
        files=[OpenFile(7, "/etc/passwd"), OpenFile(8, "/run/kernel/c.json", is_writable=True)],
        tmp_bytes=1000,
        status_descriptor=9,
    )


def pairs(found: list[str], option: str) -> list[tuple[str, str]]:
    return [(found[n + 1], found[n + 2]) for n, word in enumerate(found) if word == option]


def test_the_project_is_the_only_folder_of_the_machine_that_can_be_written() -> None:
    found = words()
    assert pairs(found, "--bind") == [("/data/projects/one", "/project")]
    assert "--dev-bind" not in found
    assert found[found.index("--chdir") + 1] == "/project/sub"
    assert found[-1] == "--"
    # The root is sealed after everything is in its place.
    assert found.index("--bind") < found.index("/", found.index("--remount-ro", found.index("--bind")))


def test_the_network_is_there_only_when_the_operator_says_so() -> None:
    assert "--unshare-net" in words()
    assert "/etc/resolv.conf" not in words()
    assert "--unshare-net" not in words(SandboxSettings(network="host"))
    assert "/etc/resolv.conf" in words(SandboxSettings(network="host"))


def test_without_user_namespaces_all_rights_are_still_dropped() -> None:
    found = words(machine=Machine(program="bwrap", links={}, kernel_folders=(), has_user_namespace=False))
    assert "--unshare-user" not in found
    assert found[found.index("--cap-drop") + 1] == "ALL"


def test_a_program_is_visible_by_folders_and_not_by_letters() -> None:
    settings = SandboxSettings(readable=(Path("/opt/julia"),))
    for program in ("/usr/bin/x", "/srv/kernels/bin/python", "/opt/julia/bin/julia"):
        assert is_visible(MACHINE, settings, Path(program))
    for program in ("/opt/julia-2/bin/julia", "/home/x/bin/y", "/usrlocal/x"):
        assert not is_visible(MACHINE, settings, Path(program))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_whole_instructions_that_end_in_an_answer(machine: str) -> None:
    program = syscall_filter(machine)
    assert program is not None
    instructions = list(struct.iter_unpack("<HBBI", program))
    assert instructions[-1] == (0x06, 0, 0, 0x7FFF0000)
    for place, (code, if_true, if_false, _) in enumerate(instructions):
        if code & 0x07 == 0x05:
            assert place + 1 + max(if_true, if_false) < len(instructions)


def test_a_machine_that_is_not_known_has_no_filter() -> None:
    assert syscall_filter("riscv64") is None


def test_a_machine_without_bubblewrap_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        find_machine(Path(sys.executable), SandboxSettings(), path=str(tmp_path))


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: Creating new namespace failed: No space left on device", "max_user_namespaces"),
        ("bwrap: something new", "something new"),
    ],
)
def test_a_bubblewrap_that_does_not_work_is_refused_with_its_reason(
    tmp_path: Path, says: str, reason: str
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(SandboxUnavailable, match=reason):
        find_machine(Path(sys.executable), SandboxSettings(), path=str(tmp_path))


def test_auto_falls_back_with_a_warning_and_sandbox_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_isolation(config(tmp_path))
    assert found.name == "process"
    assert any("bubblewrap" in warning for warning in found.warnings)
    assert find_isolation(config(tmp_path, NODE_PROVISIONER="process")).warnings == []
    with pytest.raises(ConfigError, match="bubblewrap"):
        find_isolation(config(tmp_path, NODE_PROVISIONER="sandbox"))


def fake_group(root: Path, *names: str) -> Path:
    """A folder that looks like a group of version 2 whose children have these controllers."""
    folder = root / "hub"
    folder.mkdir()
    (root / "cgroup.controllers").write_text("")
    (folder / "cgroup.controllers").write_text(" ".join(names))
    (folder / "cgroup.subtree_control").write_text(" ".join(names))
    return folder


def test_limits_are_written_as_version_2_wants_them(tmp_path: Path) -> None:
    folder = fake_group(tmp_path, "memory", "cpu", "pids")
    group = ControlGroup(dict.fromkeys(("memory", "cpu", "pids"), folder), "one", is_version_2=True)
    group.limit(Limits(memory_bytes=512 << 20, cpu_cores=1.5, process_count=64))
    made = folder / "one"
    assert (made / "memory.max").read_text() == str(512 << 20)
    assert (made / "memory.oom.group").read_text() == "1"
    assert (made / "cpu.max").read_text() == "150000 100000"
    assert (made / "pids.max").read_text() == "64"
    group.limit(Limits())
    assert [(made / name).read_text() for name in ("memory.max", "cpu.max", "pids.max")] == [
        "max", "max 100000", "max",
    ]  # fmt: skip
    assert not group.is_out_of_memory
    (made / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert group.is_out_of_memory


def test_a_node_that_may_make_no_groups_finds_none(tmp_path: Path) -> None:
    assert find_control_groups("n", root=tmp_path, own="0::/hub\n") is None
    fake_group(tmp_path)  # no controllers for its children
    assert find_control_groups("n", root=tmp_path, own="0::/hub\n") is None
    assert find_control_groups("n", root=tmp_path, own="12:pids:/nowhere\n") is None


class DelegatedTree:
    """Groups of version 2 as systemd leaves them: the hub's own group with its processes, in one that was delegated."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.delegated = root / "system.slice" / "hub.service"
        self.own = self.delegated / "main"
        self.own.mkdir(parents=True)
        self._delegated: set[Path] = set()
        for folder in (root, root / "system.slice", self.delegated, self.own):
            self.offer(folder, "cpuset cpu io memory pids", is_delegated=folder == self.delegated)
        write = Path.write_text

        def write_text(path: Path, data: str, *arguments: Any, **options: Any) -> int:
            """As the operating system takes it: a word switches a controller on, where that is allowed."""
            if path.name != "cgroup.subtree_control":
                return write(path, data, *arguments, **options)
            offered = (path.parent / "cgroup.controllers").read_text().split()
            if path.parent not in self._delegated or data[1:] not in offered:
                raise OSError(errno.EBUSY, "Device or resource busy")
            return write(path, " ".join({*path.read_text().split(), data[1:]}))

        monkeypatch.setattr(Path, "write_text", write_text)
        # Folders made here are none of the kernel's, which alone could take a process in.
        monkeypatch.setattr(control_groups, "_works", lambda groups: True)

    def offer(self, folder: Path, names: str, *, is_delegated: bool) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text(names)
        (folder / "cgroup.subtree_control").touch()
        if is_delegated:
            self._delegated.add(folder)

    def found(self, own: str = "0::/system.slice/hub.service/main\n", **given: Path) -> ControlGroups | None:
        return find_control_groups("n", root=self.root, own=own, **given)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DelegatedTree:
    return DelegatedTree(tmp_path / "cgroup", monkeypatch)


def test_groups_are_made_in_the_nearest_that_may_have_children_with_limits(tree: DelegatedTree) -> None:
    groups = tree.found()
    assert groups is not None
    assert groups.controllers == {"cpu", "memory", "pids"}
    group = groups.make("kernel/../one", Limits(memory_bytes=1 << 20, cpu_cores=0.25, process_count=3))
    [made] = tree.delegated.glob("zasper-n-*")
    assert made.name.startswith("zasper-n-kernelone-")
    assert {path.name: path.read_text() for path in made.iterdir()} == {
        "memory.max": str(1 << 20),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.max": "25000 100000",
        "pids.max": "3",
    }
    assert str(made / "cgroup.procs") in group.enter_words


def test_a_group_that_was_handed_over_is_taken_and_no_other(tree: DelegatedTree) -> None:
    handed = tree.root / "handed"
    tree.offer(handed, "cpu pids", is_delegated=False)
    assert tree.found(given=handed) is None, "nothing can be switched on there"
    tree.offer(handed, "cpu pids", is_delegated=True)
    groups = tree.found(given=handed)
    assert groups is not None
    assert groups.controllers == {"cpu", "pids"}
    groups.make("k", Limits(process_count=1))
    assert len(list(handed.glob("zasper-n-k-*"))) == 1
    outside = tree.root.parent / "outside"
    tree.offer(outside, "cpu pids", is_delegated=True)
    assert tree.found(given=outside) is None, "that is no control group"


@pytest.mark.parametrize(
    "own", ["", "0::/system.slice\n", "0::/elsewhere\n", "11:memory:/system.slice/hub.service\n", "rubbish"]
)
def test_a_tree_that_is_somebody_else_s_is_left_alone(tree: DelegatedTree, own: str) -> None:
    assert tree.found(own) is None
    assert not list(tree.root.rglob("zasper-*"))


def test_only_old_groups_of_the_same_node_are_removed(tree: DelegatedTree) -> None:
    old, young, of_other = (tree.delegated / f"zasper-{name}" for name in ("n-old", "n-young", "other-old"))
    for folder in (old, young, of_other):
        folder.mkdir()
    for folder in (old, of_other):
        os.utime(folder, (0, 0))
    assert tree.found() is not None
    assert [folder.exists() for folder in (old, young, of_other)] == [False, True, True]


def real_groups() -> ControlGroups:
    found = find_control_groups(f"test{os.getpid()}")
    if found is None:
        pytest.skip("this machine lets nobody here make control groups")
    return found


def test_a_fork_above_the_limit_of_a_real_group_fails(tmp_path: Path) -> None:
    group = real_groups().make("kernel", Limits(process_count=5))
    code = (
        "import os, time\nmade = 0\ntry:\n    for _ in range(20):\n"
        "        if os.fork() == 0: time.sleep(60)\n        made += 1\n"
        "except OSError as error: print(error.errno, made)"
    )
    try:
        with (tmp_path / "said").open("w") as file:  # a pipe would be kept open by its children
            subprocess.run(
                [*group.enter_words, sys.executable, "-S", "-c", code], stdout=file, check=False, timeout=20
            )
        assert (tmp_path / "said").read_text().strip() == "11 4"
    finally:
        group.remove()
    assert not any(Path("/sys/fs/cgroup").glob(f"*/zasper-test{os.getpid()}-kernel*"))


def test_what_a_session_and_its_runaways_use_is_summed() -> None:
    process = subprocess.Popen(
        ["sh", "-c", "sleep 60 & setsid sleep 60 & wait"], start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        scan = ProcessScan(0)
        while scan.usage(process.pid).process_count < 3:
            assert process.poll() is None
        usage = scan.usage(process.pid)
        assert usage.process_count == 3
        assert 0 < asyncio.run(scan.exact_memory_bytes(process.pid)) < usage.memory_bytes < 100 << 20
    finally:
        for pid in [*scan.children(process.pid), process.pid]:
            os.kill(pid, 9)
        process.wait()


async def test_nothing_else_waits_while_processes_are_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork bomb has many, and each takes milliseconds."""
    process = await asyncio.create_subprocess_exec("sh", "-c", "sleep 60 & wait", start_new_session=True)
    is_weighing, goes_on = threading.Event(), threading.Event()

    def weigh(_: object) -> int:
        is_weighing.set()
        assert goes_on.wait(20)
        return 1

    monkeypatch.setattr("kernels_app.node.provisioners.processes._proportional_bytes", weigh)
    scan = ProcessScan(0)
    try:
        while scan.usage(process.pid).process_count < 2:
            await asyncio.sleep(0.01)
        weighed = asyncio.create_task(scan.exact_memory_bytes(process.pid))
        async with asyncio.timeout(20):
            while not is_weighing.is_set():
                await asyncio.sleep(0.01)
        goes_on.set()
        assert await weighed == 2
    finally:
        os.killpg(process.pid, 9)
        await process.wait()


def test_a_kernel_is_ended_by_what_it_really_uses() -> None:
    resources = Resources()
    limits = Limits(memory_bytes=100 << 20, process_count=10)
    assert resources.overrun(Usage(memory_bytes=100 << 20, process_count=10), 100 << 20, limits) is None
    # Three processes that share most of it.
    assert resources.overrun(Usage(memory_bytes=300 << 20), 99 << 20, limits) is None
    reason = resources.overrun(Usage(memory_bytes=300 << 20), 120 << 20, limits)
    assert reason is not None
    assert reason.startswith("Killed at 120 MiB of 100 MiB.")
    reason = resources.overrun(Usage(process_count=400), 0, limits)
    assert reason is not None
    assert reason.startswith("Killed at 400 of 10 processes.")
    assert resources.overrun(Usage(memory_bytes=1 << 40, process_count=10_000), 1 << 40, Limits()) is None


def test_figures_are_told_when_they_change() -> None:
    resources = Resources()
    first = resources.news(Usage(memory_bytes=50 << 20, cpu_s=1.0), 10.0)
    assert first is not None
    assert first.cpu_cores == 0.0
    assert resources.news(Usage(memory_bytes=(50 << 20) + 4096, cpu_s=1.01), 15.0) is None
    busy = resources.news(Usage(memory_bytes=50 << 20, cpu_s=6.01), 20.0)
    assert busy is not None
    assert busy.cpu_cores == 1.0
    restarted = resources.news(Usage(memory_bytes=40 << 20, cpu_s=0.1), 25.0)
    assert restarted is not None
    assert restarted.cpu_cores == 0.0


def test_a_shell_is_never_less_nice_than_its_node() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    arguments = ["5", str(1 << 36), "/bin/sh", "-c", "nice"]
    keyboard, terminal = os.openpty()
    try:
        for added in (0, 12):
            done = subprocess.run(
                ["nice", "-n", str(added), sys.executable, "-c", _LAUNCHER, *arguments],
                stdin=terminal,
                capture_output=True,
                text=True,
                start_new_session=True,
                check=True,
                timeout=60,
            )
            assert int(done.stdout) == max(5, min(19, own + added))
    finally:
        os.close(keyboard)
        os.close(terminal)
