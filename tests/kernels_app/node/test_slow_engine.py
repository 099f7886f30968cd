"""A container engine that is slow or restarted: kernels go on, and their ends are told when it answers again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from docker.errors import APIError, NotFound
from requests.exceptions import ConnectionError as Refused
from requests.exceptions import ReadTimeout

from kernels_app.bus.envelopes import Limits, StartKernel
from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.memory import MemoryTransport
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.node import supervisor
from kernels_app.node.connection import Connection
from kernels_app.node.kernel import Kernel
from kernels_app.node.launching import Launcher, PreparedLaunch
from kernels_app.node.outbox import Outbox
from kernels_app.node.provisioners import docker
from kernels_app.node.provisioners import engine as engine_module
from kernels_app.node.provisioners.base import LaunchPlan
from kernels_app.node.provisioners.docker import ContainerLaunch, DockerProvisioner
from kernels_app.node.provisioners.engine import Engine, EngineAway, EngineClient, EngineError
from kernels_app.node.records import KernelRecord
from kernels_app.node.supervisor import Supervisor
from kernels_app.node.zeromq.channels import KernelContext

DEADLINE_S = 10


class ScriptedEngine:
    """Answers what it is told to; by default it is away."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[str] = []
        self.removed: list[str] = []
        self.watched: dict[str, Callable[[], None]] = {}

    async def call(self, method: str, *arguments: Any) -> Any:
        self.asked.append(method)
        answer = self.answers.pop(0) if self.answers else EngineAway("Read timed out.")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call_now(self, method: str, *arguments: Any, **options: Any) -> Any:
        raise EngineAway("Read timed out.")

    def remove(self, container: str) -> None:
        self.removed.append(container)
        raise EngineAway("Read timed out.")

    def watch(self, container: str, on_end: Callable[[], None]) -> None:
        self.watched[container] = on_end

    def forget(self, container: str) -> None:
        self.watched.pop(container, None)

    def leave_network(self, name: str) -> None:
        raise AssertionError("it was on none")

    run_dir = Path("/nonexistent")


