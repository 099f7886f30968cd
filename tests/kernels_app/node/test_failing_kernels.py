"""A whole node: kernels that cannot be started, and commands that lead nowhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kernels_app.bus.identifiers import command_stream
from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.transport import Publication
from kernels_app.node import hosting
from tests.kernels_app.node.running_kernels import write_kernelspec
from tests.kernels_app.node.running_node import DEADLINE_S, NODE_ID, RunningNode, running_node

pytestmark = pytest.mark.integration


async def test_an_unknown_kernelspec_fails_with_the_names_of_those_there_are(node: RunningNode) -> None:
    notebook = node.notebook("fortran")
    await notebook.start()
    [run_id] = await notebook.run("1")
    state = await notebook.kernel_state("failed")
    assert "no kernel “fortran”" in state.reason
    assert "python3" in state.reason
    assert "deno" in state.reason
    ended = await notebook.finished(run_id)
    assert ended.status == "not_run"
    assert ended.started_at is None
    assert (await node.kernel_event(notebook.kernel_id, "failed")).reason == state.reason


async def test_a_kernel_whose_program_is_missing_fails_with_its_name(tmp_path: Path) -> None:
    forget_memory_store("node")
    write_kernelspec(tmp_path / "k", "ghost", ["/nowhere/ghost-kernel", "{connection_file}"])
    async with running_node(tmp_path / "n", "memory://node", kernel_path=tmp_path / "k") as node:
        notebook = node.notebook("ghost")
        await notebook.start()
        state = await notebook.kernel_state("failed")
        assert state.reason == "The program of the kernel “ghost” is not installed: …/ghost-kernel."


async def test_a_kernel_that_dies_at_once_fails_with_its_last_words(tmp_path: Path) -> None:
    forget_memory_store("node")
    write_kernelspec(
        tmp_path / "k", "short", ["/bin/sh", "-c", "echo no licence >&2; exit 3", "{connection_file}"]
    )
    async with running_node(tmp_path / "n", "memory://node", kernel_path=tmp_path / "k") as node:
        notebook = node.notebook("short")
        await notebook.start()
        state = await notebook.kernel_state("failed")
        assert "exit code 3" in state.reason
        assert "no licence" in state.reason


async def test_a_kernel_that_never_answers_is_ended_after_the_start_timeout(tmp_path: Path) -> None:
    forget_memory_store("node")
    write_kernelspec(tmp_path / "k", "mute", ["/bin/sh", "-c", "sleep 600", "{connection_file}"])
    async with running_node(
        tmp_path / "n", "memory://node", kernel_path=tmp_path / "k", start_timeout_s=0.3
    ) as node:
        notebook = node.notebook("mute")
        await notebook.start()
        state = await notebook.kernel_state("failed")
        assert "did not answer" in state.reason


async def test_what_a_kernel_said_last_is_written_however_long_the_wire_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "LINGER_S", 0.02)
    forget_memory_store("node")
    write_kernelspec(tmp_path / "k", "mute", ["/bin/sh", "-c", "sleep 600", "{connection_file}"])
    async with running_node(
        tmp_path / "n", "memory://node", kernel_path=tmp_path / "k", start_timeout_s=0.5
    ) as node:
        notebook = node.notebook("mute")
        await notebook.start()
        await notebook.kernel_state("starting")
        memory_store("node").set_down(True)
        async with asyncio.timeout(DEADLINE_S):
            while node.supervisor.kernel_counts():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # ten times the time after which it is forgotten
        memory_store("node").set_down(False)
        assert "did not answer" in (await notebook.kernel_state("failed")).reason
        host = node.supervisor._host
        assert host is not None
        async with asyncio.timeout(DEADLINE_S):
            while host._hosted:
                await asyncio.sleep(0.01)


async def test_a_broken_kernelspec_file_fails_and_disturbs_no_other(tmp_path: Path) -> None:
    forget_memory_store("node")
    (tmp_path / "k" / "broken").mkdir(parents=True)
    (tmp_path / "k" / "broken" / "kernel.json").write_text("{not json")
    async with running_node(tmp_path / "n", "memory://node", kernel_path=tmp_path / "k") as node:
        notebook = node.notebook("broken")
        await notebook.start()
        assert "cannot be read" in (await notebook.kernel_state("failed")).reason


@pytest.mark.parametrize(
    "changes",
    [
        {"project_path": "../elsewhere"},
        {"project_path": "."},
        {"project_path": "/etc"},
        {"cwd": "../../.."},
        {"cwd": "absent"},
        {"environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"environment": {"PATH": "/tmp"}},
    ],
)
async def test_a_start_outside_its_project_or_with_foreign_libraries_is_refused(
    node: RunningNode, changes: dict[str, Any]
) -> None:
    notebook = node.notebook()
    await notebook.start(**changes)
    await notebook.kernel_state("failed")


async def test_a_command_of_another_life_of_the_node_is_refused(node: RunningNode) -> None:
    notebook = node.notebook()
    notebook.fence = node.fence - 1
    await notebook.start()
    event = await node.kernel_event(notebook.kernel_id, "lost")
    assert event.fence == node.fence
    assert await notebook.operations() == []


async def test_what_is_no_command_is_skipped(node: RunningNode) -> None:
    await node.wire.write(
        [
            Publication(payload, log=command_stream(NODE_ID))
            for payload in (b"", b"\xff\xff", b"\x81\xa1t\xa1x")
        ]
    )
    notebook = node.notebook("fortran")
    await notebook.start()
    await notebook.kernel_state("failed")


async def test_a_run_on_a_kernel_that_ended_ends_at_once(node: RunningNode) -> None:
    notebook = node.notebook("fortran")
    await notebook.start()
    await notebook.kernel_state("failed")
    [run_id] = await notebook.run("1")
    ended = await notebook.finished(run_id)
    assert ended.status == "not_run"
    assert "fortran" in ended.reason


async def test_a_command_for_a_kernel_nobody_knows_is_answered_with_lost(node: RunningNode) -> None:
    notebook = node.notebook()
    await notebook.run("1")
    await node.kernel_event(notebook.kernel_id, "lost")
    answer = await notebook.ask("complete_request", b"{}")
    assert answer.error
