"""Runs code on a kernel without a browser or a document, and keeps its result for who asks later.

The request's state is a value on the wire, so that any web process answers for it; the process that took the request
listens to the kernel, and says that it still does by renewing the value.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from kernels_app.bus.channel_messages import InvalidChannelMessage, header_of, pack_message
from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.transport import TransportError
from kernels_app.errors import HubError, TooMany
from kernels_app.relay.channels import ChannelRelay
from kernels_app.relay.code_outputs import CodeOutputs
from kernels_app.relay.kernel_feed import ChannelClient, KernelFeed

log = structlog.get_logger(__name__)

RUNNING_TTL_S = 60.0
RENEW_S = 20.0
RESULT_TTL_S = 3600.0
MAX_RUNS = 500  # of one web process


def code_run_key(kernel_id: str, request_id: str) -> str:
    """Where the state of a request is: JSON, with `outputs` when it is done."""
    return f"code-run:{kernel_id}:{request_id}"


def code_input_key(kernel_id: str) -> str:
    """Where the question is that code of this kernel waits with: JSON of its id, its request and its header."""
    return f"code-input:{kernel_id}"


class _CodeRun:
    """The outlet of one request."""

    def __init__(self, request_id: str) -> None:
        self.outputs = CodeOutputs(request_id)
        self.changed = asyncio.Event()
        self.has_ended = False
        self.asked = b""  # the header of the question that is on the wire
        self._seq = -1

    def put(self, messages: Sequence[tuple[int, bytes]]) -> None:
        for seq, message in messages:
            self._seq = max(self._seq, seq)
            before = self.outputs.input_request
            try:
                self.outputs.take(message)
            except (InvalidChannelMessage, ValueError):
                log.warning("code_run_message_unreadable")
            if self.outputs.is_done or self.outputs.input_request is not before:
                self.changed.set()

    def waiting_bytes(self) -> int:
        return 0

    def sent_seq(self) -> int:
        return self._seq

    def final_seq(self, *, in_good_order: bool) -> int:
        return self._seq

    def lose(self, count: int) -> None:
        self.outputs.outputs.append(
            {"output_type": "stream", "name": "stderr", "text": f"{count} messages were lost.\n"}
        )

    def end(self, error: HubError | None) -> None:
        self.has_ended = True
        self.changed.set()


class CodeRuns:
    """The requests of one event loop."""

    def __init__(self, relay: ChannelRelay) -> None:
        self.relay = relay
        self._runs: dict[str, tuple[_CodeRun, KernelFeed, ChannelClient]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(
        self, *, kernel_id: KernelId, node_id: NodeId, fence: int, code: str, metadata: dict[str, Any]
    ) -> str:
        """The request's id: its state is on the wire already.

        Raises:
            TooMany
            TransportError
        """
        if len(self._runs) >= MAX_RUNS:
            raise TooMany
        request_id = str(uuid.uuid4())
        await self._keep(kernel_id, request_id, {"state": "running"}, RUNNING_TTL_S)
        run = _CodeRun(request_id)
        client = ChannelClient(f"code:{request_id}", run, may_return=False)
        feed = self.relay.join(kernel_id=kernel_id, node_id=node_id, fence=fence, client=client)
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
        }
        feed.say(client, _message("execute_request", request_id, content, metadata=metadata))
        self._runs[request_id] = (run, feed, client)
        task = asyncio.create_task(self._follow(kernel_id, request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return request_id

    async def answer(self, *, kernel_id: KernelId, node_id: NodeId, fence: int, value: str) -> bool:
        """Gives a line to the code of this kernel that waits for one, whichever process follows it; False: none does.

        Raises:
            TransportError
        """
        transport = self.relay.transport
        known = await transport.get_value(code_input_key(kernel_id))
        if known is None:
            return False
        question = json.loads(known)
        # One answer a question, however many are given at once.
        claim = f"code-answer:{question['id']}"
        if await transport.acquire_lease(claim, holder=uuid.uuid4().hex, ttl_s=RESULT_TTL_S) is None:
            return False
        request_id, header = str(question["request_id"]), str(question["header"]).encode()
        reply = _message(
            "input_reply",
            uuid.uuid4().hex,
            {"value": value, "status": "ok"},
            channel="stdin",
            parent=header,
            session=request_id,
        )
        self.relay.say_for(f"code:{request_id}", reply, kernel_id=kernel_id, node_id=node_id, fence=fence)
        await transport.delete_value(code_input_key(kernel_id))
        await self._keep(kernel_id, request_id, {"state": "running"}, RUNNING_TTL_S)
        followed = self._runs.get(request_id)
        if followed is not None:
            followed[0].changed.set()
        return True

    async def _follow(self, kernel_id: KernelId, request_id: str) -> None:
        run, feed, client = self._runs[request_id]
        try:
            while not (run.outputs.is_done or run.has_ended):
                state = await self._state_of(run, kernel_id, request_id)
                await self._keep(kernel_id, request_id, state, RUNNING_TTL_S)
                try:
                    async with asyncio.timeout(RENEW_S):
                        await run.changed.wait()
                except TimeoutError:
                    continue
                run.changed.clear()
            if run.outputs.is_done:
                state = {"state": "done", "result": run.outputs.result()}
            else:
                state = {"state": "failed", "error": "The kernel ended before the code had run."}
            await self._keep(kernel_id, request_id, state, RESULT_TTL_S)
        finally:
            del self._runs[request_id]
            self.relay.leave(feed, client, in_good_order=True)

    async def _state_of(self, run: _CodeRun, kernel_id: KernelId, request_id: str) -> dict[str, Any]:
        """`running`, or `input` with the question; a question stays on the wire until it is answered."""
        key, header = code_input_key(kernel_id), run.outputs.input_header
        if run.outputs.input_request is None:
            return {"state": "running"}
        if run.asked == header:
            with contextlib.suppress(TransportError):
                known = await self.relay.transport.get_value(key)
                if known is None or json.loads(known)["request_id"] != request_id:
                    run.outputs.input_request = None
                    return {"state": "running"}
        run.asked = header
        question = {"id": header_of(header).msg_id, "request_id": request_id, "header": header.decode()}
        await self._put(key, json.dumps(question).encode(), RUNNING_TTL_S)
        return {
            "state": "input",
            "parent_header": json.loads(header),
            "input_request": run.outputs.input_request,
        }

    async def _keep(self, kernel_id: str, request_id: str, state: dict[str, Any], ttl_s: float) -> None:
        await self._put(code_run_key(kernel_id, request_id), json.dumps(state).encode(), ttl_s)

    async def _put(self, key: str, value: bytes, ttl_s: float) -> None:
        for attempt in range(30):
            try:
                await self.relay.transport.put_value(key, value, ttl_s=ttl_s)
                return
            except TransportError:
                if attempt == 29:
                    raise
                await asyncio.sleep(1.0)


def _message(
    msg_type: str,
    msg_id: str,
    content: dict[str, Any],
    *,
    channel: str = "shell",
    metadata: dict[str, Any] | None = None,
    parent: bytes = b"{}",
    session: str | None = None,
) -> bytes:
    header = {
        "msg_id": msg_id,
        "msg_type": msg_type,
        "username": "hub",
        "session": f"code-{session or msg_id}",
        "date": "",
        "version": "5.4",
    }
    parts = (header, metadata or {}, content)
    encoded = [json.dumps(part).encode() for part in parts]
    return pack_message(channel, [encoded[0], parent, encoded[1], encoded[2]])


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, CodeRuns] = WeakKeyDictionary()


def code_runs_of_this_loop(relay: ChannelRelay) -> CodeRuns:
    loop = asyncio.get_running_loop()
    runs = _of_loop.get(loop)
    if runs is None or runs.relay is not relay:
        runs = _of_loop[loop] = CodeRuns(relay)
    return runs
