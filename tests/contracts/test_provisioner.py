"""What every provisioner does with a kernel's processes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.bubblewrap import Machine, SandboxSettings
from kernels_app.node.provisioners.guardian import Guardian
from kernels_app.node.provisioners.process import ProcessProvisioner, last_lines
from kernels_app.node.provisioners.processes import ProcessScan
from kernels_app.node.provisioners.sandbox import SandboxLaunch, SandboxProvisioner
from kernels_app.node.provisioners.sandbox_probe import SandboxUnavailable, find_machine

DEADLINE_S = 20

Make = Callable[[str], NodeProvisioner]


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    made = Guardian()
    yield made
    made.close()


@functools.cache
def machine() -> Machine:
    """Found out once. Skips where bubblewrap does not work."""
    try:
        return find_machine(Path(sys.executable), SandboxSettings())
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(params=["process", "sandbox", pytest.param("docker", marks=pytest.mark.container)])
async def make(request: pytest.FixtureRequest, guardian: Guardian, tmp_path: Path) -> AsyncIterator[Make]:
    spec = KernelSpec(
        argv=["unused"], display_name="test", language="none", env={"FROM_SPEC": "${BASE}-spec"}
    )

    def make_process(kernel_id: str) -> NodeProvisioner:
        return ProcessProvisioner(
            guardian=guardian, process_scan=ProcessScan(0), kernel_id=kernel_id, kernel_spec=spec, parent=None
        )

    if request.param == "process":
        yield make_process
        return

    def make_sandbox(kernel_id: str) -> NodeProvisioner:
        return SandboxProvisioner(
            machine=machine(),
            settings=SandboxSettings(),
            launch=SandboxLaunch(project=tmp_path),
            guardian=guardian,
            process_scan=ProcessScan(0),
            kernel_id=kernel_id,
            kernel_spec=spec,
            parent=None,
        )

    if request.param == "sandbox":
        machine()
        yield make_sandbox
        return
    from tests.container.engine import kernel_containers

    tmp_path.chmod(0o777)  # the kernel is another user
    with kernel_containers() as make_container:
        yield lambda kernel_id: make_container(kernel_id, spec, tmp_path)


def is_container(provisioner: NodeProvisioner) -> bool:
    return provisioner.isolation == "container"


def python_of(provisioner: NodeProvisioner) -> str:
    return "/opt/kernel/bin/python" if is_container(provisioner) else sys.executable


@pytest.fixture
async def provisioner(make: Make, request: pytest.FixtureRequest) -> AsyncIterator[NodeProvisioner]:
    made = make(f"kernel-{request.node.name}")
    yield made
    await made.cleanup()


async def launch(provisioner: NodeProvisioner, folder: Path, *command: str) -> None:
    plan = LaunchPlan(
        command=list(command),
        environment={"PATH": os.environ["PATH"], "BASE": "base"},
        cwd=folder,
        connection_file=folder / "c.json",
        limits=Limits(),
    )
    arguments = await provisioner.pre_launch(plan=plan)
    await provisioner.launch_kernel(**arguments)
    await provisioner.post_launch()


async def launch_python(provisioner: NodeProvisioner, folder: Path, code: str) -> None:
    await launch(provisioner, folder, python_of(provisioner), "-S", "-c", code)


async def output_of(provisioner: NodeProvisioner, words: str) -> str:
    async with asyncio.timeout(DEADLINE_S):
        while words not in await provisioner.last_output():
            await asyncio.sleep(0.01)
    return await provisioner.last_output()


async def ended(provisioner: NodeProvisioner) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        return await provisioner.wait()


def processes_with(word: str) -> list[int]:
    """Ids of the machine's processes with this word in their command line, in containers too."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_file_with_holes_has_a_limit(provisioner: NodeProvisioner, tmp_path: Path) -> None:
    # As a plain process it gets its limits in the first moments.
    code = (
        "import os, time\n"
        "file = os.open('holes', os.O_CREAT | os.O_RDWR)\n"
        "for _ in range(200):\n"
        "    try:\n        os.ftruncate(file, 65 << 30)\n"
        "    except OSError as error:\n        print('refused', error.errno, flush=True); break\n"
        "    time.sleep(0.05)\n"
        "os.ftruncate(file, 63 << 30)\nprint('smaller is fine', flush=True)\ntime.sleep(600)"
    )
    await launch_python(provisioner, tmp_path, code)
    assert "refused 27" in await output_of(provisioner, "fine")
    (tmp_path / "holes").unlink()


