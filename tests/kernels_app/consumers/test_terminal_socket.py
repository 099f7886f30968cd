"""The terminal socket as a Jupyter client has it, with a real node and a real shell behind it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.bus.terminals import WINDOW_BYTES
from kernels_app.node import terminal_host, terminal_readers
from kernels_app.relay import terminal_link
from kernels_app.services.terminals import start_terminal, stop_project_terminals, stop_terminal
from notebooks_app.models import Project, ProjectMembership
from notebooks_app.wire import close_hub_transport
from tests.cast import Cast, make_cast, socket_headers_of
from tests.kernels_app.node.running_node import RunningNode, running_node
from zasper_hub.accounts.models import User
from zasper_hub.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_S = 20.0


class Scene:
    def __init__(self, store: MemoryStore, node: RunningNode, cast: Cast) -> None:
        self.store = store
        self.node = node
        self.cast = cast
        self.project: Project = cast.project

    async def terminal(self, name: str | None = None) -> str:
        info = await database_sync_to_async(start_terminal)(
            user=self.cast.bob, project=self.project, name=name
        )
        return str(info.name)

    def address(self, name: str) -> str:
        team = Project.objects.select_related("team").get(pk=self.project.pk).team.slug
        return f"/jupyter/{team}/{self.project.slug}/terminals/websocket/{name}"

    async def window(self, name: str, user: User | None = None) -> Window:
        window = Window(await self.socket(name, user))
        connected, _ = await window.socket.connect()
        assert connected
        return window

    async def socket(self, name: str, user: User | None = None) -> WebsocketCommunicator:
        address = await database_sync_to_async(self.address)(name)
        headers = await database_sync_to_async(socket_headers_of)(user or self.cast.bob)
        return WebsocketCommunicator(application, address, headers=headers)

    async def is_refused(self, name: str, user: User | None = None) -> bool:
        socket = await self.socket(name, user)
        connected, _ = await socket.connect()
        return not connected


class Window:
    """A client. Unless it `tells_reading` it speaks Jupyter's protocol and no more."""

    def __init__(self, socket: WebsocketCommunicator) -> None:
        self.socket = socket
        self.text = ""
        self.count = 0
        self.taken = 0
        self.is_set_up = False
        self.disconnect: list[Any] | None = None
        self.close_code: int | None = None
        self.tells_reading = False

    async def say(self, *message: object) -> None:
        await self.socket.send_to(text_data=json.dumps(message))

    async def type(self, text: str) -> None:
        await self.say("stdin", text)

    async def step(self) -> None:
        event = await self.socket.receive_output(timeout=DEADLINE_S)
        if event["type"] == "websocket.close":
            self.close_code = event["code"]
            return
        match json.loads(event["text"]):
            case ["setup", {}]:
                self.is_set_up = True
            case ["stdout", str(text)]:
                self.text += text
                self.count += 1
                if self.tells_reading:
                    await self.say("read", self.count)
            case ["taken", int(taken)]:
                self.taken = taken
            case ["disconnect", *rest]:
                self.disconnect = rest
            case other:
                raise AssertionError(other)

    async def until(self, check: Callable[[], object]) -> None:
        try:
            while not check():
                assert self.close_code is None, (self.close_code, self.text[-500:])
                await self.step()
        except TimeoutError:
            raise AssertionError(f"nothing more came after {self.text[-2000:]!r}") from None

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.text)

    def has_passed_on(self, count: int) -> bool:
        return self.taken >= count

    async def until_closed(self) -> int:
        while self.close_code is None:
            await self.step()
        return self.close_code

    async def close(self) -> None:
        await self.socket.disconnect(timeout=DEADLINE_S)


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own start-up files of shells do is not what is tested, and may take its time."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
async def scene(hub_wire: MemoryStore, tmp_path: Path) -> AsyncIterator[Scene]:
    cast = await database_sync_to_async(make_cast)()
    async with running_node(tmp_path, "memory://tests") as node:
        yield Scene(hub_wire, node, cast)
    await close_hub_transport()


