"""The channels socket of a kernel, as Jupyter Server has it: raw messages of shell, iopub, stdin and control."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar
from urllib.parse import parse_qs

import structlog
from channels.db import database_sync_to_async

from kernels_app.access import kernel_for
from kernels_app.bus.channel_messages import (
    V1_PROTOCOL,
    InvalidChannelMessage,
    from_json_form,
    pack_message,
    to_json_form,
    unpack_message,
)
from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.errors import Malformed, NotFound
from kernels_app.models import LIVE_STATES, Kernel
from kernels_app.relay.channels import ChannelClient, KernelFeed, channel_relay_of_this_loop
from notebooks_app.access import project_at
from notebooks_app.models import Role
from notebooks_app.wire import hub_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.sockets import HubConsumer
from zasper_hub.accounts.tokens import Scope

log = structlog.get_logger(__name__)

MAX_SESSION_ID_CHARS = 200


class ChannelsConsumer(HubConsumer):
    """One client of one kernel. It never waits for the kernel: what it says is held until the kernel is there."""

    need: ClassVar[Need] = Need.EDITOR
    token_scope: ClassVar[Scope] = Scope.RUN
    max_frame_bytes: ClassVar[int] = 16 * 1024 * 1024

    _feed: KernelFeed | None = None
    _client: ChannelClient | None = None
    _sender: asyncio.Task[None] | None = None

    def subprotocol(self, offered: list[str]) -> str | None:
        return V1_PROTOCOL if V1_PROTOCOL in offered else None

    async def prepare(self) -> None:
        self._is_v1 = self.subprotocol(list(self.scope.get("subprotocols", []))) is not None
        self._kernel: Kernel = await database_sync_to_async(self._find_kernel)()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._sent_seq = -1
        self._woken = asyncio.Event()
        self._end_reason: str | None = None

    def _find_kernel(self) -> Kernel:
        project = project_at(self.user, self.route_parameters["jupyter_project"], Role.EDITOR)
        kernel = kernel_for(self.user, self.route_parameters["kernel_id"], Role.EDITOR)
        if kernel.project_id != project.pk or kernel.state not in LIVE_STATES or kernel.node_id is None:
            raise NotFound("There is no such kernel.")
        return kernel

    async def opened(self) -> None:
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"))
        session_id = query.get("session_id", [""])[-1][:MAX_SESSION_ID_CHARS]
        # A client is known by its person too: a project's members cannot take each other's messages.
        key = f"{self.user.pk}:{session_id}" if session_id else uuid.uuid4().hex
        self._client = ChannelClient(key, self, may_return=bool(session_id))
        relay = channel_relay_of_this_loop(await hub_transport())
        self._sender = asyncio.create_task(self._send_waiting())
        self._feed = relay.join(
            kernel_id=KernelId(str(self._kernel.pk)),
            node_id=NodeId(str(self._kernel.node_id)),
            fence=self._kernel.fence,
            client=self._client,
        )

    async def closed(self, close_code: int) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        if self._feed is not None and self._client is not None:
            channel_relay_of_this_loop(await hub_transport()).leave(self._feed, self._client)

    async def received(self, frame: str | bytes) -> None:
        if self._feed is None or self._client is None:
            return
        try:
            if not self._is_v1:
                message = from_json_form(frame)
            elif isinstance(frame, bytes):
                unpack_message(frame)
                message = frame
            else:
                raise InvalidChannelMessage("This socket carries binary messages.")
        except InvalidChannelMessage as error:
            raise Malformed(str(error)) from error
        self._feed.say(self._client, message)
        if not self._feed.link.has_room:
            await self._feed.link.wait_for_room()

    # What the relay calls

    def put(self, messages: Iterable[tuple[int, bytes]]) -> None:
        for pair in messages:
            self._waiting.append(pair)
            self._waiting_bytes += len(pair[1])
        self._woken.set()

    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    def sent_seq(self) -> int:
        return self._sent_seq

    def lose(self, count: int) -> None:
        text = (
            f"{count} messages of the kernel are missing here: this client was away for too long, "
            "or too slow, and the hub could not keep them.\n"
        )
        self.put([(self._sent_seq, _stream_message(text))])

    def end(self, reason: str) -> None:
        self._end_reason = reason
        self._woken.set()

    async def _send_waiting(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                seq, message = self._waiting.popleft()
                await self._send_message(message)
                self._sent_seq = seq
                self._waiting_bytes -= len(message)
                if self._feed is not None and self._client is not None and self._client.is_behind:
                    self._feed.drained(self._client)
            if self._end_reason is not None:
                await self.close(code=1000)
                return

    async def _send_message(self, message: bytes) -> None:
        event: dict[str, Any] = {"type": "websocket.send"}
        if self._is_v1:
            event["bytes"] = message
        else:
            form = to_json_form(message)
            event["text" if isinstance(form, str) else "bytes"] = form
        await self.base_send(event)


def _stream_message(text: str) -> bytes:
    import msgspec

    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "stream",
        "username": "hub",
        "session": "",
        "version": "5.4",
    }
    content = msgspec.json.encode({"name": "stderr", "text": text})
    return pack_message("iopub", [msgspec.json.encode(header), b"{}", b"{}", content])
