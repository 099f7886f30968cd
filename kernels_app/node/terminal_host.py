"""The terminals of a node: each command goes to the one it names; live ones are registered on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import msgspec

from kernels_app.bus.terminals import (
    RENEW_ENTRY_S,
    AnyTerminalCommand,
    AnyTerminalMail,
    AttachReader,
    ReaderDropped,
    ReaderId,
    StartTerminal,
    StopTerminal,
    TerminalEnded,
    TerminalId,
    TerminalInfo,
    encode_info,
    encode_terminal,
    reader_topic,
    terminals_key,
)
from kernels_app.bus.transport import TransportError
from kernels_app.node.environment import RefusedVariable
from kernels_app.node.launching import LaunchRefused
from kernels_app.node.life import NodeLife
from kernels_app.node.provisioners.terminal_base import MakeTerminal
from kernels_app.node.terminal import Terminal

logger = logging.getLogger(__name__)

CHECK_S = 1.0
# How far the time of the last activity in the register may be behind.
ACTIVITY_S = 5.0
# The hub allows fewer a project; this bounds a node whatever the hub does.
MAX_TERMINALS = 500
IN_USE_S = 300
GONE = "This terminal does not run any more."


class _Hosted(msgspec.Struct):
    terminal: Terminal
    task: asyncio.Task[None]
    # As it was last written to the register.
    entry: TerminalInfo | None = None
    is_removed: bool = False
    is_forgotten: bool = False


class TerminalHost:
    """`handle` is called on the event loop and returns at once."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        life: NodeLife,
        *,
        make_terminal: MakeTerminal | None,
    ) -> None:
        self._tasks = tasks
        self._life = life
        self._make_terminal = make_terminal
        self._hosted: dict[TerminalId, _Hosted] = {}
        # Entries of terminals that never were here.
        self._refused: dict[TerminalId, TerminalInfo] = {}
        self._changed = asyncio.Event()
        # Called when a terminal begins to start.
        self.on_start: Callable[[], None] = lambda: None

    @property
    def terminal_count(self) -> int:
        return len(self._live())

    @property
    def project_paths(self) -> set[str]:
        """Of the projects in which terminals live."""
        return {hosted.terminal.project_path for hosted in self._live()}

    @property
    def is_in_use(self) -> bool:
        """Whether something was typed or printed a short while ago."""
        since = self._life.clock_ms() - IN_USE_S * 1000
        return any(hosted.terminal.last_activity_at > since for hosted in self._live())

    def end_in_project(self, project_path: str, reason: str) -> None:
        """Ends the project's terminals at once."""
        for hosted in self._live():
            if hosted.terminal.project_path == project_path:
                hosted.terminal.kill(reason)

    def handle(self, command: AnyTerminalCommand) -> None:
        """Carries out a command; one of another life of this node is refused."""
        is_ours = command.fence == self._life.fence
        hosted = self._hosted.get(command.terminal_id) if is_ours else None
        if isinstance(command, StartTerminal):
            if not is_ours:
                self._refuse(command)
            elif hosted is None:
                self._start(command)
        elif hosted is None:
            if isinstance(command, AttachReader):
                self._tell(command.reader_id, TerminalEnded(reason=GONE))
        else:
            answer = hosted.terminal.handle(command)
            if answer is not None and not isinstance(command, StopTerminal):
                self._tell(command.reader_id, answer)
            self._changed.set()

    async def watch(self) -> None:
        """Looks after the terminals and their entries until cancelled; asleep while there are none."""
        while True:
            if not self._hosted and not self._refused:
                self._changed.clear()
                await self._changed.wait()
            for hosted in list(self._hosted.values()):
                for reader_id in hosted.terminal.check():
                    self._tell(reader_id, ReaderDropped())
            with contextlib.suppress(TransportError):
                await self._register()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._changed.wait()
                    # Many commands at once are one look.
                    await asyncio.sleep(0.05)

    async def end_all(self, reason: str) -> None:
        """Returns when every terminal has ended and its readers were told, in about the time one takes."""
        ending = list(self._hosted.values())
        for hosted in ending:
            hosted.terminal.stop(reason)
        for hosted in ending:
            await hosted.terminal.has_ended.wait()
        with contextlib.suppress(TransportError):
            await self._register()

    def cancel(self) -> None:
        """Cancels what still runs; terminals clean up behind themselves."""
        for hosted in self._hosted.values():
            hosted.task.cancel()

    def _start(self, command: StartTerminal) -> None:
        if self._make_terminal is None or len(self._hosted) >= MAX_TERMINALS:
            self._refuse(command)
            return
        try:
            plan = self._life.launcher.terminal_plan(command)
        except (LaunchRefused, RefusedVariable) as error:
            logger.warning("Terminal %s was refused: %s", command.terminal_id, error)
            self._refuse(command)
            return
        terminal = Terminal(
            command, plan, self._make_terminal(), transport=self._life.transport, clock_ms=self._life.clock_ms
        )
        task = self._tasks.create_task(self._host(terminal))
        self._hosted[command.terminal_id] = _Hosted(terminal, task)
        self._changed.set()
        self.on_start()

    async def _host(self, terminal: Terminal) -> None:
        try:
            await terminal.run()
        except Exception:
            # One terminal's failure is not the others'.
            logger.exception("Terminal %s failed", terminal.info.terminal_id)
        finally:
            self._hosted[terminal.info.terminal_id].is_forgotten = True
            self._changed.set()

    def _live(self) -> list[_Hosted]:
        return [hosted for hosted in list(self._hosted.values()) if hosted.terminal.ended is None]

    def _refuse(self, command: StartTerminal) -> None:
        self._refused[command.terminal_id] = command.info
        self._changed.set()

    def _tell(self, reader_id: ReaderId, mail: AnyTerminalMail) -> None:
        self._life.outbox.publish(reader_topic(reader_id), encode_terminal(mail))

    async def _register(self) -> None:
        """Brings the register up to date. Raises TransportError: what is left is done the next time."""
        for terminal_id, info in list(self._refused.items()):
            await self._life.transport.delete_field(terminals_key(info.project_id), terminal_id)
            del self._refused[terminal_id]
        now = self._life.clock_ms()
        for terminal_id, hosted in list(self._hosted.items()):
            info = hosted.terminal.info
            if hosted.terminal.ended is not None or hosted.is_forgotten:
                if not hosted.is_removed:
                    await self._life.transport.delete_field(terminals_key(info.project_id), terminal_id)
                    hosted.is_removed = True
                if hosted.is_forgotten:
                    del self._hosted[terminal_id]
            elif not hosted.terminal.is_stopping and self._is_due(hosted, now):
                entry = msgspec.structs.replace(
                    info, last_activity_at=hosted.terminal.last_activity_at, renewed_at=now
                )
                await self._life.transport.put_field(
                    terminals_key(info.project_id), terminal_id, encode_info(entry)
                )
                hosted.entry = entry

    def _is_due(self, hosted: _Hosted, now: int) -> bool:
        return (
            hosted.entry is None
            or now - hosted.entry.renewed_at > RENEW_ENTRY_S * 1000
            or hosted.terminal.last_activity_at - hosted.entry.last_activity_at > ACTIVITY_S * 1000
        )
