"""Terminals as containers: a shell with the project, closed off exactly as a kernel of the project is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from docker.types import Mount

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.docker import PROJECT, host_config, read_usage
from kernels_app.node.provisioners.engine import HUB_LABEL, NODE_LABEL, Engine, EngineError, inspected_state
from kernels_app.node.provisioners.exits import exit_code
from kernels_app.node.provisioners.terminal_base import FIRST_SIZE, TerminalPlan, TerminalProcess

logger = logging.getLogger(__name__)

TERMINAL_LABEL = "org.zasper.terminal"
_SHELL = ["/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; fi; exec sh -i"]
# The engine's own first process, and the shell.
_AT_PROMPT_COUNT = 2
USAGE_FRESH_S = 5.0


class DockerTerminal(TerminalProcess):
    """One container a terminal. It ends with its shell, and with its node."""

    def __init__(self, *, engine: Engine, project_name: Callable[[Path], str]) -> None:
        """`project_name`: of a project's folder, as its kernels name it to the engine."""
        self._engine = engine
        self._project_name = project_name
        self._container: str | None = None
        self._network = ""
        # Holds the connection that the descriptor is a copy of.
        self._stream: Any = None
        self._descriptor = -1
        self._exited: asyncio.Future[int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._memory_bytes = 0
        self._usage_read_at = float("-inf")
        self._is_at_prompt = False
        self._prompt_read_at = float("-inf")

    async def start(self, plan: TerminalPlan) -> int:
        if not plan.cwd.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(plan.cwd))
        self._exited = asyncio.get_running_loop().create_future()
        try:
            await asyncio.to_thread(self._create, plan)
        except (EngineError, ValueError) as error:
            logger.warning("A terminal's container cannot be started: %s", error)
            raise OSError(errno.EIO, "the container engine refuses it") from error
        assert self._container is not None
        self._engine.watch(self._container, self._on_end)
        self._on_end()  # it may have ended before anybody watched
        self.resize(*FIRST_SIZE)
        return self._descriptor

    async def wait(self) -> int:
        assert self._exited is not None, "start comes first"
        return await asyncio.shield(self._exited)

    def resize(self, rows: int, columns: int) -> None:
        self._ask("resize", self._container, height=rows, width=columns)

    def hang_up(self) -> None:
        self._ask("kill", self._container, "SIGHUP")

    def kill(self) -> None:
        self._ask("kill", self._container, "SIGKILL")

    async def cleanup(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._container is not None:
            self._engine.forget(self._container)
            with contextlib.suppress(EngineError):
                await asyncio.to_thread(self._engine.remove, self._container)
            await asyncio.to_thread(self._engine.leave_network, self._network)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def is_at_prompt(self) -> bool:
        """As it was some seconds ago; not, until that is known. The engine may be slow, and nothing waits for it."""
        now = asyncio.get_running_loop().time()
        if self._container is not None and now - self._prompt_read_at > USAGE_FRESH_S:
            self._prompt_read_at = now
            self._spawn(self._read_prompt())
        return self._is_at_prompt

    def memory_bytes(self) -> int:
        """As it was some seconds ago. The engine itself keeps it within the limit."""
        now = asyncio.get_running_loop().time()
        if self._container is not None and now - self._usage_read_at > USAGE_FRESH_S:
            self._usage_read_at = now
            self._spawn(self._read_usage())
        return self._memory_bytes

    def _create(self, plan: TerminalPlan) -> None:
        engine, settings = self._engine, self._engine.settings
        self._network = engine.project_network(self._project_name(plan.project_folder))
        limits = Limits(
            memory_bytes=plan.limits.memory_bytes or settings.default_memory_bytes,
            cpu_cores=plan.limits.cpu_cores,
            process_count=plan.limits.process_count,
        )
        self.memory_limit_bytes = limits.memory_bytes
        created = engine.call_now(
            "create_container",
            settings.images[0],
            entrypoint=_SHELL,
            command=[],
            user=settings.user,
            hostname="terminal",
            working_dir=str(Path(PROJECT) / plan.cwd.relative_to(plan.project_folder)),
            environment={
                **plan.environment,
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                # Nothing of it is kept, and the home folder is in memory.
                "HISTFILE": "",
            },
            labels={NODE_LABEL: engine.node_id, TERMINAL_LABEL: plan.terminal_id, HUB_LABEL: engine.hub},
            tty=True,
            stdin_open=True,
            host_config=host_config(
                engine,
                mounts=[Mount(PROJECT, engine.host_path(plan.project_folder), type="bind")],
                network=self._network,
                limits=limits,
                # Signals reach the shell, and what it leaves behind is reaped.
                init=True,
            ),
        )
        self._container = created["Id"]
        # Before the start: not a byte of the first prompt is lost.
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        self._stream = engine.call_now("attach_socket", self._container, params=wanted)
        self._descriptor = os.dup(self._stream.fileno())
        os.set_blocking(self._descriptor, False)
        engine.call_now("start", self._container)

    def _ask(self, method: str, *arguments: Any, **options: Any) -> None:
        """Without waiting for the answer."""
        if self._container is not None and self._exited is not None and not self._exited.done():
            self._spawn(self._asked(method, *arguments, **options))

    async def _asked(self, method: str, *arguments: Any, **options: Any) -> None:
        with contextlib.suppress(EngineError):  # it has ended meanwhile
            await self._engine.call(method, *arguments, **options)

    def _on_end(self) -> None:
        self._spawn(self._read_end())

    async def _read_end(self) -> None:
        assert self._exited is not None
        code = -signal.SIGKILL
        state = await inspected_state(self._engine, self._container)
        if state is not None:
            if state["Running"]:
                return
            code = exit_code(int(state["ExitCode"]))
        if not self._exited.done():
            self._exited.set_result(code)

    async def _read_prompt(self) -> None:
        with contextlib.suppress(EngineError):
            found = await self._engine.call("top", self._container)
            self._is_at_prompt = len(found["Processes"]) <= _AT_PROMPT_COUNT

    async def _read_usage(self) -> None:
        usage = await read_usage(self._engine, self._container)
        if usage is not None:
            self._memory_bytes = usage.memory_bytes

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
