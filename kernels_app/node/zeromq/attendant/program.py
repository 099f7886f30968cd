"""The attendant of one kernel: its process, its sockets, and the line to the node."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zmq

from .image_kernelspecs import kernelspecs
from .kernel_sockets import open_sockets
from .memory import Memory
from .messages import DELIMITER, cut_mark, header_of
from .protocol import (
    IOPUB,
    LAUNCH_NAME,
    SHELL,
    SOCKET_NAME,
    STARTED,
    STDIN,
    UNKNOWN_RUN,
    BrokenLine,
    Unpacker,
    pack,
)

FOLDER = Path("/run/kernel")
# Waits for a node that does not read: above the first the kernel's processes are stopped until below the second.
STOP_BYTES = 16 * 1024 * 1024
GO_ON_BYTES = 4 * 1024 * 1024
# Said beside the runs while no node is there (status, output of threads); the oldest goes first.
BESIDE_BYTES = 4 * 1024 * 1024
RECONNECT_S = 0.1
# What the kernel said before it ended is on its way for a moment.
LAST_WORDS_S = 0.2
DRAIN_COUNT = 200
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Attendant:
    """One kernel: `run` returns the container's exit code."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self._launch = launch
        self._memory = Memory(int(launch.get("kept_bytes") or 64 * 1024 * 1024))
        self._key = str(launch.get("key") or "").encode()
        self._context = zmq.Context(io_threads=1)
        self._sockets: dict[bytes, zmq.Socket[bytes]] = {}
        self._poller = zmq.Poller()
        self._line: socket.socket | None = None
        self._unpacker = Unpacker()
        self._out = bytearray()
        self._beside: deque[bytes] = deque()
        self._beside_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._code: int | None = None
        self._ended_at = 0.0
        self._alone_since = time.monotonic()
        self._tried_at = float("-inf")
        self._started: dict[str, Any] = {}

    def run(self) -> int:
        wake, wake_write = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (*HANDED_ON, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._poller.register(wake, zmq.POLLIN)
        self._start()
        if self._process is None:
            return self._say_failure()
        orphan_s = float(self._launch.get("orphan_s") or 900)
        while True:
            self._connect()
            events = dict(self._poller.poll(self._timeout_ms()))
            if wake in events:
                self._on_signals(os.read(wake, 512))
            if self._line is not None and events.get(self._line.fileno()):
                self._on_line(events[self._line.fileno()])
            for kind, kernel_socket in self._sockets.items():
                if kernel_socket in events:
                    self._drain(kind, kernel_socket)
            self._hold_or_go_on()
            if self._code is not None and self._is_done(orphan_s):
                return self._code
            if self._code is None and self._line is None and time.monotonic() - self._alone_since > orphan_s:
                self._hand_on(signal.SIGKILL)

    # The kernel's process

    def _start(self) -> None:
        """Sets `_started`; `_process` stays None when it cannot be started."""
        command = [str(word) for word in self._launch["command"]]
        environment = {str(name): str(value) for name, value in self._launch["environment"].items()}
        environment.setdefault("PATH", os.environ.get("PATH", os.defpath))
        try:
            for name, text in (self._launch.get("files") or {}).items():
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_text(text, encoding="utf-8")
            if self._key:
                file = self._open_sockets()
                command = [word.replace("{connection_file}", str(file)) for word in command]
            self._process = subprocess.Popen(
                command,
                cwd=self._launch["cwd"],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._started = {"errno": error.errno, "filename": str(error.filename or "")}

    def _open_sockets(self) -> Path:
        """The connection file of the kernel."""
        self._sockets, file = open_sockets(
            self._context,
            key=self._key,
            is_tcp=self._launch.get("transport") == "tcp",
            kernel_name=str(self._launch.get("kernel_name") or ""),
        )
        for kernel_socket in self._sockets.values():
            self._poller.register(kernel_socket, zmq.POLLIN)
        return file

    def _say_failure(self) -> int:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            self._connect()
            if self._line is not None:
                self._line.setblocking(True)
                with contextlib.suppress(OSError):
                    self._line.sendall(bytes(self._out))
                break
            time.sleep(RECONNECT_S)
        return 127

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            else:
                self._hand_on(number)

    def _hand_on(self, number: int) -> None:
        if self._process is None or self._code is not None:
            return
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number)
            if number != signal.SIGINT:
                os.killpg(self._process.pid, signal.SIGCONT)  # a stopped one could not end
                self._is_stopped = False

    def _reap(self) -> None:
        """Also what the kernel's processes left behind: this is the container's first process."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if self._process is not None and pid == self._process.pid:
                    code = os.waitstatus_to_exitcode(status)
                    self._process.returncode = code
                    self._code = 128 - code if code < 0 else code
                    self._ended_at = time.monotonic()

    def _is_done(self, orphan_s: float) -> bool:
        """The kernel has ended: and its last words are with the node, if one comes."""
        now = time.monotonic()
        if now - self._ended_at < LAST_WORDS_S:
            return False
        if self._line is not None:
            return not self._out
        return not self._key or now - self._ended_at > orphan_s

    # Messages of the kernel

    def _drain(self, kind: bytes, kernel_socket: zmq.Socket[bytes]) -> None:
        for _ in range(DRAIN_COUNT):
            try:
                frames = kernel_socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            if DELIMITER not in frames:
                continue
            message = frames[frames.index(DELIMITER) :]
            if self._memory.take(kind, message):
                self._send(kind, message)

    def _send(self, kind: bytes, parts: Sequence[bytes]) -> None:
        data = pack(kind, parts)
        if self._line is not None:
            self._out += data
            self._flush()
            return
        self._beside.append(data)
        self._beside_bytes += len(data)
        while self._beside_bytes > BESIDE_BYTES:
            self._beside_bytes -= len(self._beside.popleft())

    def _hold_or_go_on(self) -> None:
        """Nothing is left out and memory stays bounded: who speaks too fast is stopped for a while."""
        if self._process is None or self._code is not None:
            return
        if not self._is_stopped and len(self._out) > STOP_BYTES:
            self._is_stopped = True
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGSTOP)
        elif self._is_stopped and len(self._out) < GO_ON_BYTES:
            self._is_stopped = False
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGCONT)

    # The line to the node

    def _timeout_ms(self) -> int | None:
        if self._code is not None:
            return 20
        if self._line is None:
            return int(RECONNECT_S * 1000)
        return None

    def _connect(self) -> None:
        if self._line is not None or time.monotonic() - self._tried_at < RECONNECT_S:
            return
        self._tried_at = time.monotonic()
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(FOLDER / SOCKET_NAME))
        except OSError:
            line.close()
            return
        line.setblocking(False)
        self._line = line
        self._unpacker = Unpacker()
        self._out = bytearray(pack(STARTED, [json.dumps(self._started).encode()]))
        for data in self._beside:
            self._out += data
        self._beside.clear()
        self._beside_bytes = 0
        self._poller.register(line.fileno(), zmq.POLLIN)
        self._flush()

    def _disconnect(self) -> None:
        if self._line is None:
            return
        self._poller.unregister(self._line.fileno())
        self._line.close()
        self._line = None
        self._out.clear()
        self._alone_since = time.monotonic()
        self._memory.node_has_gone()

    def _flush(self) -> None:
        line = self._line
        if line is None:
            return
        try:
            while self._out:
                sent = line.send(memoryview(self._out)[:1_048_576])
                del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._disconnect()
            return
        wanted = zmq.POLLIN | zmq.POLLOUT if self._out else zmq.POLLIN
        self._poller.modify(line.fileno(), wanted)

    def _on_line(self, events: int) -> None:
        assert self._line is not None
        if events & zmq.POLLOUT:
            self._flush()
        if self._line is None or not events & (zmq.POLLIN | zmq.POLLERR):
            return
        try:
            data = self._line.recv(1_048_576)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._disconnect()
            return
        self._unpacker.feed(data)
        try:
            for kind, parts in self._unpacker.frames():
                self._on_frame(kind, parts)
        except BrokenLine:
            self._disconnect()

    def _on_frame(self, kind: bytes, parts: list[bytes]) -> None:
        """A message of the node for the kernel."""
        kernel_socket = self._sockets.get(kind)
        if kernel_socket is None or kind == IOPUB:
            return
        if kind == STDIN:
            self._memory.answered()
        elif kind == SHELL:
            header = header_of(parts)
            if header.get("msg_type") == "execute_request":
                run_id = str(header.get("msg_id") or "")
                if self._memory.is_known(run_id):
                    self._say_again(run_id)
                    return
                self._memory.begin(run_id)
        kernel_socket.send_multipart(parts)

    def _say_again(self, run_id: str) -> None:
        kept = self._memory.run(run_id)
        if kept is None:
            self._send(UNKNOWN_RUN, [run_id.encode()])
            return
        if kept.is_live:
            return  # a repeat within one life of the node
        kept.is_live = True
        if kept.is_cut:
            self._send(IOPUB, cut_mark(self._key, run_id))
        for kind, frames in list(kept.frames):
            self._send(kind, frames)


def main(words: list[str]) -> int:
    if words == ["--kernelspecs"]:
        sys.stdout.write(json.dumps(kernelspecs(Path(sys.prefix))))
        return 0
    launch = json.loads((FOLDER / LAUNCH_NAME).read_text(encoding="utf-8"))
    return Attendant(launch).run()
