"""The sockets to a kernel, against a kernel's ends made here."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import zmq

from kernels_app.bus.socket_poll import READABLE
from kernels_app.node.connection import Connection, ipc_connection, tcp_connection
from kernels_app.node.zeromq import channel_base, unix_channels
from kernels_app.node.zeromq.channel_base import ChannelName, KernelChannels
from kernels_app.node.zeromq.channels import KernelContext, open_channels
from kernels_app.node.zeromq.frames import KernelMessage, MessageParser, build_message
from kernels_app.node.zeromq.signing import Signer
from kernels_app.node.zeromq.unix_channels import UnixChannels
from kernels_app.node.zeromq.zmtp import pack_message
from tests.live_hub import wait_for

DEADLINE_S = 10


class Heard:
    def __init__(self) -> None:
        self.messages: list[tuple[ChannelName, KernelMessage]] = []
        self.backlog: list[bool] = []
        self.overruns: list[str] = []

    def on_kernel_message(self, channel: ChannelName, message: KernelMessage) -> None:
        if message.msg_type == "mistake":
            raise RuntimeError("our own mistake with one message")
        self.messages.append((channel, message))

    def on_backlog(self, is_behind: bool) -> None:
        self.backlog.append(is_behind)

    def on_overrun(self, reason: str) -> None:
        self.overruns.append(reason)


class FakeKernel:
    """Only a kernel's sockets."""

    def __init__(self, context: KernelContext, connection: Connection) -> None:
        self.signer = Signer(connection.key.encode())
        self.shell = context.context.socket(zmq.ROUTER)
        self.iopub = context.context.socket(zmq.XPUB)
        self.iopub.set(zmq.SNDHWM, 0)
        self.shell.bind(connection.endpoint("shell"))
        self.iopub.bind(connection.endpoint("iopub"))

    async def subscribed(self) -> None:
        await eventually(lambda: bool(self.iopub.poll(0)))
        assert self.iopub.recv() == b"\x01"  # the node subscribes

    def publish(self, msg_type: str, signer: Signer | None = None) -> None:
        self.iopub.send_multipart(
            [
                b"topic",
                *build_message(
                    msg_type, b"{}", msg_id="m", session_id="s", date="", signer=signer or self.signer
                ),
            ]
        )

    def close(self) -> None:
        self.shell.close(0)
        self.iopub.close(0)


@pytest.fixture
def context() -> Iterator[KernelContext]:
    made = KernelContext()
    yield made
    made.close()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(params=["ipc", "tcp"])
def connection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Connection:
    return ipc_connection(tmp_path_factory.mktemp("z")) if request.param == "ipc" else tcp_connection()


@pytest.fixture
async def opened(
    context: KernelContext, connection: Connection, heard: Heard
) -> AsyncIterator[KernelChannels]:
    made = open_channels(context, connection, heard)
    yield made
    made.close()