async def test_a_client_speaks_to_a_shell(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    await window.until(lambda: window.is_set_up)
    await window.say("set_size", 33, 101, 600, 800)
    await window.type("echo $((6*7)); stty size\n")
    await window.sees("42")
    await window.sees("33 101")
    await window.close()


async def test_after_a_reload_what_was_printed_is_there_and_the_shell_is_the_same(scene: Scene) -> None:
    name = await scene.terminal()
    window = await scene.window(name)
    await window.type("answer=$((6*7)); echo =$answer=\n")
    await window.sees("=42=")
    await window.close()
    again = await scene.window(name)
    await again.sees("=42=")
    await again.type("echo still-$answer-\n")
    await again.sees("still-42-")
    await again.close()


async def test_the_wire_may_be_interrupted_and_nothing_is_lost_or_doubled(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    await window.type("for i in $(seq 101 150); do echo line $i; sleep 0.02; done; echo over=$((1+1))\n")
    await window.sees("line 105")
    scene.store.set_down(True)
    await asyncio.sleep(0.3)  # the length of the interruption
    scene.store.set_down(False)
    await window.sees("over=2")
    lines = re.findall(r"line (\d+)\r\n", window.text)
    assert lines == [str(number) for number in range(101, 151)]
    await window.close()


async def test_what_comes_in_pieces_of_letters_is_whole(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    await window.type("printf '\\xe2\\x82'; sleep 0.2; printf '\\xac ok\\n'; printf '\\xff bad\\n'\n")
    await window.sees("€ ok")
    await window.sees("\ufffd bad")
    await window.close()


async def test_the_end_of_the_shell_is_told_and_the_socket_closed(scene: Scene) -> None:
    name = await scene.terminal()
    window = await scene.window(name)
    await window.type("exit 7\n")
    assert await window.until_closed() == 1000
    assert window.disconnect == [1, {"reason": "The shell ended (exit code 7).", "exit_code": 7}]
    # The node takes it off the wire's list a moment after it told its readers.
    async with asyncio.timeout(10):
        while not await scene.is_refused(name):
            await asyncio.sleep(0.05)


async def test_a_flood_is_read_whole_by_who_tells_how_far_it_is(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    await window.say("read", 0)
    window.tells_reading = True
    await window.type("seq 1 150000; echo over=$((1+1))\n")
    await window.sees("over=2")
    numbers = [int(digits) for digits in re.findall(r"(?<=[\r\n])(\d+)\r\n", window.text)]
    assert numbers == list(range(1, 150001))
    await window.close()


async def test_a_client_that_stops_reading_gets_a_window_and_is_sent_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_readers, "PATIENCE_S", 0.5)
    monkeypatch.setattr(terminal_host, "CHECK_S", 0.1)
    name = await scene.terminal()
    window = await scene.window(name)
    await window.say("read", 0)
    await window.type("yes\n")
    assert await window.until_closed() == 4408
    assert len(window.text) <= WINDOW_BYTES
    again = await scene.window(name)  # the terminal goes on
    await again.say("read", 0)
    again.tells_reading = True
    await again.type("\x03")
    await again.type("echo over=$((1+1))\n")
    await again.sees("over=2")
    await again.close()


async def test_kernel_commands_pass_while_a_terminal_floods(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    await window.say("read", 0)
    window.tells_reading = True
    await window.type("yes | head -c 20000000; echo over=$((1+1))\n")
    await window.sees("y\r\ny")
    notebook = scene.node.notebook()
    await notebook.start()

    async def read_on() -> None:
        while True:
            await window.step()

    reading = asyncio.create_task(read_on())
    await scene.node.kernel_event(notebook.kernel_id, "idle")
    [run_id] = await notebook.run("print(6*7)")
    assert (await notebook.finished(run_id)).status == "ok"
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_long_paste_is_taken_as_fast_as_the_program_reads(scene: Scene, tmp_path: Path) -> None:
    window = await scene.window(await scene.terminal())
    await window.say("read", 0)
    window.tells_reading = True
    await window.type(
        "stty raw -echo; echo ready=$((1+1)); head -c 1000000 > pasted; stty sane; echo pasted=$?\n"
    )
    await window.sees("ready=2")
    piece = "x" * 50_000
    for number in range(20):
        await window.type(piece)
        await window.until(partial(window.has_passed_on, (number + 1) * 50_000 - 2 * 65_536))
    await window.sees("pasted=0")
    assert (tmp_path / "projects" / str(scene.project.pk) / "pasted").stat().st_size == 1_000_000
    await window.close()


async def test_a_paste_of_ten_megabytes_in_one_frame_ends_that_socket_only(scene: Scene) -> None:
    name = await scene.terminal()
    window, other = await scene.window(name), await scene.window(name)
    await window.type("x" * 10_000_000)
    assert await window.until_closed() == 4413
    await other.type("echo $((6*7))\n")
    await other.sees("42")
    await other.close()


async def test_typing_into_a_program_that_does_not_read_is_bounded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_link, "MAX_WAITING_INPUT_BYTES", 1 << 20)
    window = await scene.window(await scene.terminal())
    await window.type("stty raw -echo; echo ready=$((1+1)); sleep 600\n")
    await window.sees("ready=2")
    for _ in range(5):
        await window.type("x" * 500_000)
    assert await window.until_closed() == 4413


@pytest.mark.parametrize("frame", ["nonsense", "{}", "[", '"stdin"', "[" * 5000, '["stdin", "\\ud800"]'])
async def test_what_is_no_message_ends_the_socket(scene: Scene, frame: str) -> None:
    window = await scene.window(await scene.terminal())
    await window.socket.send_to(text_data=frame)
    assert await window.until_closed() == 4400


async def test_messages_that_mean_nothing_change_nothing(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    for message in (
        [], ["stdin"], ["stdin", 5], ["stdin", None], ["set_size"], ["set_size", -1, 0], ["set_size", "a", {}],
        ["set_size", 1.5, 5], ["set_size", 10**30, 10**30], ["read", -5], ["read", 10**30], ["read", "x"],
        ["switch_terminal", "2"], [[["stdin"]]],
    ):  # fmt: skip
        await window.say(*message)
    await window.socket.send_to(bytes_data=b'["stdin", "echo $((6*7))\\n"]')
    await window.sees("42")
    await window.close()


async def test_only_editors_of_the_project_come_in(scene: Scene) -> None:
    name = await scene.terminal()
    for user in (scene.cast.carol, scene.cast.mallory):
        assert await scene.is_refused(name, user)
    for unknown in ("2", "x" * 3000, "%00", "..%2F1", "1%0a"):
        assert await scene.is_refused(unknown)
    assert not await scene.is_refused(name, scene.cast.alice)


async def test_who_is_no_editor_any_more_is_put_out(scene: Scene) -> None:
    window = await scene.window(await scene.terminal())
    await window.until(lambda: window.is_set_up)
    memberships = ProjectMembership.objects.filter(project=scene.project, user=scene.cast.bob)
    await database_sync_to_async(memberships.delete)()
    assert await window.until_closed() in (4403, 4404)


async def test_a_stopped_terminal_and_a_deleted_project_close_their_windows(scene: Scene) -> None:
    first = await database_sync_to_async(start_terminal)(user=scene.cast.bob, project=scene.project)
    window = await scene.window(first.name)
    await window.until(lambda: window.is_set_up)
    await database_sync_to_async(stop_terminal)(first)
    assert await window.until_closed() == 1000
    assert window.disconnect is not None
    assert window.disconnect[1]["reason"] == "The terminal was closed."
    second = await scene.window(await scene.terminal())
    await second.until(lambda: second.is_set_up)
    await database_sync_to_async(stop_project_terminals)(scene.project)
    await second.until_closed()
    assert second.disconnect is not None
    assert second.disconnect[1]["reason"] == "Its project was deleted."
