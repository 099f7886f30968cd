"""Kernels as containers: for teams whose members do not trust each other."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
from docker.errors import APIError, ImageNotFound
from docker.types import LogConfig, Mount, Ulimit
from jupyter_client.connect import KernelConnectionInfo

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.attended import AttendantLaunch, hear_start, kept_bytes, write_launch
from kernels_app.node.provisioners.base import LaunchPlan, NodeProvisioner
from kernels_app.node.provisioners.engine import (
    HUB_LABEL,
    KERNEL_LABEL,
    NODE_LABEL,
    RETRY_S,
    Engine,
    EngineError,
    inspected_state,
)
from kernels_app.node.provisioners.exits import exit_code
from kernels_app.node.provisioners.processes import Usage, machine_memory_bytes, usable_cpu_count
from kernels_app.node.zeromq.attendant.protocol import SOCKET_NAME
from kernels_app.node.zeromq.line import AttendantLine

logger = logging.getLogger(__name__)

PROJECT = "/project"
RUN_FOLDER = "/run/kernel"
LAST_OUTPUT_BYTES = 4096
LAST_OUTPUT_LINES = 60
USAGE_FRESH_S = 1.0


class ContainerLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch in a container needs beyond its plan. `project`: the folder that becomes /project, the only
    writable one; `key`: of the kernel's messages, empty for a plain program."""

    image: str
    project: Path
    project_name: str
    key: str = ""
    transport: str = "ipc"
    kernel_name: str = ""
    files: dict[str, str] = {}  # written inside before the start, path to text