async def test_a_missing_program_and_a_missing_folder_are_os_errors(
    provisioner: NodeProvisioner, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await launch(provisioner, tmp_path, "/nowhere/kernel")
    await provisioner.cleanup()
    assert not provisioner.has_process
    with pytest.raises(FileNotFoundError):
        await launch(provisioner, tmp_path / "absent", python_of(provisioner))
    await provisioner.cleanup()
    with pytest.raises(PermissionError):
        await launch(provisioner, tmp_path, "/project" if is_container(provisioner) else str(tmp_path))
    await provisioner.cleanup()


async def test_nothing_can_be_asked_of_what_was_never_launched(provisioner: NodeProvisioner) -> None:
    assert not provisioner.has_process
    assert await provisioner.poll() is None
    assert await provisioner.wait() is None
    assert await provisioner.last_output() == ""
    assert provisioner.memory_bytes() == 0
    await provisioner.send_signal(signal.SIGINT)
    await provisioner.terminate()
    await provisioner.kill()
    await provisioner.cleanup()


async def test_it_gets_exactly_the_environment_of_plan_and_kernelspec(
    provisioner: NodeProvisioner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", "secret")
    await launch_python(
        provisioner, tmp_path, "import os; print(sorted(os.environ)); print(os.getcwd(), 'end')"
    )
    text = await output_of(provisioner, "end")
    assert "HUB_SECRET_KEY" not in text
    assert "FROM_SPEC" in text
    assert (str(tmp_path) if provisioner.isolation == "process" else "/project") in text
    assert "BASE" in text


async def test_the_exit_code_is_told_at_once(provisioner: NodeProvisioner, tmp_path: Path) -> None:
    await launch_python(
        provisioner, tmp_path, "import sys; print('last words', file=sys.stderr); sys.exit(7)"
    )
    assert await ended(provisioner) == 7
    assert await provisioner.poll() == 7
    assert not provisioner.has_process
    assert await provisioner.last_output() == "last words"
    provisioner.forget_output()
    assert await provisioner.last_output() == ""


async def test_the_signal_that_ended_it_is_told(provisioner: NodeProvisioner, tmp_path: Path) -> None:
    await launch_python(provisioner, tmp_path, "import os; os.kill(os.getpid(), 11)")
    assert await ended(provisioner) == -11


async def test_an_interrupt_reaches_it(provisioner: NodeProvisioner, tmp_path: Path) -> None:
    await launch_python(
        provisioner,
        tmp_path,
        "import os, signal, time\nsignal.signal(2, lambda *_: os.write(1, b'interrupted') and os._exit(0))\n"
        "print('ready', flush=True)\ntime.sleep(600)",
    )
    await output_of(provisioner, "ready")
    assert provisioner.has_process
    await provisioner.send_signal(signal.SIGINT)
    assert await ended(provisioner) == 0
    assert (await provisioner.last_output()).endswith("interrupted")


async def test_it_may_end_by_itself_when_terminated_and_cannot_refuse_to_be_killed(
    provisioner: NodeProvisioner, tmp_path: Path
) -> None:
    await launch_python(
        provisioner,
        tmp_path,
        "import os, signal, time\nsignal.signal(15, lambda *_: os.write(1, b'asked\\n'))\n"
        "print('ready', flush=True)\nwhile True: time.sleep(600)",
    )
    await output_of(provisioner, "ready")
    await provisioner.terminate()
    await output_of(provisioner, "asked")
    assert provisioner.has_process
    await provisioner.kill()
    assert await ended(provisioner) == -9


@pytest.mark.parametrize("how", ["itself", "killed", "cleaned up"])
async def test_its_children_end_with_it_also_those_that_left_the_group(
    provisioner: NodeProvisioner, tmp_path: Path, how: str
) -> None:
    wait = "" if how == "itself" else "time.sleep(600)"
    length = f"600.{secrets.randbelow(1 << 40):012}"
    await launch_python(
        provisioner,
        tmp_path,
        "import subprocess, time\n"
        f"a = subprocess.Popen(['sleep', '{length}'])\n"
        f"b = subprocess.Popen(['sleep', '{length}'], start_new_session=True)\n"
        f"print('end', flush=True)\n{wait}",
    )
    await output_of(provisioner, "end")
    if how != "itself":
        await until(lambda: len(processes_with(length)) == 2)
    if how == "itself":
        await ended(provisioner)
    elif how == "killed":
        await provisioner.kill()
        await ended(provisioner)
    await provisioner.cleanup()
    await until(lambda: processes_with(length) == [])


async def test_a_paused_kernel_stands_still_and_can_still_be_ended(
    provisioner: NodeProvisioner, tmp_path: Path
) -> None:
    await launch_python(
        provisioner,
        tmp_path,
        "import itertools, time\nfor n in itertools.count(): print('n', n, flush=True); time.sleep(0.002)",
    )
    await output_of(provisioner, "n 5")
    await provisioner.pause()
    await asyncio.sleep(0.05)
    before = await provisioner.last_output()
    await asyncio.sleep(0.1)
    assert await provisioner.last_output() == before
    await provisioner.unpause()
    async with asyncio.timeout(DEADLINE_S):
        while await provisioner.last_output() == before:
            await asyncio.sleep(0.01)
    await provisioner.pause()
    await provisioner.terminate()
    assert await ended(provisioner) == -15


async def test_its_memory_is_that_of_all_its_processes(provisioner: NodeProvisioner, tmp_path: Path) -> None:
    await launch_python(
        provisioner,
        tmp_path,
        "import os, time\nx = b'1' * (60 << 20)\nif os.fork(): print('parent', flush=True)\n"
        "else: y = b'1' * (60 << 20); print('child', flush=True)\ntime.sleep(600)",
    )
    await output_of(provisioner, "parent")
    await output_of(provisioner, "child")
    await until(lambda: 120 << 20 < provisioner.memory_bytes() < 400 << 20)
    await provisioner.kill()
    await ended(provisioner)
    assert provisioner.memory_bytes() == 0


async def test_output_without_end_is_read_and_its_end_is_kept(
    provisioner: NodeProvisioner, tmp_path: Path
) -> None:
    await launch_python(
        provisioner, tmp_path, "import sys\nfor n in range(300000): print('line', n)\nprint('end')"
    )
    assert await ended(provisioner) == 0
    text = await provisioner.last_output()
    assert text.endswith("line 299999\nend")
    assert len(text) < 10_000


async def test_no_descriptor_is_left_open(make: Make, tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    # The Docker SDK keeps a connection for each of the last 25 addresses it asked.
    for _ in range(6 if is_container(make("kernel-0")) else 1):
        provisioner = make("kernel-warm-up")
        await launch_python(provisioner, tmp_path, "pass")
        await ended(provisioner)
        await provisioner.cleanup()
    before = descriptors()
    for number in range(5):
        provisioner = make(f"kernel-{number}")
        await launch_python(provisioner, tmp_path, "import time; time.sleep(600)")
        await provisioner.cleanup()
    assert descriptors() == before


async def test_a_guardian_ends_what_it_watches_when_its_node_is_gone(tmp_path: Path) -> None:
    guardian = Guardian()
    processes = [
        await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True) for _ in range(3)
    ]
    for process in processes:
        guardian.watch(process.pid)
    guardian.forget(processes[1].pid)
    guardian.close()  # as the end of the node's process does
    async with asyncio.timeout(DEADLINE_S):
        assert [await processes[0].wait(), await processes[2].wait()] == [-9, -9]
    assert processes[1].returncode is None
    processes[1].kill()
    await processes[1].wait()


def test_last_lines_are_few_short_and_without_colours() -> None:
    assert last_lines("") == ""
    assert last_lines("a\n\n\x1b[31mb\x1b[0m\n \nc\nd\n") == "b\nc\nd"
    assert len(last_lines("x" * 10_000)) == 300
    assert last_lines("a\x00b") == "a\ufffdb", "the database takes no NUL"


async def test_a_kernel_yields_to_the_hub_whatever_session_it_is_in(
    provisioner: NodeProvisioner, tmp_path: Path
) -> None:
    if is_container(provisioner):
        pytest.skip("containers have shares of the processor")
    code = (
        "import os, pathlib, time\n"
        "own = pathlib.Path('/proc/self/autogroup')\n"
        "while own.exists() and 'nice 5' not in own.read_text():\n"
        "    time.sleep(0.01)\n"
        "print('yields' if os.nice(0) >= 5 else 'competes', flush=True)\n"
        "time.sleep(60)\n"
    )
    await launch_python(provisioner, tmp_path, code)

    assert "yields" in await output_of(provisioner, "s")
