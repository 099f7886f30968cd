"""The hub's side of one terminal on a running node: starts it, reads it, types into it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from kernels_app.bus.identifiers import NodeId, command_stream
from kernels_app.bus.terminals import (
    AnyTerminalCommand,
    AnyTerminalMail,
    AttachReader,
    ConfirmOutput,
    DetachReader,
    ReaderId,
    ResizeTerminal,
    StartTerminal,
    StopTerminal,
    TerminalEnded,
    TerminalId,
    TerminalInfo,
    TerminalInput,
    TerminalLimits,
    TerminalOutput,
    decode_info,
    decode_terminal_mail,
    encode_terminal,
    reader_topic,
    terminals_key,
)
from kernels_app.bus.transport import Publication, Transport

DEADLINE_S = 20.0


class Shell:
    """A terminal of the project `project` on the node."""

    def __init__(self, wire: Transport, node_id: NodeId, fence: int) -> None:
        self.wire = wire
        self.node_id = node_id
        self.fence = fence
        self.project_id = f"project-{uuid.uuid4()}"
        self.terminal_id = TerminalId(str(uuid.uuid4()))

    async def send(self, *commands: AnyTerminalCommand) -> None:
        log = command_stream(self.node_id)
        await self.wire.write([Publication(encode_terminal(command), log=log) for command in commands])

    async def start(self, *, cwd: str = "", limits: TerminalLimits | None = None) -> None:
        now = time.time_ns() // 1_000_000
        info = TerminalInfo(
            terminal_id=self.terminal_id,
            project_id=self.project_id,
            name="1",
            user_id="1",
            node_id=self.node_id,
            fence=self.fence,
            started_at=now,
            last_activity_at=now,
            renewed_at=now,
        )
        await self.send(
            StartTerminal(
                fence=self.fence,
                terminal_id=self.terminal_id,
                info=info,
                project_path="project",
                cwd=cwd,
                limits=limits or TerminalLimits(),
            )
        )

    async def stop(self) -> None:
        await self.send(StopTerminal(fence=self.fence, terminal_id=self.terminal_id))

    async def entry(self) -> TerminalInfo | None:
        fields = await self.wire.get_fields(terminals_key(self.project_id))
        payload = fields.get(self.terminal_id)
        return None if payload is None else decode_info(payload)

    async def reader(self, *, after: int | None = None, confirms: bool = True) -> ShellReader:
        reader = ShellReader(self, confirms=confirms)
        await reader.attach(after)
        return reader


class ShellReader:
    def __init__(self, shell: Shell, *, confirms: bool) -> None:
        self.shell = shell
        self.reader_id = ReaderId(uuid.uuid4().hex)
        self.mail: list[AnyTerminalMail] = []
        self.output = b""
        self.first_offset: int | None = None
        self.input_taken = 0
        self.ended: TerminalEnded | None = None
        self._confirms = confirms
        self._typed = 0
        self._grown = asyncio.Event()
        self._confirming: set[asyncio.Task[None]] = set()
        self._unsubscribe: Callable[[], Awaitable[None]] | None = None

    async def attach(self, after: int | None) -> None:
        self._unsubscribe = await self.shell.wire.subscribe(reader_topic(self.reader_id), self._hear)
        await self._say(AttachReader(**self._names(), after=after))

    async def detach(self) -> None:
        assert self._unsubscribe is not None
        await self._unsubscribe()
        await self._say(DetachReader(**self._names()))

    async def type(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        await self._say(TerminalInput(**self._names(), offset=self._typed, data=data))
        self._typed += len(data)

    async def type_again(self, text: str) -> None:
        """As the command before, once more."""
        data = text.encode()
        await self._say(TerminalInput(**self._names(), offset=self._typed - len(data), data=data))

    async def resize(self, rows: int, columns: int) -> None:
        await self._say(ResizeTerminal(**self._names(), rows=rows, columns=columns))

    async def confirm(self) -> None:
        assert self.first_offset is not None
        await self._say(ConfirmOutput(**self._names(), up_to=self.first_offset + len(self.output)))

    async def wait_for(self, check: Callable[[], object], what: str = "") -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not check():
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            raise AssertionError(f"{what} did not come; there was {self.output[-2000:]!r}") from None

    async def sees(self, text: str) -> None:
        await self.wait_for(lambda: text.encode() in self.output, text)

    async def sees_end(self) -> TerminalEnded:
        await self.wait_for(lambda: self.ended is not None, "the end")
        assert self.ended is not None
        return self.ended

    def has_more_than(self, count: int) -> bool:
        return len(self.output) > count

    def has_taken(self, count: int) -> bool:
        return self.input_taken >= count

    def _hear(self, payload: bytes | None) -> None:
        if payload is None:
            return
        mail = decode_terminal_mail(payload)
        self.mail.append(mail)
        match mail:
            case TerminalOutput():
                if self.first_offset is None:
                    self.first_offset = mail.offset
                assert mail.offset == self.first_offset + len(self.output), "no gap, nothing twice"
                self.output += mail.data
                self.input_taken = mail.input_taken
                if self._confirms:
                    task = asyncio.create_task(self.confirm())
                    self._confirming.add(task)
                    task.add_done_callback(self._confirming.discard)
            case TerminalEnded():
                self.ended = mail
        self._grown.set()

    async def _say(self, command: AnyTerminalCommand) -> None:
        await self.shell.send(command)

    def _names(self) -> dict[str, Any]:
        return {
            "fence": self.shell.fence,
            "terminal_id": self.shell.terminal_id,
            "reader_id": self.reader_id,
        }
