"""The load client against a small server of kernel channels that loses or repeats messages on purpose."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from bench.channel_frames import SUBPROTOCOLS, v1_frame, v1_parts
from bench.load_client import KernelAddress, LoadPlan, LoadReport

KINDS = ("busy", "execute_input", "stream", "execute_reply", "idle")
# (number of the execution, messages) -> messages to send
Change = Callable[[int, list[bytes]], list[bytes]]


def answer(parent: bytes, number: int, kind: str) -> bytes:
    is_status = kind in ("busy", "idle")
    header = {"msg_id": f"k_{number}_{kind}", "msg_type": "status" if is_status else kind}
    content = {"execution_state": kind} if is_status else {}
    parts = [json.dumps(header).encode(), parent, b"{}", json.dumps(content).encode()]
    return v1_frame("shell" if kind == "execute_reply" else "iopub", parts)


@asynccontextmanager
async def channels(change: Change) -> AsyncIterator[KernelAddress]:
    async def follow(socket: ServerConnection) -> None:
        number = 0
        async for frame in socket:
            assert isinstance(frame, bytes)
            number += 1
            messages = [answer(v1_parts(frame)[1], number, kind) for kind in KINDS]
            for message in change(number, messages):
                await socket.send(message)

    subprotocols = [Subprotocol(name) for name in SUBPROTOCOLS["v1"]]
    async with serve(follow, "127.0.0.1", 0, subprotocols=subprotocols) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield KernelAddress(f"ws://127.0.0.1:{port}/")


async def report_of(change: Change) -> LoadReport:
    async with channels(change) as kernel:
        plan = LoadPlan(kernels=[kernel], rate_per_s=50, duration_s=0.2, drain_s=0.5)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.load_client",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(20):
            said, _ = await process.communicate(msgspec.json.encode(plan) + b"\ngo\n")
    ready, report = said.splitlines()
    assert ready == b"ready"
    return msgspec.json.decode(report, type=LoadReport)


async def test_a_server_that_passes_everything_is_lossless() -> None:
    report = await report_of(lambda number, messages: messages)
    assert (report.sent, report.completed) == (10, 10)
    assert (report.messages_expected, report.messages_lost, report.duplicates) == (50, 0, 0)
    assert report.p99_ms is not None


@pytest.mark.parametrize("lost", range(len(KINDS)), ids=KINDS)
async def test_each_kind_of_lost_message_is_seen(lost: int) -> None:
    report = await report_of(
        lambda number, messages: messages[:lost] + messages[lost + 1 :] if number == 3 else messages
    )
    assert (report.completed, report.messages_lost) == (9, 1)


async def test_a_message_that_comes_again_does_not_hide_a_lost_one() -> None:
    report = await report_of(
        lambda number, messages: [*messages[:4], messages[0]] if number == 3 else messages
    )
    assert (report.completed, report.messages_lost, report.duplicates) == (9, 1, 1)


async def test_a_message_repeated_after_the_end_is_a_duplicate() -> None:
    report = await report_of(lambda number, messages: [*messages, messages[2]] if number == 1 else messages)
    assert (report.completed, report.messages_lost, report.duplicates) == (10, 0, 1)