def refusal(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("refused", response=response)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    monkeypatch.setattr(docker, "RETRY_S", 0.005)
    monkeypatch.setattr(engine_module, "RETRY_S", 0.005)
    return ScriptedEngine()


async def container(engine: ScriptedEngine) -> DockerProvisioner:
    provisioner = DockerProvisioner(
        engine=cast(Engine, engine),
        launch=ContainerLaunch(image="i", project=Path("/p"), project_name="p"),
        kernel_id="k1",
        kernel_spec=None,
        parent=None,
    )
    provisioner.container = "c1"
    engine.answers = [{"State": {"Running": True}}]
    provisioner._follow()
    while engine.answers:
        await asyncio.sleep(0.001)
    return provisioner


@pytest.mark.parametrize("error", [ReadTimeout("Read timed out."), Refused("No such file")])
def test_errors_of_the_connection_are_the_engines(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def send(*arguments: Any, **options: Any) -> Any:
        raise error

    client = EngineClient(version="1.43")
    monkeypatch.setattr(requests.Session, "send", send)
    with pytest.raises(EngineError, match="does not answer"):
        client.containers()
    with pytest.raises(EngineError):
        client.wait("c1", timeout=1)


async def test_signals_and_pauses_of_an_engine_that_is_away_raise_nothing(engine: ScriptedEngine) -> None:
    provisioner = await container(engine)
    await provisioner.send_signal(signal.SIGINT)
    await provisioner.pause()
    await provisioner.unpause()
    await provisioner.cleanup()
    assert engine.removed == ["c1"]


async def test_a_kill_is_asked_for_until_the_engine_has_heard_it(engine: ScriptedEngine) -> None:
    provisioner = await container(engine)
    engine.answers = [refusal(409), EngineAway("away"), refusal(500), EngineAway("away"), None]
    async with asyncio.timeout(DEADLINE_S):
        await provisioner.kill()
    assert engine.asked[-5:] == ["unpause", "kill", "kill", "kill", "kill"]


@pytest.mark.parametrize("status", [404, 409])
async def test_a_kill_of_what_has_ended_is_done(engine: ScriptedEngine, status: int) -> None:
    provisioner = await container(engine)
    engine.answers = [None, refusal(status)]
    async with asyncio.timeout(DEADLINE_S):
        await provisioner.kill()


async def test_an_engine_that_does_not_tell_the_state_has_ended_no_container(engine: ScriptedEngine) -> None:
    provisioner = await container(engine)
    engine.answers = [
        EngineAway("away"),
        refusal(500),
        {"State": {"Running": False, "ExitCode": 3, "OOMKilled": False}},
    ]
    engine.watched["c1"]()
    async with asyncio.timeout(DEADLINE_S):
        assert await provisioner.wait() == 3


async def test_a_container_that_is_gone_has_ended(engine: ScriptedEngine) -> None:
    provisioner = await container(engine)
    engine.answers = [EngineAway("away"), NotFound("gone")]
    engine.watched["c1"]()
    async with asyncio.timeout(DEADLINE_S):
        assert await provisioner.wait() == -signal.SIGKILL


class OneContainer:
    """A launcher that takes over one kernel, whose container says nothing."""

    records = None

    def __init__(self, provisioner: Any) -> None:
        self.provisioner = provisioner
        self.forgotten: list[KernelId] = []

    async def take_over(self, record: KernelRecord) -> PreparedLaunch:
        return PreparedLaunch(
            plan=LaunchPlan([], {}, Path("/p"), Path("f"), Limits()),
            provisioner=self.provisioner,
            connection=Connection("ipc", "", {}, ""),
            display_name="Python",
            is_interrupted_by_message=False,
        )

    def open_channels(self, *arguments: Any) -> Any:
        return SimpleNamespace(close=lambda: None, send=lambda *a, **o: None)

    def forget(self, kernel_id: KernelId, connection: Connection) -> None:
        self.forgotten.append(kernel_id)


async def test_a_kernel_of_a_node_that_fails_is_left_with_its_container(engine: ScriptedEngine) -> None:
    provisioner = await container(engine)
    launcher = OneContainer(provisioner)
    command = StartKernel(
        fence=1,
        kernel_id=KernelId("k1"),
        kernelspec_name="python3",
        project_path="p",
        cwd="",
        environment={},
        limits=Limits(),
    )
    kernel = Kernel(
        command,
        node_id=NodeId("n"),
        launcher=cast(Launcher, launcher),
        context=cast(KernelContext, None),
        log=None,
        outbox=Outbox(MemoryTransport(MemoryStore()), lambda: 0),
        clock_ms=lambda: 0,
        start_timeout_s=1.0,
    )
    record = KernelRecord(
        command=command,
        container="c1",
        key="",
        display_name="Python",
        is_interrupted_by_message=False,
        runs=[],
    )
    task = asyncio.create_task(kernel.run(record))
    async with asyncio.timeout(DEADLINE_S):
        while kernel._process.launch is None:
            await asyncio.sleep(0.001)
    task.cancel()  # as the node's other tasks are, when one of them fails
    await asyncio.gather(task, return_exceptions=True)
    assert engine.removed == []
    assert launcher.forgotten == []
    assert "c1" not in engine.watched, "it is no longer followed"


async def test_kernelspecs_that_cannot_be_read_end_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "KERNELSPECS_S", 0.001)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    calls: list[int] = []

    def read() -> Any:
        calls.append(1)
        if len(calls) == 3:
            loop.call_soon_threadsafe(asked.set)
        raise ReadTimeout("Read timed out.")

    node = cast(Any, Supervisor.__new__(Supervisor))
    node._transport = MemoryTransport(MemoryStore())
    node._launcher = SimpleNamespace(kernelspecs=SimpleNamespace(all=read))
    node._kernelspecs = []
    task = asyncio.create_task(node._refresh_kernelspecs())
    async with asyncio.timeout(DEADLINE_S):
        await asked.wait()
    assert not task.done()
    task.cancel()