@pytest.fixture
async def kernel(
    context: KernelContext, connection: Connection, opened: KernelChannels
) -> AsyncIterator[FakeKernel]:
    made = FakeKernel(context, connection)
    await made.subscribed()
    yield made
    made.close()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_frames_with_a_wrong_signature_are_dropped_and_the_next_are_read(
    kernel: FakeKernel, opened: KernelChannels, heard: Heard
) -> None:
    kernel.iopub.send_multipart([b"garbage"])
    kernel.iopub.send_multipart([b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", b"{}"])
    kernel.publish("forged", Signer(b"not the key"))
    kernel.publish("mistake")
    kernel.publish("status")
    await eventually(lambda: len(heard.messages) == 1)
    assert [message.msg_type for _, message in heard.messages] == ["status"]
    assert opened.invalid_count == 3


async def test_every_message_of_a_burst_is_read_in_order(kernel: FakeKernel, heard: Heard) -> None:
    for number in range(5000):
        kernel.publish(f"n{number}")
    await eventually(lambda: len(heard.messages) == 5000)
    assert [message.msg_type for _, message in heard.messages] == [f"n{number}" for number in range(5000)]


async def test_a_request_reaches_the_kernel_and_its_reply_comes_back(
    kernel: FakeKernel, opened: KernelChannels, heard: Heard
) -> None:
    for number in range(50):
        opened.send("shell", "kernel_info_request", b"{}", msg_id=f"m{number}", buffers=[b"buffer"])
        await eventually(lambda: bool(kernel.shell.poll(0)))
        identity, *frames = kernel.shell.recv_multipart()
        message = MessageParser(kernel.signer).parse(frames)
        assert (message.msg_id, message.buffers) == (f"m{number}", [b"buffer"])
        reply = build_message(
            "kernel_info_reply", b"{}", msg_id="r", session_id="s", date="", signer=kernel.signer,
            parent_header=message.header,
        )  # fmt: skip
        kernel.shell.send_multipart([identity, *reply])
        await eventually(lambda expected=number + 1: len(heard.messages) == expected)  # type: ignore[misc]
    assert {(channel, message.msg_type) for channel, message in heard.messages} == {
        ("shell", "kernel_info_reply")
    }


async def test_a_kernel_faster_than_its_reader_is_told_of_and_then_read_to_the_end(
    kernel: FakeKernel, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_base, "BACKLOG_S", 0.0)
    monkeypatch.setattr(unix_channels, "DRAIN_S", 0.0)
    for number in range(3000):
        kernel.publish(f"n{number}")
    await eventually(lambda: len(heard.messages) == 3000 and heard.backlog[-1:] == [False])
    assert heard.backlog[:2] == [True, False]


async def test_nothing_is_sent_or_heard_after_the_close(
    kernel: FakeKernel, opened: KernelChannels, heard: Heard
) -> None:
    opened.close()
    opened.close()
    opened.send("shell", "kernel_info_request", b"{}", msg_id="m")
    kernel.publish("status")
    await asyncio.sleep(0.02)
    assert heard.messages == []


def test_a_folder_whose_path_is_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        ipc_connection(Path("/" + "x" * 120))


async def test_a_kernel_that_closes_its_sockets_and_opens_them_again_is_heard_again(
    context: KernelContext, connection: Connection, opened: KernelChannels, heard: Heard
) -> None:
    for number in (1, 2):
        kernel = FakeKernel(context, connection)
        await kernel.subscribed()
        kernel.publish("status")
        await eventually(lambda expected=number: len(heard.messages) == expected)  # type: ignore[misc]
        opened.send("shell", "kernel_info_request", b"{}", msg_id=f"m{number}")
        await eventually(lambda kernel=kernel: bool(kernel.shell.poll(0)))  # type: ignore[misc]
        kernel.close()
        await asyncio.sleep(0.05)  # the library closes its sockets in a thread of its own


async def test_a_kernel_that_does_not_read_gets_all_that_was_said_when_it_does(
    kernel: FakeKernel, opened: KernelChannels
) -> None:
    kernel.shell.set(zmq.RCVHWM, 1)
    payload = b"x" * 100_000
    for number in range(200):
        assert opened.send_frames("shell", [b"%d" % number, b"{}", b"{}", b"{}"], [payload])
    numbers: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(numbers) < 200:
            if kernel.shell.poll(0):
                numbers.append(int(kernel.shell.recv_multipart()[3]))
            else:
                await asyncio.sleep(0.001)
    assert numbers == list(range(200))


def waiting_bytes(opened: KernelChannels, channel: ChannelName) -> int:
    """What the kernel said and nobody has read."""
    assert isinstance(opened, UnixChannels)
    there = opened._links[channel]._socket
    assert there is not None
    size: int
    (size,) = struct.unpack("i", fcntl.ioctl(there, termios.FIONREAD, bytes(4)))
    return size


async def test_a_reply_is_heard_after_the_outputs_that_came_before_it(
    context: KernelContext,
    heard: Heard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr(unix_channels, "DRAIN_S", 0.0)  # a chunk a turn: the node is behind
    monkeypatch.setattr(unix_channels, "READ_BYTES", 4096)
    connection = ipc_connection(tmp_path_factory.mktemp("z"))
    opened = open_channels(context, connection, heard)
    kernel = FakeKernel(context, connection)
    await kernel.subscribed()
    opened.send("shell", "execute_request", b"{}", msg_id="m")
    await eventually(lambda: bool(kernel.shell.poll(0)))
    identity, *_ = kernel.shell.recv_multipart()
    payload = build_message(
        "stream", b'"' + b"x" * 2000 + b'"', msg_id="o", session_id="s", date="", signer=kernel.signer
    )
    for _ in range(12):  # less than a quarter of the socket's buffer, where a sender would wait
        kernel.iopub.send_multipart(payload)
    reply = build_message("execute_reply", b"{}", msg_id="r", session_id="s", date="", signer=kernel.signer)
    kernel.shell.send_multipart([identity, *reply])
    # The event loop waits with it: all is in the sockets before any is read.
    outputs_bytes, reply_bytes = 12 * len(pack_message(payload)), len(pack_message(reply))
    wait_for("the outputs are there", lambda: waiting_bytes(opened, "iopub") == outputs_bytes)
    wait_for("the reply is there", lambda: waiting_bytes(opened, "shell") >= reply_bytes)
    await eventually(lambda: len(heard.messages) == 13)
    assert heard.messages[-1][1].msg_type == "execute_reply"
    opened.close()
    kernel.close()


async def test_outputs_that_a_reply_brings_along_count_and_are_not_read_again_in_the_same_look(
    context: KernelContext, heard: Heard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    connection = ipc_connection(tmp_path_factory.mktemp("z"))
    opened = open_channels(context, connection, heard)
    assert isinstance(opened, UnixChannels)
    kernel = FakeKernel(context, connection)
    await kernel.subscribed()
    opened.send("shell", "execute_request", b"{}", msg_id="m")
    await eventually(lambda: bool(kernel.shell.poll(0)))
    identity, *_ = kernel.shell.recv_multipart()
    shell, iopub = opened._links["shell"], opened._links["iopub"]

    def answer(*outputs: str) -> None:
        for output in outputs:
            kernel.publish(output)
        reply = build_message("reply", b"{}", msg_id="r", session_id="s", date="", signer=kernel.signer)
        kernel.shell.send_multipart([identity, *reply])
        wait_for("outputs and reply are there", lambda: waiting_bytes(opened, "iopub") > 0)
        wait_for(
            "all of the reply is there", lambda: waiting_bytes(opened, "shell") >= len(pack_message(reply))
        )
        time.sleep(0.05)  # so are the rest of the outputs

    # The event loop waits with it: all of this is one look.
    answer("busy", "stream", "idle")
    assert shell.on_ready(READABLE) == 4
    kernel.publish("late")
    wait_for("the next output is there", lambda: waiting_bytes(opened, "iopub") > 0)
    assert iopub.on_ready(READABLE) == 0
    assert waiting_bytes(opened, "iopub") > 0
    answer("later")
    assert shell.on_ready(READABLE) == 3  # a reply never comes before its outputs
    await eventually(lambda: len(heard.messages) == 7)
    said = [message.msg_type for _, message in heard.messages]
    assert said == ["busy", "stream", "idle", "reply", "late", "later", "reply"]
    kernel.publish("next")
    await eventually(lambda: len(heard.messages) == 8)
    opened.close()
    kernel.close()