class DockerProvisioner(NodeProvisioner):
    """One container: no privileges, no capabilities, nothing writable but the project and a bounded /tmp."""

    isolation = "container"

    def __init__(self, *, engine: Engine, launch: ContainerLaunch, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._engine = engine
        self._launch = launch
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._network = ""
        self._code: int | None = None
        self._output: str | None = None
        self._forgotten = ""
        self._usage = Usage()
        self._usage_read_at = float("-inf")
        self._usage_reading: asyncio.Task[None] | None = None
        self.container: str | None = None
        self.line: AttendantLine | None = None
        self.is_out_of_memory = False

    @property
    def has_process(self) -> bool:
        return self.container is not None and self._code is None

    @property
    def folder(self) -> Path:
        """Shared with the container, which may only read it and connect to its socket."""
        return self._engine.run_dir / "kernels" / self.kernel_id

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Starts the container. Raises OSError when program or folder cannot be used, ValueError with a sentence
        for what the engine refuses."""
        plan: LaunchPlan = kwargs["plan"]
        await asyncio.to_thread(self._write_folder, cmd, kwargs["env"], plan)
        self.line = AttendantLine()
        await self.line.open(self.folder / SOCKET_NAME)
        try:
            await asyncio.to_thread(self._create, plan.limits)
        except ImageNotFound as error:
            raise ValueError(f"the image {self._launch.image} is not on its machine.") from error
        except EngineError as error:
            logger.warning("A container cannot be started: %s", error)
            raise ValueError("the container engine refuses it.") from error
        self._follow()
        await self._heard()
        return {}

    async def adopt(self, container: str) -> None:
        """Takes over a container that an earlier life of the node started. Raises EngineError, OSError."""
        found = await self._engine.call("inspect_container", container)
        self.container = found["Id"]
        self._network = found["HostConfig"]["NetworkMode"]
        self.limits = Limits(
            memory_bytes=found["HostConfig"]["Memory"] or None,
            process_count=found["HostConfig"].get("PidsLimit") or None,
        )
        self.line = AttendantLine()
        self._follow()
        await self.line.open(self.folder / SOCKET_NAME)
        if found["State"]["Paused"]:
            await self.unpause()
        await self._heard()

    async def poll(self) -> int | None:
        return self._code

    async def wait(self) -> int | None:
        """The exit code; minus the signal's number when a signal ended it."""
        return None if self._exited is None else await asyncio.shield(self._exited)

    async def send_signal(self, signum: int) -> None:
        """To the kernel's process group, by the attendant; SIGKILL ends the container at once."""
        if self.has_process:
            # Gone, or ending: what was asked for has happened. Or the engine is away: who waits asks again.
            with contextlib.suppress(EngineError):
                await self._engine.call("kill", self.container, signal.Signals(signum).name)

    async def terminate(self, restart: bool = False) -> None:
        await self.unpause()
        await self.send_signal(signal.SIGTERM)

    async def kill(self, restart: bool = False) -> None:
        """However long the engine is away."""
        await self.unpause()
        while self.has_process:
            try:
                await self._engine.call("kill", self.container, "SIGKILL")
                return
            except EngineError as error:
                if isinstance(error, APIError) and error.is_client_error():
                    return  # it has ended
                logger.warning("The container of kernel %s cannot be ended yet: %s", self.kernel_id, error)
            await asyncio.sleep(RETRY_S)

    async def pause(self) -> None:
        if self.has_process:
            with contextlib.suppress(EngineError):
                await self._engine.call("pause", self.container)

    async def unpause(self) -> None:
        if self.has_process:
            with contextlib.suppress(EngineError):  # it was not paused
                await self._engine.call("unpause", self.container)

    async def cleanup(self, restart: bool = False) -> None:
        """Removes the container, its folder, and the network when it was the last there."""
        if self.container is not None:
            self._engine.forget(self.container)
            try:
                await asyncio.to_thread(self._engine.remove, self.container)
            except EngineError as error:
                logger.warning("The container of kernel %s stays behind: %s", self.kernel_id, error)
        if self._network:
            await asyncio.to_thread(self._engine.leave_network, self._network)
        await self.detach()
        if self._exited is not None and not self._exited.done():
            self._code = -signal.SIGKILL
            self._exited.set_result(self._code)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def detach(self) -> None:
        if self.container is not None:
            self._engine.forget(self.container)
        if self.line is not None:
            self.line.close()
        for task in list(self._tasks):
            task.cancel()

    async def last_output(self) -> str:
        if self.container is None:
            return ""
        if self._output is None:
            return self._without_forgotten(await asyncio.to_thread(self._engine_logs))
        return self._without_forgotten(self._output)

    def forget_output(self) -> None:
        if self._output is not None:
            self._forgotten = self._output
        elif self.container is not None:
            # Asked for when the kernel is up; what it costs must not hold the node up.
            self._spawn(self._remember_greeting())

    def usage(self) -> Usage:
        """As of at most a moment ago; the limits themselves are the engine's to enforce."""
        if not self.has_process:
            return Usage()
        is_stale = self._loop.time() - self._usage_read_at > USAGE_FRESH_S
        if is_stale and (self._usage_reading is None or self._usage_reading.done()):
            self._usage_reading = self._spawn(self._read_usage())
        return self._usage

    async def update_limits(self, limits: Limits) -> None:
        """The engine knows no way back to "no limit": then it is what the machine has. Raises OSError."""
        if not self.has_process:
            return
        effective = self._effective(limits)
        memory = effective.memory_bytes or machine_memory_bytes()
        cores = limits.cpu_cores or float(usable_cpu_count())
        count = effective.process_count or self._engine.settings.default_process_count
        try:
            await asyncio.to_thread(
                self._engine.update, self.container, memory_bytes=memory, cpu_cores=cores, process_count=count
            )
        except EngineError as error:
            raise OSError(errno.EIO, "the engine refuses other limits") from error
        self.limits = self._effective(limits)

    # Inside

    def _write_folder(self, command: list[str], environment: dict[str, str], plan: LaunchPlan) -> None:
        launch = self._launch
        if not plan.cwd.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(plan.cwd))
        write_launch(
            self.folder,
            AttendantLaunch(
                command=command,
                environment=environment,
                cwd=str(Path(PROJECT) / plan.cwd.relative_to(launch.project)),
                key=launch.key,
                transport=launch.transport,
                kernel_name=launch.kernel_name,
                files=launch.files,
                kept_bytes=kept_bytes(self._effective(plan.limits).memory_bytes),
                orphan_s=self._engine.settings.orphan_s,
            ),
        )

    def _effective(self, limits: Limits) -> Limits:
        settings = self._engine.settings
        return msgspec.structs.replace(
            limits,
            memory_bytes=limits.memory_bytes or settings.default_memory_bytes,
            process_count=limits.process_count or settings.default_process_count,
        )

    def _create(self, limits: Limits) -> None:
        engine, launch = self._engine, self._launch
        self._network = engine.project_network(launch.project_name)
        self.limits = self._effective(limits)
        created = engine.call_now(
            "create_container",
            launch.image,
            command=[],
            user=engine.settings.user,
            hostname="kernel",
            working_dir=PROJECT,
            labels={NODE_LABEL: engine.node_id, KERNEL_LABEL: self.kernel_id, HUB_LABEL: engine.hub},
            host_config=host_config(
                engine,
                mounts=[
                    Mount(PROJECT, engine.host_path(launch.project), type="bind"),
                    Mount(RUN_FOLDER, engine.host_path(self.folder), type="bind", read_only=True),
                ],
                network=self._network,
                limits=self.limits,
            ),
        )
        self.container = created["Id"]
        engine.call_now("start", self.container)

    def _follow(self) -> None:
        assert self.container is not None
        self._exited = self._loop.create_future()
        self._engine.watch(self.container, self._on_end)
        # It may have ended before anybody watched.
        self._on_end()

    async def _heard(self) -> None:
        """Until the attendant has told whether the program runs. Raises OSError."""
        assert self.line is not None
        assert self._exited is not None
        await hear_start(self.line, self._exited)

    def _on_end(self) -> None:
        self._spawn(self._read_end())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read_end(self) -> None:
        """Sets the exit code once the container has ended, however long the engine is away."""
        assert self._exited is not None
        code = -signal.SIGKILL
        state = await inspected_state(self._engine, self.container)
        if state is None:
            self._output = self._output or ""
        elif state["Running"]:
            return
        else:
            code = exit_code(int(state["ExitCode"]))
            self.is_out_of_memory = bool(state["OOMKilled"])
            self._output = await asyncio.to_thread(self._engine_logs)
        if not self._exited.done():
            self._code = code
            self._exited.set_result(code)

    def _engine_logs(self) -> str:
        try:
            data: bytes = self._engine.call_now("logs", self.container, tail=LAST_OUTPUT_LINES)
        except EngineError:
            return ""
        return data[-LAST_OUTPUT_BYTES:].decode("utf-8", "replace").strip()

    async def _remember_greeting(self) -> None:
        self._forgotten = await asyncio.to_thread(self._engine_logs)

    def _without_forgotten(self, text: str) -> str:
        return text.removeprefix(self._forgotten).strip()

    async def _read_usage(self) -> None:
        self._usage_read_at = self._loop.time()
        self._usage = await read_usage(self._engine, self.container) or self._usage


