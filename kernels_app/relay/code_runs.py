"""Runs code on a kernel without a browser or a document, and keeps its result for who asks later.

The request's state is a value on the wire, so that any web process answers for it; the process that took the request
listens to the kernel, and says that it still does by renewing the value.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from kernels_app.bus.channel_messages import InvalidChannelMessage, pack_message
from kernels_app.bus.identifiers import KernelId, NodeId
from kernels_app.bus.transport import TransportError
from kernels_app.errors import HubError, TooMany
from kernels_app.relay.channels import ChannelClient, ChannelRelay, KernelFeed
from kernels_app.relay.code_outputs import CodeOutputs

log = structlog.get_logger(__name__)

RUNNING_TTL_S = 60.0
RENEW_S = 20.0
RESULT_TTL_S = 3600.0
MAX_RUNS = 500  # of one web process


def code_run_key(kernel_id: str, request_id: str) -> str:
    """Where the state of a request is: JSON, with `outputs` when it is done."""
    return f"code-run:{kernel_id}:{request_id}"


class _CodeRun:
    """The outlet of one request."""

    def __init__(self, request_id: str) -> None:
        self.outputs = CodeOutputs(request_id)
        self.changed = asyncio.Event()
        self.has_ended = False
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

    def answer(self, kernel_id: str, value: str) -> bool:
        """Gives a line to the request of this kernel that waits for one; False when none does here."""
        for run, feed, client in self._runs.values():
            if feed.kernel_id == kernel_id and run.outputs.input_request is not None:
                run.outputs.input_request = None
                reply = _message(
                    "input_reply",
                    uuid.uuid4().hex,
                    {"value": value, "status": "ok"},
                    channel="stdin",
                    parent=run.outputs.input_header,
                )
                feed.say(client, reply)
                run.changed.set()
                return True
        return False

    async def _follow(self, kernel_id: KernelId, request_id: str) -> None:
        run, feed, client = self._runs[request_id]
        try:
            while not (run.outputs.is_done or run.has_ended):
                state: dict[str, Any] = {"state": "running"}
                if run.outputs.input_request is not None:
                    state = {"state": "input", "input_request": run.outputs.input_request}
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

    async def _keep(self, kernel_id: str, request_id: str, state: dict[str, Any], ttl_s: float) -> None:
        payload = json.dumps(state).encode()
        for attempt in range(30):
            try:
                await self.relay.transport.put_value(
                    code_run_key(kernel_id, request_id), payload, ttl_s=ttl_s
                )
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
) -> bytes:
    header = {
        "msg_id": msg_id,
        "msg_type": msg_type,
        "username": "hub",
        "session": f"code-{msg_id}",
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
