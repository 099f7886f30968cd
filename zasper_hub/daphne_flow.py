"""Flow control that Daphne lacks: large uploads and downloads pass with memory flat.

Daphne puts the whole body of a request (which it has in a temporary file) into memory before the application reads,
and takes all of an answer at once, however slowly the client reads. Under another server this does nothing.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, BinaryIO

from asgiref.sync import markcoroutinefunction
from daphne.http_protocol import WebRequest

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_BYTES = 256 * 1024
# What Daphne may go on keeping in memory: most requests. Threads would cost them more.
SMALL_BODY_BYTES = 256 * 1024


class DaphneFlow:
    """An ASGI application in front of `application`. It must be the outermost one."""

    def __init__(self, application: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self.application = application

    @markcoroutinefunction
    def __call__(self, scope: Message, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        # Not `async def`: Daphne calls this before it fills the queue, and runs what it returns after that.
        request = _daphne_request(send) if scope["type"] == "http" else None
        if request is None:
            return _run(self.application, scope, receive, send)
        body = request.content
        size_bytes = body.seek(0, io.SEEK_END)
        body.seek(0)
        if size_bytes > SMALL_BODY_BYTES:
            request.content = io.BytesIO()  # all that Daphne finds to put into the queue
            receive = _BodyReader(body, size_bytes, receive)
        return _run_with_pauses(self.application, scope, receive, send, request)


def _daphne_request(send: Send) -> Any:
    """Daphne's request, which it has bound into `send`; None under another server."""
    if isinstance(send, partial) and send.args and isinstance(send.args[0], WebRequest):
        return send.args[0]
    return None


async def _run(
    application: Callable[[Any, Any, Any], Awaitable[None]], scope: Message, receive: Receive, send: Send
) -> None:
    await application(scope, receive, send)


class _BodyReader:
    """`receive` that reads the body from its file, piece by piece, and then goes on with Daphne's queue."""

    def __init__(self, body: BinaryIO, size_bytes: int, rest: Receive) -> None:
        self._body = body
        self._left_bytes = size_bytes
        self._rest = rest
        self._skips_empty = True

    async def __call__(self) -> Message:
        if self._left_bytes > 0:
            chunk = await asyncio.to_thread(self._body.read, READ_BYTES)
            self._left_bytes -= len(chunk)
            if not chunk:
                return {"type": "http.disconnect"}
            if self._left_bytes == 0:
                self._body.close()
            return {"type": "http.request", "body": chunk, "more_body": self._left_bytes > 0}
        message = await self._rest()
        if self._skips_empty and message["type"] == "http.request":
            self._skips_empty = False
            return await self._rest()
        return message


class _Pauses:
    """A push producer as Twisted has it: told to pause while the client reads too slowly."""

    def __init__(self) -> None:
        self.may_send = asyncio.Event()
        self.may_send.set()

    def pauseProducing(self) -> None:  # Twisted's name
        self.may_send.clear()

    def resumeProducing(self) -> None:  # Twisted's name
        self.may_send.set()

    def stopProducing(self) -> None:  # Twisted's name
        self.may_send.set()  # the connection is gone; what is sent now goes nowhere


async def _run_with_pauses(
    application: Callable[[Any, Any, Any], Awaitable[None]],
    scope: Message,
    receive: Receive,
    send: Send,
    request: Any,
) -> None:
    pauses: _Pauses | None = None

    async def paused_send(message: Message) -> None:
        nonlocal pauses
        more_follows = message["type"] == "http.response.body" and message.get("more_body", False)
        if more_follows and pauses is None and request.channel is not None:
            pauses = _Pauses()
            request.registerProducer(pauses, True)
        if pauses is not None:
            await pauses.may_send.wait()
            if message["type"] == "http.response.body" and not more_follows:
                release()
        await send(message)

    def release() -> None:
        nonlocal pauses
        if pauses is not None and request.channel is not None and request.producer is pauses:
            request.unregisterProducer()
        pauses = None

    try:
        await application(scope, receive, paused_send)
    finally:
        release()
