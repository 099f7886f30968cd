"""Messages that are too large or never end: each link and all of them together hold a bounded part of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import struct
from pathlib import Path

import pytest

from kernels_app.bus.socket_poll import SocketPoll
from kernels_app.node.connection import ipc_connection
from kernels_app.node.zeromq import incoming, zmtp
from kernels_app.node.zeromq.attendant import protocol
from kernels_app.node.zeromq.attendant.protocol import IOPUB, FrameTooLarge, Unpacker, pack
from kernels_app.node.zeromq.incoming import COUNTED_BYTES, MAX_FRAMES, MAX_MESSAGE_BYTES, Incoming
from kernels_app.node.zeromq.line import AttendantLine, LineChannels
from kernels_app.node.zeromq.unix_channels import UnixChannels
from kernels_app.node.zeromq.zmtp import (
    GREETING,
    MAX_COMMAND_BYTES,
    BrokenPeer,
    MessageReader,
    MessageTooLarge,
    pack_message,
    ready_command,
)
from tests.kernels_app.node.zeromq.test_channels import Heard, eventually

MORE = b"\x01"


def reader() -> MessageReader:
    made = MessageReader()
    made.feed(GREETING + ready_command("PUB"))
    return made


def test_a_frame_that_announces_too_much_is_refused_at_once() -> None:
    with pytest.raises(MessageTooLarge):
        reader().feed(b"\x02" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"))


def test_frames_of_one_message_are_too_large_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmtp, "MAX_MESSAGE_BYTES", 1000)
    one = MORE + bytes([250]) + bytes(250)
    assert reader().feed(one * 4) == []
    with pytest.raises(MessageTooLarge):
        reader().feed(one * 4 + MORE + b"\x01")


@pytest.mark.parametrize("size", [0, 1])
def test_frames_without_end_are_refused(size: int) -> None:
    there = reader()
    for _ in range(MAX_FRAMES - 1):
        there.feed(MORE + bytes([size]) + bytes(size))
    with pytest.raises(MessageTooLarge):
        there.feed(MORE + bytes([size]) + bytes(size))


def test_a_large_command_is_refused() -> None:
    with pytest.raises(BrokenPeer):
        reader().feed(b"\x06" + (MAX_COMMAND_BYTES + 1).to_bytes(8, "big"))


def test_what_is_announced_takes_no_memory() -> None:
    there = reader()
    there.feed(b"\x02" + MAX_MESSAGE_BYTES.to_bytes(8, "big") + b"x" * 100)
    assert there.held_bytes < 200


def test_messages_one_after_the_other_are_not_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmtp, "MAX_MESSAGE_BYTES", 1000)
    there = reader()
    for _ in range(10):
        assert there.feed(pack_message([bytes(600), bytes(300)])) == [[bytes(600), bytes(300)]]
    assert there.held_bytes == 0


def test_a_picture_of_100_mb_passes_as_bytes_and_as_base64() -> None:
    picture = bytes(100_000_000)
    there = reader()
    in_json = b'{"data": {"image/png": "' + base64.b64encode(picture) + b'"}}'
    for message in ([b"content", in_json], [b"content", b"{}", picture]):
        data = pack_message(message)
        heard = [
            found
            for start in range(0, len(data), 1 << 20)
            for found in there.feed(data[start : start + (1 << 20)])
        ]
        assert heard == [message]
        unpacker = Unpacker()
        unpacker.feed(pack(IOPUB, message))
        assert list(unpacker.frames()) == [(IOPUB, message)]


def test_a_frame_of_a_line_has_a_limit_of_parts() -> None:
    unpacker = Unpacker()
    unpacker.feed(pack(IOPUB, [b""] * protocol.MAX_PARTS))
    assert len(next(unpacker.frames())[1]) == protocol.MAX_PARTS
    unpacker.feed(pack(IOPUB, [b""] * (protocol.MAX_PARTS + 1)))
    with pytest.raises(FrameTooLarge):
        next(unpacker.frames())


class Holding:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def overran(self, reason: str) -> None:
        self.reasons.append(reason)


def test_over_the_limit_of_all_whoever_has_most_lets_go() -> None:
    small, large, late = Holding(), Holding(), Holding()
    all_of_them = Incoming(max_bytes=10 * COUNTED_BYTES)
    all_of_them.hold(small, 2 * COUNTED_BYTES)
    all_of_them.hold(large, 7 * COUNTED_BYTES)
    all_of_them.hold(late, COUNTED_BYTES - 1)
    assert not large.reasons
    all_of_them.hold(late, 2 * COUNTED_BYTES)
    assert large.reasons == [incoming.TOO_MUCH_AT_ONCE]
    all_of_them.hold(small, 5 * COUNTED_BYTES)
    all_of_them.hold(late, 5 * COUNTED_BYTES)
    assert not small.reasons + late.reasons
    all_of_them.forget(small)
    all_of_them.hold(large, 5 * COUNTED_BYTES)
    assert len(large.reasons) == 1


class Hostile:
    """Listens where a kernel should, and answers each connection with the same bytes."""

    def __init__(self, path: str, words: bytes, *, is_closing: bool) -> None:
        self._words, self._is_closing = words, is_closing
        self.server = socket.socket(socket.AF_UNIX)
        self.server.setblocking(False)
        self.server.bind(path)
        self.server.listen()
        self.peers: list[socket.socket] = []
        self.connection_count = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(self.server)
            self.connection_count += 1
            self.peers.append(peer)
            with contextlib.suppress(OSError):
                await loop.sock_sendall(peer, self._words)
            if self._is_closing:
                self.peers.pop().close()


async def test_a_kernel_that_never_ends_a_message_has_to_end_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    connection, poll, heard = ipc_connection(tmp_path_factory.mktemp("z")), SocketPoll(), Heard()
    words = GREETING + ready_command("PUB") + (MORE + b"\x01x") * (MAX_FRAMES + 1)
    hostile = Hostile(connection.endpoint("iopub").removeprefix("ipc://"), words, is_closing=False)
    serving = asyncio.create_task(hostile.run())
    opened = UnixChannels(poll, connection, heard)
    try:
        await eventually(lambda: heard.overruns == [incoming.TOO_LARGE])
        await asyncio.sleep(0.1)
        assert hostile.connection_count == 1
    finally:
        serving.cancel()
        opened.close()
        poll.close()
        for made in (*hostile.peers, hostile.server):
            made.close()


async def test_a_peer_that_says_rubbish_and_goes_is_connected_to_once_at_a_time(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    connection, poll = ipc_connection(tmp_path_factory.mktemp("z")), SocketPoll()
    rubbish = b"x" * (32 * 1024)  # what is read at once, so that the end is seen with it
    hostile = Hostile(connection.endpoint("iopub").removeprefix("ipc://"), rubbish, is_closing=True)
    serving = asyncio.create_task(hostile.run())
    opened = UnixChannels(poll, connection, Heard())
    try:
        await eventually(lambda: hostile.connection_count > 10)
        assert len(poll._owners) <= 1
    finally:
        serving.cancel()
        opened.close()
        poll.close()
        hostile.server.close()


@pytest.mark.parametrize("is_attached", [True, False])
async def test_a_line_with_too_large_a_frame_is_closed(tmp_path: Path, is_attached: bool) -> None:
    line, heard = AttendantLine(), Heard()
    await line.open(tmp_path / "node")
    if is_attached:
        LineChannels(line, "key", heard)
    peer_reader, peer_writer = await asyncio.open_unix_connection(str(tmp_path / "node"))
    peer_writer.write(struct.pack(">I", protocol.MAX_FRAME_BYTES + 1))
    async with asyncio.timeout(10):
        assert await peer_reader.read() == b""
    assert heard.overruns == ([incoming.TOO_LARGE] if is_attached else [])
    peer_writer.close()
    line.close()


async def test_what_comes_before_anybody_listens_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernels_app.node.zeromq.line.MAX_MESSAGE_BYTES", 1000)
    line = AttendantLine()
    await line.open(tmp_path / "node")
    peer_reader, peer_writer = await asyncio.open_unix_connection(str(tmp_path / "node"))
    peer_writer.write(pack(IOPUB, [bytes(600)]) * 2)
    async with asyncio.timeout(10):
        assert await peer_reader.read() == b""
    peer_writer.close()
    line.close()