def host_config(
    engine: Engine,
    *,
    mounts: list[Mount],
    network: str,
    limits: Limits,
    init: bool = False,
) -> Any:
    """What closes a container off: the same for kernels and terminals."""
    settings = engine.settings
    uid, _, gid = settings.user.partition(":")
    tmpfs = f"rw,exec,nosuid,nodev,mode=700,uid={uid},gid={gid},size={settings.tmp_bytes}"
    return engine.call_now(
        "create_host_config",
        mounts=mounts,
        tmpfs={"/tmp": tmpfs, "/home/kernel": tmpfs},  # noqa: S108  the container's own
        network_mode=network,
        mem_limit=limits.memory_bytes,
        memswap_limit=limits.memory_bytes,
        nano_cpus=None if limits.cpu_cores is None else int(limits.cpu_cores * 1e9),
        pids_limit=limits.process_count or settings.default_process_count,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        read_only=True,
        privileged=False,
        init=init,
        oom_score_adj=500,
        ulimits=[
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="fsize", soft=settings.max_file_bytes, hard=settings.max_file_bytes),
        ],
        # A program that writes without end fills no disk.
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m", "max-file": "1"}),
    )


async def read_usage(engine: Engine, container: str | None) -> Usage | None:
    """None when the engine does not tell."""
    try:
        stats = await engine.call("stats", container, stream=False, one_shot=True)
        memory = stats["memory_stats"]
        details = memory.get("stats") or {}
        # What can be given back at once is no use of memory (as `docker stats` counts).
        cache = details.get("total_inactive_file", details.get("inactive_file", 0))
        return Usage(
            memory_bytes=max(0, int(memory["usage"]) - int(cache)),
            cpu_s=int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9,
            process_count=int(stats.get("pids_stats", {}).get("current", 0)),
        )
    except (EngineError, KeyError, TypeError, ValueError):
        return None
