"""How messages of a kernel leave for one client: straight to the connection, or by ASGI."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernels_app.bus.channel_messages import pack_message, to_json_form
from kernels_app.errors import HubError, TooSlow
from kernels_app.relay.direct_socket import DirectSocket

# A client that is told that it is too slow has so long to read that.
LINGER_S = 30.0

# Called when the socket is to end: in good order (None) or with an error.
End = Callable[[HubError | None], None]


class DirectOutlet:
    """What a client has is known by its answers to pings."""

    def __init__(self, socket: DirectSocket, *, is_v1: bool, end: End) -> None:
        self._socket = socket
        self._is_v1 = is_v1
        self._end = end

    def put(self, messages: Sequence[tuple[int, bytes]]) -> None:
        if self._is_v1:
            self._socket.send(messages)
        else:
            self._socket.send([(seq, to_json_form(message)) for seq, message in messages])

    def waiting_bytes(self) -> int:
        return self._socket.waiting_bytes()

    def sent_seq(self) -> int:
        self._socket.settle()
        return self._socket.certain

    def final_seq(self, *, in_good_order: bool) -> int:
        return self._socket.likely if in_good_order else self._socket.certain

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()

    def lose(self, count: int) -> None:
        self.put([(self._socket.certain, loss_message(count))])

    def end(self, error: HubError | None) -> None:
        if isinstance(error, TooSlow):
            self._socket.linger(LINGER_S)
        self._end(error)


class AsgiOutlet:
    """What a client has is what its server has taken; a server that waits for slow clients tells so by waiting."""

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        *,
        is_v1: bool,
        drained: Callable[[], None],
        end: End,
    ) -> None:
        self._send = send
        self._is_v1 = is_v1
        self._drained = drained
        self._end = end
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._sent_seq = -1
        self._woken = asyncio.Event()
        self._ending: tuple[HubError | None] | None = None
        self._task = asyncio.create_task(self._send_waiting())

    def put(self, messages: Sequence[tuple[int, bytes]]) -> None:
        for pair in messages:
            self._waiting.append(pair)
            self._waiting_bytes += len(pair[1])
        self._woken.set()

    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    def sent_seq(self) -> int:
        return self._sent_seq

    def final_seq(self, *, in_good_order: bool) -> int:
        return self._sent_seq

    def lose(self, count: int) -> None:
        self.put([(self._sent_seq, loss_message(count))])

    def end(self, error: HubError | None) -> None:
        if isinstance(error, TooSlow):
            self._waiting.clear()  # it would wait for its reader
            self._end(error)
            return
        self._ending = (error,)
        self._woken.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _send_waiting(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                seq, message = self._waiting.popleft()
                form = message if self._is_v1 else to_json_form(message)
                kind = "text" if isinstance(form, str) else "bytes"
                await self._send({"type": "websocket.send", kind: form})
                self._sent_seq = max(seq, self._sent_seq)
                self._waiting_bytes -= len(message)
                self._drained()
            if self._ending is not None:
                self._end(self._ending[0])
                return


def loss_message(count: int) -> bytes:
    """Tells a client, as output of the kernel, that so many messages cannot be had any more."""
    text = (
        f"{count} messages of the kernel are missing here: this client was away for too long, or took them "
        "too slowly, and the hub could not keep them.\n"
    )
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "stream",
        "username": "hub",
        "session": "",
        "date": datetime.now(UTC).isoformat(),
        "version": "5.4",
    }
    content = msgspec.json.encode({"name": "stderr", "text": text})
    return pack_message("iopub", [msgspec.json.encode(header), b"{}", b"{}", content])
