"""A Jupyter client of one kernel for tests: a blocking WebSocket that reads only when it is told to."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kernels_app.bus.channel_messages import V1_PROTOCOL, pack_message, unpack_message
from kernels_app.relay.web_frames import unmask


class Closed(Exception):
    """The server closed the socket. `code` is None when it just went away."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed: {code}")
        self.code = code


@dataclass
class Message:
    channel: str
    header: dict[str, Any]
    parent_header: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)

    @property
    def type(self) -> str:
        return str(self.header["msg_type"])

    @property
    def parent_id(self) -> str:
        return str(self.parent_header.get("msg_id", ""))


class ChannelClient:
    """Speaks v1 or the default form. An address that has a query has all of it.

    Answers pings as it comes to them, as any client's protocol does.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        session_id: str | None = None,
        is_v1: bool = True,
        timeout_s: float = 30.0,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        self.session_id = session_id or uuid.uuid4().hex
        # Whether the last message came with a ping: the server knows from its answer that this message is here.
        # In a flood all do, else the last one of each batch.
        self.is_last_known = False
        self.is_v1 = is_v1
        parts = urlsplit(url)
        self._socket = socket.socket()
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(timeout_s)
        self._socket.connect((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path}?{parts.query or f'session_id={self.session_id}'} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        if token:
            lines.append(f"Authorization: token {token}")
        if is_v1:
            lines.append(f"Sec-WebSocket-Protocol: {V1_PROTOCOL}")
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._buffer = bytearray()
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        self.status = int(head.split()[1])
        self.response_head = head.decode("latin-1")
        if self.status != 101:
            self._socket.close()
            raise Closed(self.status)

    def send(
        self,
        msg_type: str,
        content: dict[str, Any],
        *,
        channel: str = "shell",
        metadata: dict[str, Any] | None = None,
        buffers: list[bytes] | None = None,
        parent_header: dict[str, Any] | None = None,
    ) -> str:
        """The msg_id of what was sent."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "username": "test",
            "session": self.session_id,
            "date": "2026-01-01T00:00:00Z",
            "version": "5.4",
        }
        parts = [header, parent_header or {}, metadata or {}, content]
        if self.is_v1:
            frames = [json.dumps(part).encode() for part in parts]
            self.send_frame(0x2, pack_message(channel, [*frames, *(buffers or [])]))
        else:
            names = ("header", "parent_header", "metadata", "content")
            message = {**dict(zip(names, parts, strict=True)), "channel": channel}
            if buffers:
                text = json.dumps(message).encode()
                offsets = [4 * (len(buffers) + 2)]
                for part in [text, *buffers][:-1]:
                    offsets.append(offsets[-1] + len(part))
                head = struct.pack(f"!{len(offsets) + 1}I", len(offsets), *offsets)
                self.send_frame(0x2, b"".join([head, text, *buffers]))
            else:
                self.send_frame(0x1, json.dumps({**message, "buffers": []}).encode())
        return str(header["msg_id"])

    def execute(self, code: str, **fields: Any) -> str:
        return self.send(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": True,
                **fields,
            },
        )

    def receive(self) -> Message:
        """The next message. Raises Closed; TimeoutError."""
        self.is_last_known = False
        while True:
            opcode, payload = self.receive_frame()
            if opcode == 0x8:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None
                self.abandon()
                raise Closed(code)
            if opcode == 0x9:
                self.send_frame(0xA, payload)
                self.is_last_known = True
            elif opcode in (0x1, 0x2):
                return self._parse(opcode, payload)

    def replies_to(self, msg_id: str) -> list[Message]:
        """What this request caused, until the kernel is idle again and has replied; other messages are skipped."""
        found: list[Message] = []
        is_idle = has_reply = False
        while not (is_idle and has_reply):
            message = self.receive()
            if message.parent_id != msg_id:
                continue
            found.append(message)
            has_reply = has_reply or (message.channel == "shell" and message.type.endswith("_reply"))
            is_idle = is_idle or (message.type == "status" and message.content["execution_state"] == "idle")
        return found

    def send_frame(self, opcode: int, payload: bytes) -> None:
        key = os.urandom(4)
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        self._socket.sendall(head + key + unmask(payload, key))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame. Raises Closed(None) when the connection ended."""
        while len(self._buffer) < 2:
            self._more()
        opcode, size, start = self._buffer[0] & 0xF, self._buffer[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            while len(self._buffer) < start:
                self._more()
            size = int.from_bytes(self._buffer[2:start], "big")
        while len(self._buffer) < start + size:
            self._more()
        payload = bytes(self._buffer[start : start + size])
        del self._buffer[: start + size]
        return opcode, payload

    def close(self) -> None:
        """As a client that means it: with a closing frame. What was not read is lost to it."""
        try:
            self.send_frame(0x8, struct.pack("!H", 1000))
            while self.receive_frame()[0] != 0x8:
                pass
        except (OSError, Closed):
            pass
        self.abandon()

    def abandon(self) -> None:
        """The connection is gone without a word."""
        self._socket.close()

    def __enter__(self) -> ChannelClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def _more(self) -> None:
        data = self._socket.recv(1 << 20)
        if not data:
            raise Closed(None)
        self._buffer += data

    def _parse(self, opcode: int, payload: bytes) -> Message:
        if self.is_v1:
            channel, frames = unpack_message(payload)
            parts = [json.loads(frame) for frame in frames[:4]]
            return Message(channel, parts[0], parts[1], parts[2], parts[3], frames[4:])
        buffers: list[bytes] = []
        if opcode == 0x2:
            count = int.from_bytes(payload[:4], "big")
            offsets = [*struct.unpack_from(f"!{count}I", payload, 4), len(payload)]
            pieces = [payload[offsets[i] : offsets[i + 1]] for i in range(count)]
            payload, buffers = pieces[0], pieces[1:]
        message = json.loads(payload)
        assert message["msg_id"] == message["header"]["msg_id"]
        assert message["msg_type"] == message["header"]["msg_type"]
        return Message(
            message["channel"],
            message["header"],
            message["parent_header"],
            message["metadata"],
            message["content"],
            buffers,
        )
