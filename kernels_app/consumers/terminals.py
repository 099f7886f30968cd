"""The terminal socket, with the protocol of Jupyter's terminals (terminado): JSON arrays `[type, …]`.

Client: `["stdin", text]`, `["set_size", rows, columns, …]`. Server: `["setup", {}]` first, `["stdout", text]`, and at
the end `["disconnect", 1, {"reason", "exit_code"}]`. Who comes later gets what was printed before.

A client that can tell how far it is says `["read", n]`: it has dealt with the first n `stdout` messages. From then on
it gets no more than it can take, is told `["taken", bytes]` of its input, and a terminal that prints waits for it. For
any other client a message counts as read when the server has sent it.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections import deque
from typing import Annotated, Any, ClassVar

import msgspec
import structlog
from channels.db import database_sync_to_async

from kernels_app.bus.terminals import TerminalInfo
from kernels_app.errors import HubError, Malformed
from kernels_app.relay.terminal_link import Piece, TerminalLink
from kernels_app.selectors.terminals import live_terminal
from notebooks_app.access import project_at
from notebooks_app.models import Role
from notebooks_app.services.file_hints import send_kernels_hint
from notebooks_app.wire import hub_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.sockets import HubConsumer
from zasper_hub.accounts.tokens import Scope

log = structlog.get_logger(__name__)

Dimension = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
TELL_TAKEN_BYTES = 16 << 10
# Clears the screen and what was above it (ECMA-48, RIS).
_BEGIN_ANEW = "\x1bc"
_encode = msgspec.json.Encoder().encode
_message_decoder = msgspec.json.Decoder(list[Any])


class TerminalConsumer(HubConsumer):
    """One window of one terminal."""

    need: ClassVar[Need] = Need.EDITOR
    token_scope: ClassVar[Scope] = Scope.RUN

    async def prepare(self) -> None:
        self._reader: asyncio.Task[None] | None = None
        self._info: TerminalInfo = await database_sync_to_async(self._find_terminal)()
        self._link = TerminalLink(await hub_transport(), self._info, on_passed_on=self._tell_taken)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # Of `stdout` messages: how many were sent, where the unread ones end.
        self._sent_count = 0
        self._unread: deque[tuple[int, int]] = deque()
        self._tells_reading = False
        self._told_taken = 0

    def _find_terminal(self) -> TerminalInfo:
        project = project_at(self.user, self.route_parameters["jupyter_project"], Role.EDITOR)
        return live_terminal(project.pk, self.route_parameters["terminal_name"])

    async def opened(self) -> None:
        await self._say("setup", {})
        self._reader = asyncio.create_task(self._read())

    async def closed(self, close_code: int) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def received(self, frame: str | bytes) -> None:
        match _decoded(frame):
            case ["stdin", str(text)]:
                self._link.type(text.encode())
            case ["set_size", rows, columns, *_]:
                await self._resize(rows, columns)
            case ["read", int(count)]:
                await self._note_read(count)
            case _:
                pass  # as Jupyter Server does: a later protocol may have more

    async def _resize(self, rows: object, columns: object) -> None:
        try:
            size = msgspec.convert([rows, columns], tuple[Dimension, Dimension])
        except msgspec.ValidationError:
            return  # a window that is not drawn yet has no size
        await self._link.resize(*size)

    async def _note_read(self, count: int) -> None:
        self._tells_reading = True
        end: int | None = None
        while self._unread and self._unread[0][0] <= count:
            end = self._unread.popleft()[1]
        if end is not None:
            await self._link.confirm(end)
        await self._tell_taken()

    async def _read(self) -> None:
        try:
            async with contextlib.aclosing(self._link.pieces()) as pieces:
                async for piece in pieces:
                    await self._send_piece(piece)
        except HubError as error:
            await self.close_with(error)
            return
        except Exception:
            log.exception("terminal_socket_crashed", terminal_id=self._info.terminal_id)
            await self.close_with(HubError())
            return
        ended = self._link.ended
        reason, code = (ended.reason, ended.exit_code) if ended is not None else ("", None)
        await self._say("disconnect", 1, {"reason": reason, "exit_code": code})
        await self.close(code=1000)
        await database_sync_to_async(send_kernels_hint)(self._info.project_id)

    async def _send_piece(self, piece: Piece) -> None:
        if piece.is_anew:
            self._decoder.reset()
        text = (_BEGIN_ANEW if piece.is_anew else "") + self._decoder.decode(piece.data)
        if text:
            await self._say("stdout", text)
            self._sent_count += 1
            self._unread.append((self._sent_count, piece.end))
        if not self._tells_reading:
            self._unread.clear()
            await self._link.confirm(piece.end)

    async def _tell_taken(self) -> None:
        taken = self._link.passed_on_bytes
        if self._tells_reading and taken - self._told_taken >= TELL_TAKEN_BYTES:
            self._told_taken = taken
            await self._say("taken", taken)

    async def _say(self, *message: object) -> None:
        await self.send(text_data=_encode(message).decode())


def _decoded(frame: str | bytes) -> list[Any]:
    try:
        return _message_decoder.decode(frame)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise Malformed("A message of this socket is a JSON array.") from error
