"""Terminals of a real node, with a real shell."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from kernels_app.bus.memory_store import forget_memory_store, memory_store
from kernels_app.bus.terminals import WINDOW_BYTES, TerminalLimits
from kernels_app.node import terminal_host, terminal_readers
from kernels_app.node.provisioners.terminal_process import MARKER_NAME
from tests.kernels_app.node.running_node import NODE_ID, RunningNode, running_node
from tests.kernels_app.node.terminal_reader import DEADLINE_S, Shell

WIRE = "terminals"


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own start-up files of shells do is not what is tested, and may take its time."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RunningNode]:
    forget_memory_store(WIRE)
    async with running_node(tmp_path, f"memory://{WIRE}") as running:
        yield running
    forget_memory_store(WIRE)


@pytest.fixture
async def shell(node: RunningNode) -> Shell:
    made = Shell(node.wire, NODE_ID, node.fence)
    await made.start()
    return made


def processes_of(shell: Shell) -> list[str]:
    """Command lines of all that was started in the terminal, wherever it is now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARKER_NAME) == shell.terminal_id:
                found.append(" ".join(process.cmdline()))
    return found


def runs(shell: Shell, words: str) -> bool:
    return any(line.startswith("sleep") and words in line for line in processes_of(shell))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def soon(check: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not check():
            await asyncio.sleep(0.02)


async def test_a_shell_answers_in_the_projects_folder(shell: Shell, tmp_path: Path) -> None:
    reader = await shell.reader()
    await reader.type("echo $((6*7)) in $PWD\n")
    await reader.sees(f"42 in {tmp_path}/projects/project")


async def test_it_starts_in_the_folder_that_was_asked_for_and_never_outside_the_project(
    node: RunningNode, tmp_path: Path
) -> None:
    (tmp_path / "projects/project/data").mkdir()
    (tmp_path / "projects/other").mkdir()
    for asked, given in (
        ("data", "project/data"),
        ("../other", "project"),
        ("/etc", "project"),
        ("no", "project"),
    ):
        shell = Shell(node.wire, NODE_ID, node.fence)
        await shell.start(cwd=asked)
        reader = await shell.reader()
        await reader.type("echo at=$PWD=\n")
        await reader.sees(f"at={tmp_path}/projects/{given}=")


async def test_nothing_of_the_nodes_environment_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://secret")
    monkeypatch.setenv("HUB_SECRET_KEY", "secret")
    forget_memory_store(WIRE)
    async with running_node(tmp_path, f"memory://{WIRE}") as node:
        shell = Shell(node.wire, NODE_ID, node.fence)
        await shell.start()
        reader = await shell.reader()
        await reader.type("env | sort; echo over=$((1+1))\n")
        await reader.sees("over=2")
        assert b"secret" not in reader.output
        assert b"TERM=xterm-256color" in reader.output
        assert b".kernel-venv" in reader.output
    forget_memory_store(WIRE)


async def test_who_comes_later_sees_what_was_printed_before(shell: Shell) -> None:
    first = await shell.reader()
    await first.type("echo $((6*7))-kept\n")
    await first.sees("42-kept")
    await first.detach()
    second = await shell.reader()
    await second.sees("42-kept")
    assert second.first_offset == 0


async def test_who_comes_again_gets_only_what_is_missing(shell: Shell) -> None:
    first = await shell.reader()
    await first.type("echo a$((6*7))\n")
    await first.sees("a42")
    assert first.first_offset is not None
    position = first.first_offset + len(first.output)
    await first.type("echo b$((6*7))\n")
    await first.sees("b42")
    second = await shell.reader(after=position)
    await second.sees("b42")
    assert second.first_offset == position
    assert b"a42" not in second.output


async def test_letters_typed_twice_by_a_repeated_command_are_written_once(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("echo on")
    await reader.type_again("echo on")
    await reader.type("ce=$((1+1))\n")
    await reader.sees("once=2")


@pytest.fixture
def in_background() -> Iterator[None]:
    """As of a hub started by `make run &` in a script: what the keys send is ignored, and that is inherited."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("in_background")
async def test_job_control_works_and_ctrl_c_reaches_the_job(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("sleep 600; echo code=$?\n")
    await soon(lambda: runs(shell, "sleep"), "the job runs")
    await reader.type("\x03")
    await reader.type("echo after=$?=\n")
    await reader.sees("after=130=")
    await reader.type("yes | head -1; echo said=${PIPESTATUS[0]}=\n")
    await reader.sees("said=141=")
    assert b"no job control" not in reader.output


async def test_the_size_is_the_smallest_of_those_who_look_at_it(shell: Shell) -> None:
    wide, small = await shell.reader(), await shell.reader()
    await wide.resize(50, 200)
    await small.resize(20, 60)
    await wide.type("stty size\n")
    await wide.sees("20 60")
    await small.detach()
    await wide.type("stty size\n")
    await wide.sees("50 200")
    for rows, columns in ((0, 0), (-5, 10), (10**9, 10**9)):
        await wide.resize(rows, columns)
    await wide.type("stty size\n")
    await wide.sees("500 1000")


async def test_everyone_is_told_that_the_shell_ended_and_who_comes_later_too(shell: Shell) -> None:
    reader, other = await shell.reader(), await shell.reader()
    await reader.type("echo last; exit 3\n")
    ended = await reader.sees_end()
    assert ended.exit_code == 3
    assert "exit code 3" in ended.reason
    assert b"last" in reader.output
    await other.sees_end()
    late = await shell.reader()
    assert (await late.sees_end()).exit_code == 3
    async with asyncio.timeout(DEADLINE_S):
        while await shell.entry() is not None:
            await asyncio.sleep(0.01)


async def test_a_stop_leaves_no_process_behind_not_even_those_that_left_the_session(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type(
        "trap '' HUP; sleep 901 & nohup sleep 902 >/dev/null 2>&1 & setsid sleep 903 & "
        "(trap '' HUP TERM; sleep 904) &\n"
    )
    for seconds in ("901", "902", "903", "904"):
        await soon(partial(runs, shell, seconds), seconds)
    await shell.stop()
    ended = await reader.sees_end()
    assert ended.reason == "The terminal was closed."
    await soon(lambda: not processes_of(shell), "all have ended")


async def test_nothing_survives_the_nodes_guardian(node: RunningNode, shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("trap '' HUP; nohup sleep 905 >/dev/null 2>&1 &\n")
    await soon(lambda: runs(shell, "905"), "905")
    await asyncio.to_thread(node.guardian.close)
    await soon(lambda: not processes_of(shell), "all have ended")


async def test_a_flood_waits_for_its_readers_and_loses_nothing(shell: Shell) -> None:
    reader = await shell.reader(confirms=False)
    await reader.type("seq 1 200000; echo over=$((1+1))\n")
    # The window, what one read may add to it, and the echo of the line.
    limit = WINDOW_BYTES
    await reader.wait_for(lambda: len(reader.output) >= limit - 4096, "the window fills")
    await asyncio.sleep(0.3)  # what must not come needs a while in which it does not
    assert len(reader.output) <= limit
    while b"over=2" not in reader.output:
        before = len(reader.output)
        await reader.confirm()
        await reader.wait_for(partial(reader.has_more_than, before), "more")
    text = reader.output.replace(b"\r\n", b"\n")
    assert b"".join(b"%d\n" % number for number in range(1, 200001)) in text


async def test_a_reader_that_stops_reading_is_dropped_and_the_others_go_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_readers, "PATIENCE_S", 0.3)
    monkeypatch.setattr(terminal_host, "CHECK_S", 0.1)
    good, stuck = await shell.reader(), await shell.reader(confirms=False)
    await good.type("seq 1 100000; echo over=$((1+1))\n")
    await good.sees("over=2")
    await stuck.wait_for(lambda: stuck.mail and type(stuck.mail[-1]).__name__ == "ReaderDropped", "the news")


async def test_without_a_reader_a_flood_goes_on_in_bounded_memory(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("seq 1 300000 && touch done\n")
    await reader.sees("touch")
    await reader.detach()
    before = psutil.Process().memory_info().rss
    late = await shell.reader()
    await late.sees("300000")
    assert len(late.output) <= terminal_readers.KEPT_BYTES + 4096
    assert psutil.Process().memory_info().rss - before < 64 << 20


async def test_a_paste_into_a_program_that_does_not_read_is_bounded(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("stty raw -echo; sleep 600\n")
    await soon(lambda: runs(shell, "sleep"), "the job runs")
    for _ in range(200):
        await reader.type(b"x" * 16_384)
    # It still obeys.
    await shell.stop()
    await reader.sees_end()
    await soon(lambda: not processes_of(shell), "all have ended")


async def test_a_long_paste_arrives_whole(shell: Shell, tmp_path: Path) -> None:
    reader = await shell.reader()
    await reader.type(
        "stty raw -echo; echo ready=$((1+1)); head -c 1000000 > pasted; stty sane; echo pasted=$?\n"
    )
    await reader.sees("ready=2")
    sent = 0
    while sent < 1_000_000:
        await reader.type(bytes([97 + sent // 16_384 % 26]) * min(16_384, 1_000_000 - sent))
        sent += 16_384
        await reader.wait_for(partial(reader.has_taken, sent - 65_536), "the input is taken")
    await reader.sees("pasted=0")
    assert (tmp_path / "projects/project/pasted").stat().st_size == 1_000_000


async def test_one_that_nobody_uses_ends_but_not_while_a_job_runs_in_it(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_host, "CHECK_S", 0.05)
    shell = Shell(node.wire, NODE_ID, node.fence)
    await shell.start(limits=TerminalLimits(idle_timeout_s=1))
    reader = await shell.reader()
    await reader.type("sleep 2; touch finished\n")
    await soon(lambda: runs(shell, "sleep"), "the job runs")
    await reader.detach()
    started = time.monotonic()
    await soon(lambda: not processes_of(shell), "it has ended")
    assert time.monotonic() - started > 1.5  # the job of 2 s had begun
    late = await shell.reader()
    assert "Nobody had used the terminal" in (await late.sees_end()).reason


async def test_one_that_takes_too_much_memory_ends_with_words_that_say_so(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_host, "CHECK_S", 0.05)
    shell = Shell(node.wire, NODE_ID, node.fence)
    await shell.start(limits=TerminalLimits(memory_bytes=200 << 20))
    reader = await shell.reader()
    await reader.type("python -c 'x = bytearray(400 << 20); input()'\n")
    assert "of 200 MiB" in (await reader.sees_end()).reason
    await soon(lambda: not processes_of(shell), "all have ended")


async def test_its_files_have_a_limit(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("echo $(($(ulimit -H -f) / 1024 / 1024)) of ulimit\n")
    await reader.wait_for(lambda: b"\r64 of ulimit" in reader.output, "the limit")


async def test_one_that_starts_too_many_processes_is_refused_more_or_ends(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_host, "CHECK_S", 0.05)
    shell = Shell(node.wire, NODE_ID, node.fence)
    await shell.start(limits=TerminalLimits(process_count=8))
    reader = await shell.reader()
    await reader.type("for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 1234 & done\n")
    # By a control group, or by the node where there is none.
    await reader.wait_for(lambda: b"fork" in reader.output or reader.ended is not None, "a refusal")
    assert reader.ended is None or "of 8 processes" in reader.ended.reason
    assert len(processes_of(shell)) <= 8


async def test_a_command_for_another_life_of_the_node_starts_nothing(node: RunningNode) -> None:
    shell = Shell(node.wire, NODE_ID, node.fence + 1)
    await shell.start()
    reader = await shell.reader()
    assert "does not run any more" in (await reader.sees_end()).reason
    assert not processes_of(shell)


async def test_a_reader_of_an_unknown_terminal_is_told(node: RunningNode) -> None:
    reader = await Shell(node.wire, NODE_ID, node.fence).reader()
    assert "does not run any more" in (await reader.sees_end()).reason


async def test_it_is_registered_while_it_lives(shell: Shell) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (entry := await shell.entry()) is None:
            await asyncio.sleep(0.01)
    assert (entry.name, entry.node_id) == ("1", NODE_ID)
    await shell.stop()
    async with asyncio.timeout(DEADLINE_S):
        while await shell.entry() is not None:
            await asyncio.sleep(0.01)


async def test_an_interruption_of_the_wire_loses_nothing(shell: Shell) -> None:
    reader = await shell.reader()
    await reader.type("for i in $(seq 1 40); do echo line $i; sleep 0.02; done; echo over=$((1+1))\n")
    await reader.sees("line 3\r")
    memory_store(WIRE).set_down(True)
    await asyncio.sleep(0.3)
    memory_store(WIRE).set_down(False)
    assert reader.first_offset is not None
    again = await shell.reader(after=reader.first_offset + len(reader.output))
    await again.sees("over=2")
    text = reader.output + again.output
    for number in range(1, 41):
        assert text.count(b"line %d\r\n" % number) >= 1


async def test_the_nodes_end_is_the_end_of_its_terminals(tmp_path: Path) -> None:
    forget_memory_store(WIRE)
    async with running_node(tmp_path, f"memory://{WIRE}") as node:
        shell = Shell(node.wire, NODE_ID, node.fence)
        await shell.start()
        reader = await shell.reader()
        await reader.type("nohup sleep 906 >/dev/null 2>&1 &\n")
        await soon(lambda: runs(shell, "906"), "906")
        descriptors = open_descriptors()
        node.supervisor.stop()
        assert (await reader.sees_end()).reason == "The hub was shut down."
    assert not processes_of(shell)
    assert open_descriptors() < descriptors
    forget_memory_store(WIRE)
