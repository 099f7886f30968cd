"""The channels socket of a kernel, as Jupyter Server has it: raw messages of shell, iopub, stdin and control."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import ClassVar
from urllib.parse import parse_qs

import structlog
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from kernels_app.access import kernel_for
from kernels_app.bus.channel_messages import (
    V1_PROTOCOL,
    InvalidChannelMessage,
    UnknownChannel,
    check_message,
    from_json_form,
)
from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.consumers.outlets import AsgiOutlet, DirectOutlet
from kernels_app.errors import HubError, Malformed, NotFound, TooMany, Unavailable
from kernels_app.models import LIVE_STATES, Kernel, KernelState
from kernels_app.relay.channels import channel_relay_of_this_loop
from kernels_app.relay.direct_socket import direct_socket
from kernels_app.relay.kernel_feed import ChannelClient, KernelFeed
from kernels_app.relay.node_link import NodeLink
from notebooks_app.access import project_at
from notebooks_app.models import Role
from notebooks_app.wire import hub_transport
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.sockets import HubConsumer
from zasper_hub.accounts.tokens import Scope

log = structlog.get_logger(__name__)

MAX_SESSION_ID_CHARS = 200
_CHANNELS_PATH = re.compile(r"/*api/kernels/([-0-9a-fA-F]{32,36})/channels(?:\?.*)?\Z", re.DOTALL)
PLACE_LOOK_S = 1.0
MAX_EARLY_BYTES = 32 * 1024 * 1024  # said before the kernel has a place: two frames of the largest size
# A closing frame of the client came: normal, going away, without a code.
_GOOD_CLOSES = frozenset({1000, 1001, 1005})


class ChannelsConsumer(HubConsumer):
    """One client of one kernel. It never waits for the kernel: what it says is held until the kernel is there."""

    need: ClassVar[Need] = Need.EDITOR
    token_scope: ClassVar[Scope] = Scope.RUN
    max_frame_bytes: ClassVar[int] = 16 * 1024 * 1024

    _feed: KernelFeed | None = None
    _client: ChannelClient | None = None
    _outlet: AsgiOutlet | DirectOutlet | None = None

    def subprotocol(self, offered: list[str]) -> str | None:
        return V1_PROTOCOL if V1_PROTOCOL in offered else None

    async def prepare(self) -> None:
        self._is_v1 = self.subprotocol(list(self.scope.get("subprotocols", []))) is not None
        self._early: list[bytes | str] = []
        self._early_bytes = 0
        self._kernel: Kernel = await database_sync_to_async(self._find_kernel)()
        direct = direct_socket(
            self.base_send,
            on_message=self._take,
            on_drained=self._drained,
            max_message_bytes=self.max_frame_bytes,
        )
        if direct is not None:
            self._outlet = DirectOutlet(direct, is_v1=self._is_v1, end=self._end_later)
        else:
            self._outlet = AsgiOutlet(
                self.base_send, is_v1=self._is_v1, drained=self._drained, end=self._end_later
            )

    def _kernel_id(self) -> str:
        return str(self.route_parameters["kernel_id"])

    def _find_kernel(self) -> Kernel:
        project = project_at(self.user, self.route_parameters["jupyter_project"], Role.EDITOR)
        kernel = kernel_for(self.user, self._kernel_id(), Role.EDITOR)
        is_open = kernel.state in LIVE_STATES and kernel.state != KernelState.STOPPING
        has_place = kernel.node_id is not None or kernel.state == KernelState.PENDING
        if kernel.project_id != project.pk or not is_open or not has_place:
            raise NotFound("There is no such kernel.")
        return kernel

    async def opened(self) -> None:
        assert self._outlet is not None
        session_id = self._argument("session_id")[:MAX_SESSION_ID_CHARS]
        # A client is known by its person too: a project's members cannot take each other's messages.
        key = f"{self.user.pk}:{session_id}" if session_id else uuid.uuid4().hex
        self._client = ChannelClient(key, self._outlet, may_return=bool(session_id))
        self._relay = channel_relay_of_this_loop(await hub_transport())
        if self._kernel.node_id is None:
            self._waiting = asyncio.create_task(self._wait_for_place())
        else:
            self._join()

    async def _wait_for_place(self) -> None:
        """Until the kernel has a node; its client sees `starting` meanwhile, as with any kernel that starts."""
        try:
            while self._kernel.node_id is None:
                await asyncio.sleep(PLACE_LOOK_S)
                self._kernel = await database_sync_to_async(self._find_kernel)()
            self._join()
        except HubError as error:
            self._end_later(error)
        except DatabaseError:
            self._end_later(Unavailable("The hub's database does not answer. Try again in a moment."))

    def _join(self) -> None:
        assert self._client is not None
        self._feed = self._relay.join(
            kernel_id=KernelId(str(self._kernel.pk)),
            node_id=NodeId(str(self._kernel.node_id)),
            fence=self._kernel.fence,
            client=self._client,
        )
        early, self._early = self._early, []
        for frame in early:
            self._say(frame)

    async def closed(self, close_code: int) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        if self._feed is not None and self._client is not None:
            in_good_order = close_code in _GOOD_CLOSES and self._ending is None
            self._relay.leave(self._feed, self._client, in_good_order=in_good_order)
        if isinstance(self._outlet, AsgiOutlet):
            await self._outlet.close()

    async def received(self, frame: str | bytes) -> None:
        self._say(frame)
        if self._feed is not None and not self._feed.link.has_room:
            await self._feed.link.wait_for_room()

    def _take(self, is_text: bool, payload: bytes) -> None:
        """A message that came past the server."""
        try:
            self._say(payload.decode() if is_text else payload)
        except UnicodeDecodeError:
            self._end_later(Malformed("A text message is not UTF-8."))
        except HubError as error:
            self._end_later(error)
        if self._feed is not None and not self._feed.link.has_room and isinstance(self._outlet, DirectOutlet):
            self._hold_back(self._feed.link, self._outlet)

    def _hold_back(self, link: NodeLink, outlet: DirectOutlet) -> None:
        """More is said than the node takes: what the client says next waits in its socket."""
        if self._is_held:
            return
        self._is_held = True
        outlet.pause_reading()

        def go_on() -> None:
            self._is_held = False
            outlet.resume_reading()

        link.call_with_room(go_on)

    def _say(self, frame: str | bytes) -> None:
        if self._feed is None or self._client is None:
            self._early_bytes += len(frame)
            if self._early_bytes > MAX_EARLY_BYTES:
                raise TooMany("Too much was sent to a kernel that has not started yet.")
            self._early.append(frame)
            return
        try:
            if not self._is_v1:
                message = from_json_form(frame)
            elif isinstance(frame, bytes):
                check_message(frame)
                message = frame
            else:
                raise InvalidChannelMessage("This socket carries binary messages.")
        except UnknownChannel:
            if not self._has_strayed:  # once: a client may do it with every message
                self._has_strayed = True
                log.warning("channel_unknown", kernel_id=str(self._kernel.pk))
            return
        except InvalidChannelMessage as error:
            raise Malformed(str(error)) from error
        self._feed.say(self._client, message)
        if self._feed.link.is_swamped:
            raise Unavailable("The hub's message server does not answer. Try again in a moment.")

    def _argument(self, name: str) -> str:
        """The last value of a query argument; empty when there is none."""
        query: str = self.scope.get("query_string", b"").decode("latin-1")
        return parse_qs(query).get(name, [""])[-1]

    def _drained(self) -> None:
        if self._feed is not None and self._client is not None:
            self._feed.drained(self._client)

    def _end_later(self, error: HubError | None) -> None:
        """Ends the socket; in good order without an error. From where nothing may wait."""
        if self._is_held and isinstance(self._outlet, DirectOutlet):
            self._outlet.resume_reading()  # it says nothing more, but answers
        if self._ending is None:
            self._ending = asyncio.create_task(
                self.close(code=1000) if error is None else self.close_with(error)
            )

    _waiting: asyncio.Task[None] | None = None
    _ending: asyncio.Task[None] | None = None
    _is_held = False
    _has_strayed = False


class ChannelsByQueryConsumer(ChannelsConsumer):
    """The same socket at the project's own address, with the path below it as the query argument `path`.

    For clients of jupyter_server's `GatewayKernelManager` (nbclient, papermill): they put nothing but an address of
    sockets before `/api/kernels/<id>/channels`, no header and no argument after it. That address can end in
    `?token=<token>&path=`, so the token stays what it is everywhere else: an argument.
    """

    def _kernel_id(self) -> str:
        named = _CHANNELS_PATH.match(self._argument("path"))
        if named is None:
            raise NotFound("There is no such kernel.")
        return named[1]
