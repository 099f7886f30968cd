"""One socket at one terminal, on the side of the hub: output in order and once, input in order.

The node numbers the output by bytes and keeps the last part of it. A link that finds a gap, or was interrupted, goes to
the node again, as a new reader, from the byte it needs next.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypedDict

import msgspec
import structlog

from kernels_app.bus.identifiers import NodeId, command_stream
from kernels_app.bus.terminals import (
    INPUT_WINDOW_BYTES,
    MAX_INPUT_BYTES,
    SIGN_OF_LIFE_S,
    WINDOW_BYTES,
    AnyTerminalCommand,
    AnyTerminalMail,
    AttachReader,
    ConfirmOutput,
    DetachReader,
    ReaderDropped,
    ReaderId,
    ResizeTerminal,
    TerminalEnded,
    TerminalId,
    TerminalInfo,
    TerminalInput,
    TerminalOutput,
    decode_terminal_mail,
    encode_terminal,
    reader_topic,
)
from kernels_app.bus.transport import Publication, Transport, TransportError
from kernels_app.errors import TooLarge, TooSlow

log = structlog.get_logger(__name__)

RETRY_S = 0.5
CONFIRM_EVERY_BYTES = WINDOW_BYTES // 4
# Of one socket, waiting for a program that does not read: a long paste, and no more.
MAX_WAITING_INPUT_BYTES = 4 << 20
# The node answers an attachment at once; without an answer it is asked again.
ANSWER_S = 5.0


class _Names(TypedDict):
    fence: int
    terminal_id: TerminalId
    reader_id: ReaderId


class Piece(msgspec.Struct, frozen=True):
    """Some output. `is_anew`: what came before it is lost, the screen begins anew. `end` is for `confirm`."""

    data: bytes
    is_anew: bool
    end: int


class TerminalLink:
    """`pieces` is the link's life; all else returns at once."""

    def __init__(
        self, transport: Transport, info: TerminalInfo, *, on_passed_on: Callable[[], Awaitable[None]]
    ) -> None:
        """`on_passed_on` is called when `passed_on_bytes` has risen."""
        self._transport = transport
        self._on_passed_on = on_passed_on
        self._info = info
        self._reader_id = ReaderId("")
        self._mail: deque[AnyTerminalMail | None] = deque()
        self._grown = asyncio.Event()
        self._position: int | None = None
        self._confirmed = 0
        self._size: tuple[int, int] | None = None
        self._typed = bytearray()
        self._typed_more = asyncio.Event()
        self._input_sent = 0
        self._input_taken = 0
        # Bytes of input that have left for the terminal, over all attachments.
        self.passed_on_bytes = 0
        self.ended: TerminalEnded | None = None

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Output until the terminal has ended; then `ended` says why. Confirm what was taken, or no more will come.

        Raises:
            TooSlow: too little was confirmed for too long.
        """
        sender = asyncio.create_task(self._send_input())
        life = asyncio.create_task(self._show_life())
        try:
            while self.ended is None:
                async with contextlib.aclosing(self._pieces_of_attachment()) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            for task in (sender, life):
                task.cancel()
            await asyncio.gather(sender, life, return_exceptions=True)

    def type(self, data: bytes) -> None:
        """Raises TooLarge when too much waits already."""
        if len(self._typed) + len(data) > MAX_WAITING_INPUT_BYTES:
            raise TooLarge("Too much was typed into a terminal whose program does not read it.")
        self._typed += data
        self._typed_more.set()

    async def resize(self, rows: int, columns: int) -> None:
        self._size = (rows, columns)
        await self._try_to_write(self._resize_command())

    async def confirm(self, up_to: int) -> None:
        """The reader has everything up to the `end` of this piece."""
        if self._position is None or up_to > self._position or up_to - self._confirmed < CONFIRM_EVERY_BYTES:
            return
        self._confirmed = up_to
        await self._try_to_write(self._confirm_command())

    async def _pieces_of_attachment(self) -> AsyncGenerator[Piece, None]:
        """Output as one reader, until the end, a gap or an interruption."""
        wanted = self._position
        unsubscribe = await self._attach(wanted)
        try:
            has_answer = False
            while True:
                mail = await self._next_mail(None if has_answer else ANSWER_S)
                match mail:
                    case None:
                        return
                    case TerminalEnded():
                        self.ended = mail
                        return
                    case ReaderDropped():
                        raise TooSlow("The terminal waited too long for this connection.")
                    case TerminalOutput():
                        self._take_account_of_input(mail.input_taken)
                        is_anew = not has_answer and mail.offset != wanted
                        if has_answer and mail.offset != self._position:
                            return
                        has_answer = True
                        if is_anew:
                            self._confirmed = mail.offset
                        self._position = mail.offset + len(mail.data)
                        if mail.data or (is_anew and wanted is not None):
                            yield Piece(mail.data, is_anew and wanted is not None, self._position)
        finally:
            with contextlib.suppress(TransportError):
                await unsubscribe()
            await asyncio.shield(self._try_to_write(DetachReader(**self._names())))

    async def _attach(self, after: int | None) -> Callable[[], Awaitable[None]]:
        while True:
            self._reader_id = ReaderId(uuid.uuid4().hex)
            self._mail.clear()
            self._input_sent = self._input_taken = 0
            unsubscribe: Callable[[], Awaitable[None]] | None = None
            try:
                unsubscribe = await self._transport.subscribe(reader_topic(self._reader_id), self._listener())
                commands: list[AnyTerminalCommand] = [AttachReader(**self._names(), after=after)]
                if self._size is not None:
                    commands.append(self._resize_command())
                await self._write(*commands)
            except TransportError:
                if unsubscribe is not None:
                    with contextlib.suppress(TransportError):
                        await unsubscribe()
                await asyncio.sleep(RETRY_S)
                continue
            self._typed_more.set()
            return unsubscribe

    def _listener(self) -> Callable[[bytes | None], None]:
        reader_id = self._reader_id

        def hear(payload: bytes | None) -> None:
            if reader_id != self._reader_id:
                return
            try:
                self._mail.append(None if payload is None else decode_terminal_mail(payload))
            except (msgspec.ValidationError, msgspec.DecodeError):
                log.warning("terminal_mail_unreadable", terminal_id=self._info.terminal_id)
                return
            self._grown.set()

        return hear

    async def _next_mail(self, timeout_s: float | None) -> AnyTerminalMail | None:
        """None when the link must attach again."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._mail:
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            return None
        return self._mail.popleft()

    def _take_account_of_input(self, taken: int) -> None:
        if taken > self._input_taken:
            self._input_taken = taken
            self._typed_more.set()

    async def _send_input(self) -> None:
        while True:
            await self._typed_more.wait()
            self._typed_more.clear()
            while (
                self._typed and self._input_sent - self._input_taken < INPUT_WINDOW_BYTES and self._reader_id
            ):
                reader_id = self._reader_id
                data = bytes(self._typed[:MAX_INPUT_BYTES])
                try:
                    await self._write(TerminalInput(**self._names(), offset=self._input_sent, data=data))
                except TransportError:
                    # The same again, with the same offset: if it did get through, it counts once.
                    await asyncio.sleep(RETRY_S)
                    continue
                del self._typed[: len(data)]
                self.passed_on_bytes += len(data)
                if reader_id == self._reader_id:
                    self._input_sent += len(data)
                await self._on_passed_on()

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(SIGN_OF_LIFE_S)
            await self._try_to_write(self._confirm_command())

    async def _try_to_write(self, command: AnyTerminalCommand) -> None:
        with contextlib.suppress(TransportError):
            await self._write(command)

    async def _write(self, *commands: AnyTerminalCommand) -> None:
        stream = command_stream(NodeId(self._info.node_id))
        await self._transport.write(
            [Publication(encode_terminal(command), log=stream) for command in commands]
        )

    def _resize_command(self) -> ResizeTerminal:
        rows, columns = self._size or (24, 80)
        return ResizeTerminal(**self._names(), rows=rows, columns=columns)

    def _confirm_command(self) -> ConfirmOutput:
        return ConfirmOutput(**self._names(), up_to=self._confirmed)

    def _names(self) -> _Names:
        return {
            "fence": self._info.fence,
            "terminal_id": self._info.terminal_id,
            "reader_id": self._reader_id,
        }
