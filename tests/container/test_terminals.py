"""Terminals in containers, without a hub."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernels_app.bus.terminals import TerminalId, TerminalLimits
from kernels_app.node.environment import container_environment
from kernels_app.node.provisioners.container_settings import ContainerSettings
from kernels_app.node.provisioners.terminal_base import TerminalPlan
from kernels_app.node.provisioners.terminal_docker import DockerTerminal
from tests.container.engine import skip_without_engine
from tests.container.images import KERNEL, image

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]
SOON_S = 30


class OpenTerminal:
    """A started terminal, its output so far."""

    def __init__(self, terminal: DockerTerminal, descriptor: int) -> None:
        self.terminal = terminal
        self.descriptor = descriptor
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    async def says(self, words: str) -> None:
        deadline = time.monotonic() + SOON_S
        while words not in self.text:
            assert time.monotonic() < deadline, f"{words!r} is not in {self.text!r}"
            try:
                self.text += os.read(self.descriptor, 65536).decode("utf-8", "replace")
            except BlockingIOError:
                await asyncio.sleep(0.02)


@pytest.fixture
async def opened() -> AsyncIterator[OpenTerminal]:
    skip_without_engine()
    kernel_image = await asyncio.to_thread(image, KERNEL)
    from kernels_app.node.provisioners.engine import Engine

    folder = Path(tempfile.mkdtemp(prefix="zasper-terminal-"))
    project = folder / "project"
    (project / "inside").mkdir(parents=True)
    for path in (folder, project, project / "inside"):
        path.chmod(0o777)
    settings = ContainerSettings(images=(kernel_image,))
    engine = Engine(settings, node_id=f"test-{folder.name}", run_dir=folder)
    engine.start()
    terminal = DockerTerminal(engine=engine, project_name=lambda _: folder.name)
    plan = TerminalPlan(
        terminal_id=TerminalId("one"),
        environment=container_environment(requested={}, cpu_cores=1),
        project_folder=project,
        cwd=project / "inside",
        limits=TerminalLimits(memory_bytes=256 << 20, cpu_cores=1),
    )
    try:
        yield OpenTerminal(terminal, await terminal.start(plan))
    finally:
        await terminal.cleanup()
        assert engine.own_containers() == []
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_shell_runs_in_the_project_closed_off_and_ends_as_told(opened: OpenTerminal) -> None:
    opened.type("echo $((20+1)) $(pwd) $(id -u)\n")
    await opened.says("21 /project/inside 10001")
    opened.type(
        "grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /var/run/docker.sock /data; touch /etc/x\n"
    )
    await opened.says("CapEff:\t0000000000000000")
    await opened.says("NoNewPrivs:\t1")
    await opened.says("Read-only file system")
    assert opened.text.count("No such file") == 2
    opened.type("python -c \"import numpy; print('sum', numpy.arange(3).sum() * 7)\"\n")
    await opened.says("sum 21")
    opened.terminal.resize(33, 101)
    deadline = time.monotonic() + SOON_S
    while "33 101" not in opened.text:
        assert time.monotonic() < deadline
        opened.type("stty size; echo seen-$((1+1))\n")
        opened.text = opened.text.replace("seen-2", "")
        await opened.says("seen-2")
    async with asyncio.timeout(SOON_S):
        while not opened.terminal.is_at_prompt():
            await asyncio.sleep(0.05)
    opened.type("exit 3\n")
    assert await asyncio.wait_for(opened.terminal.wait(), SOON_S) == 3


async def test_a_closed_terminal_ends_with_everything_in_it(opened: OpenTerminal) -> None:
    opened.type("(trap '' HUP; sleep 300) & echo begun-$((1+1))\n")
    await opened.says("begun-2")
    assert not opened.terminal.is_at_prompt()
    opened.terminal.hang_up()
    code = await asyncio.wait_for(opened.terminal.wait(), SOON_S)
    assert code != 0
