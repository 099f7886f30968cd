"""The least that is a Jupyter kernel: answers at once, so that what is measured is the server before it.

`python minimal_kernel.py CONNECTION_FILE`; speaks ZeroMQ's wire protocol itself, since the library's threads and its
calls for each frame take more of two cores than the servers that are measured. Each execution is told as busy,
execute_input, N stream messages, execute_reply, idle. The code says N, the size of each text (0: a
number) and the pause after each: `""` is none, `"5"` five lines, `"5 1000"` five texts of 1,000 characters,
`"5 0 100"` five lines with 100 ms after each.
Source: Jupyter messaging 5.4.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import selectors
import signal
import socket
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from kernels_app.node.zeromq.zmtp import GREETING, BrokenPeer, MessageReader, pack_message, ready_command

DELIMITER = b"<IDS|MSG>"
PARENT_CHECK_S = 5.0
READ_BYTES = 64 * 1024
# The channels, and what each of their ports is. No input is ever asked for; clients connect to that port all the same.
READY = {
    "shell": ready_command("ROUTER"),
    "control": ready_command("ROUTER"),
    "stdin": ready_command("ROUTER"),
    "hb": ready_command("REP"),
    "iopub": ready_command("PUB"),
}
KERNEL_INFO = {
    "status": "ok",
    "protocol_version": "5.4",
    "implementation": "minimal",
    "implementation_version": "1",
    "language_info": {"name": "text", "version": "1", "mimetype": "text/plain", "file_extension": ".txt"},
    "banner": "",
    "help_links": [],
}


class Peer:
    """One connection of a client, to the port of one channel."""

    def __init__(self, connection: socket.socket, channel: str) -> None:
        self.channel = channel
        self.connection = connection
        self.topics: set[bytes] = set()  # what it subscribed to, on iopub
        self._reader = MessageReader()
        self._unsent: list[bytes] = []
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> list[list[bytes]] | None:
        """The messages that came, None when it is gone."""
        try:
            data = self.connection.recv(READ_BYTES)
            messages = self._reader.feed(data) if data else None
        except BlockingIOError:
            return []
        except (OSError, BrokenPeer):
            return None
        for reply in self._reader.replies:
            self.write(reply)
        self._reader.replies.clear()
        return messages

    def write(self, data: bytes) -> bool:
        """False while something waits until the client reads: nothing is dropped."""
        if not self._unsent:
            try:
                sent = self.connection.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return True  # reading finds the end
            if sent == len(data):
                return True
            data = data[sent:]
        self._unsent.append(data)
        return False

    def write_rest(self) -> bool:
        """The same, once the client takes more."""
        waiting, self._unsent = b"".join(self._unsent), []
        return self.write(waiting)


class Kernel:
    """One kernel process: all sockets in one loop, no threads."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._connection = connection
        self._signer = hmac.new(connection["key"].encode(), digestmod=hashlib.sha256)
        self._signed = bool(connection["key"])
        self._kernel_session = uuid.uuid4().hex
        self._sent = 0
        self._execution_count = 0
        self._selector = selectors.EpollSelector()
        self._subscribers: list[Peer] = []
        self._paths: list[str] = []
        for channel in READY:
            self._bind(channel)

    def _bind(self, channel: str) -> None:
        port, ip = self._connection[f"{channel}_port"], self._connection["ip"]
        if self._connection["transport"] == "ipc":
            listener = socket.socket(socket.AF_UNIX)
            self._paths.append(f"{ip}-{port}")
            listener.bind(self._paths[-1])
        else:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((ip, port))
        listener.listen(64)
        self._selector.register(listener, selectors.EVENT_READ, channel)

    def serve(self) -> None:
        """Until told to shut down, or the process that started this one is gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            for key, events in self._selector.select(PARENT_CHECK_S):
                if isinstance(key.data, str):
                    self._accept(key.fileobj, key.data)
                elif not self._serve(key.data, events):
                    return

    def _accept(self, listener: Any, channel: str) -> None:
        connection, _ = listener.accept()
        peer = Peer(connection, channel)
        self._selector.register(connection, selectors.EVENT_READ, peer)
        self._write(peer, GREETING + READY[channel])
        if channel == "iopub":
            self._subscribers.append(peer)

    def _serve(self, peer: Peer, events: int) -> bool:
        """False after a shutdown request."""
        if events & selectors.EVENT_WRITE and peer.write_rest():
            self._selector.modify(peer.connection, selectors.EVENT_READ, peer)
        messages = peer.read()
        if messages is None:
            self._selector.unregister(peer.connection)
            peer.connection.close()
            if peer in self._subscribers:
                self._subscribers.remove(peer)
            return True
        for frames in messages:
            if peer.channel == "hb":
                self._write(peer, pack_message(frames))
            elif peer.channel == "iopub":
                subscribes = frames[0][:1] == b"\x01"
                (peer.topics.add if subscribes else peer.topics.discard)(frames[0][1:])
            elif peer.channel != "stdin" and not self._take(peer, frames):
                return False
        return True

    def _take(self, peer: Peer, frames: list[bytes]) -> bool:
        split = frames.index(DELIMITER)
        header, content = frames[split + 2], frames[split + 5]
        message_type = json.loads(header)["msg_type"]
        self._status("busy", header)
        goes_on = self._answer(peer, message_type, header, content)
        self._status("idle", header)
        return goes_on

    def _write(self, peer: Peer, data: bytes) -> None:
        if not peer.write(data):
            self._selector.modify(peer.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)

    def _answer(self, peer: Peer, message_type: str, parent: bytes, content: bytes) -> bool:
        reply: dict[str, Any] = {"status": "ok"}
        if message_type == "execute_request":
            reply = self._execute(json.loads(content)["code"], parent)
        elif message_type == "kernel_info_request":
            reply = KERNEL_INFO
        elif message_type == "comm_info_request":
            reply = {"status": "ok", "comms": {}}
        elif message_type == "shutdown_request":
            reply = {"status": "ok", "restart": json.loads(content).get("restart", False)}
        if message_type.endswith("_request"):
            name = message_type.removesuffix("request") + "reply"
            self._write(peer, pack_message(self._frames(name, reply, parent)))
        return message_type != "shutdown_request"

    def _execute(self, code: str, parent: bytes) -> dict[str, Any]:
        self._execution_count += 1
        count, size, pause_ms = (int(word) for word in (*code.split(), "0", "0", "0")[:3])
        self._publish("execute_input", {"code": code, "execution_count": self._execution_count}, parent)
        for number in range(count):
            text = f"{number}\n" if not size else "x" * (size - 1) + "\n"
            self._publish("stream", {"name": "stdout", "text": text}, parent)
            if pause_ms:
                time.sleep(pause_ms / 1000)
        return {
            "status": "ok",
            "execution_count": self._execution_count,
            "user_expressions": {},
            "payload": [],
        }

    def _status(self, state: str, parent: bytes) -> None:
        self._publish("status", {"execution_state": state}, parent)

    def _publish(self, message_type: str, content: dict[str, Any], parent: bytes) -> None:
        topic = message_type.encode()
        data = pack_message([topic, *self._frames(message_type, content, parent)])
        for peer in self._subscribers:
            if any(map(topic.startswith, peer.topics)):
                self._write(peer, data)

    def _frames(self, message_type: str, content: dict[str, Any], parent: bytes) -> list[bytes]:
        self._sent += 1
        header = (
            f'{{"msg_id":"{self._kernel_session}_{self._sent}","msg_type":"{message_type}",'
            f'"session":"{self._kernel_session}","username":"kernel","version":"5.4",'
            f'"date":"{datetime.now(UTC).isoformat()}"}}'
        ).encode()
        body = json.dumps(content).encode()
        signature = b""
        if self._signed:
            signer = self._signer.copy()
            signer.update(header + parent + b"{}" + body)
            signature = signer.hexdigest().encode()
        return [DELIMITER, signature, header, parent, b"{}", body]

    def close(self) -> None:
        for path in self._paths:
            Path(path).unlink(missing_ok=True)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel = Kernel(json.loads(Path(sys.argv[1]).read_bytes()))
    try:
        kernel.serve()
    finally:
        kernel.close()


if __name__ == "__main__":
    main()
