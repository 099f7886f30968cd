"""The least that is a Jupyter kernel: answers at once, so that what is measured is the server before it.

`python minimal_kernel.py CONNECTION_FILE`; needs pyzmq and nothing else. Each execution is told as
busy, execute_input, N stream messages, execute_reply, idle. The code says N, the size of each text (0: a
number) and the pause after each: `""` is none, `"5"` five lines, `"5 1000"` five texts of 1,000 characters,
`"5 0 100"` five lines with 100 ms after each.
Source: Jupyter messaging 5.4.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
PARENT_CHECK_MS = 5000
KERNEL_INFO = {
    "status": "ok",
    "protocol_version": "5.4",
    "implementation": "minimal",
    "implementation_version": "1",
    "language_info": {"name": "text", "version": "1", "mimetype": "text/plain", "file_extension": ".txt"},
    "banner": "",
    "help_links": [],
}


class Kernel:
    """One kernel process: three sockets in one loop, no threads."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._separator = "-" if connection["transport"] == "ipc" else ":"
        self._connection = connection
        self._context = zmq.Context()
        self._signer = hmac.new(connection["key"].encode(), digestmod=hashlib.sha256)
        self._signed = bool(connection["key"])
        self._kernel_session = uuid.uuid4().hex
        self._sent = 0
        self._execution_count = 0
        self._shell = self._bind(zmq.ROUTER, "shell")
        self._control = self._bind(zmq.ROUTER, "control")
        self._stdin = self._bind(zmq.ROUTER, "stdin")  # bound for clients that connect to it; never used
        self._heartbeat = self._bind(zmq.REP, "hb")
        self._iopub = self._bind(zmq.PUB, "iopub")

    def _bind(self, kind: int, name: str) -> Any:
        socket = self._context.socket(kind)
        socket.set_hwm(0)  # nothing is dropped here: what is lost was lost by the server
        socket.linger = 1000
        port = self._connection[f"{name}_port"]
        socket.bind(f"{self._connection['transport']}://{self._connection['ip']}{self._separator}{port}")
        return socket

    def serve(self) -> None:
        """Until told to shut down, or the process that started this one is gone."""
        parent = os.getppid()
        poller = zmq.Poller()
        for socket in (self._shell, self._control, self._heartbeat):
            poller.register(socket, zmq.POLLIN)
        self._send(self._iopub, [b"status"], "status", {"execution_state": "starting"}, b"{}")
        while os.getppid() == parent:
            for socket, _ in poller.poll(PARENT_CHECK_MS):
                if socket is self._heartbeat:
                    self._heartbeat.send(self._heartbeat.recv())
                elif not self._answer_all(socket):
                    return

    def _answer_all(self, socket: Any) -> bool:
        """Answer all that waits on a socket; False after a shutdown request."""
        while socket.get(zmq.EVENTS) & zmq.POLLIN:
            frames = socket.recv_multipart()
            split = frames.index(DELIMITER)
            header, content = frames[split + 2], frames[split + 5]
            message_type = json.loads(header)["msg_type"]
            self._status("busy", header)
            goes_on = self._answer(socket, frames[:split], message_type, header, content)
            self._status("idle", header)
            if not goes_on:
                return False
        return True

    def _answer(
        self, socket: Any, identities: list[bytes], message_type: str, parent: bytes, content: bytes
    ) -> bool:
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
            self._send(socket, identities, message_type.removesuffix("request") + "reply", reply, parent)
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
        self._send(self._iopub, [message_type.encode()], message_type, content, parent)

    def _send(
        self, socket: Any, identities: list[bytes], message_type: str, content: dict[str, Any], parent: bytes
    ) -> None:
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
        socket.send_multipart([*identities, DELIMITER, signature, header, parent, b"{}", body])

    def close(self) -> None:
        self._context.destroy(linger=1000)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel = Kernel(json.loads(Path(sys.argv[1]).read_bytes()))
    try:
        kernel.serve()
    finally:
        kernel.close()


if __name__ == "__main__":
    main()
