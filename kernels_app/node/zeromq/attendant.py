"""The first process in a kernel's container: starts the kernel, and stands between it and the node.

The node may go and come back; the attendant keeps what the kernel says meanwhile, and what it said about the last runs,
so that a node that takes the kernel over again can fold a running cell's outputs from their start. It owns the
kernel's ZeroMQ sockets, connects to the node over one unix socket, hands signals on and reaps what the kernel leaves.

This file is copied alone into the image of the kernels: it imports the standard library and zmq. To the node it
brings the frames of the line between them.

Frames, both ways: 4 bytes length of what follows, 1 byte kind, parts of 4 bytes length and content each.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zmq

FOLDER = Path("/run/kernel")
LAUNCH_NAME = "launch.json"
SOCKET_NAME = "node"

# Kinds of frames. The first four carry a kernel message's frames, from the delimiter on.
SHELL, IOPUB, STDIN, CONTROL = b"s", b"i", b"t", b"c"
STARTED = b"S"  # one part: the kernel's process runs; JSON {} or {"errno": …, "filename": …}
UNKNOWN_RUN = b"U"  # one part: a run that was sent again is known, but what it said is not kept any more
CHANNELS = {SHELL: "shell", IOPUB: "iopub", STDIN: "stdin", CONTROL: "control"}

DELIMITER = b"<IDS|MSG>"
# No message of a kernel is larger; a longer frame is nonsense, and the end of the line.
MAX_FRAME_BYTES = 256 * 1024 * 1024
# Waits for a node that does not read: above the first the kernel's processes are stopped until below the second.
STOP_BYTES = 16 * 1024 * 1024
GO_ON_BYTES = 4 * 1024 * 1024
# Said beside the runs while no node is there (status, output of threads); the oldest goes first.
BESIDE_BYTES = 4 * 1024 * 1024
# Runs before the last one of which everything is kept: their node may not have written them yet.
KEPT_RUNS = 8
KEPT_BYTES = 8 * 1024 * 1024
SEEN_RUNS = 10_000
RECONNECT_S = 0.1
# What the kernel said before it ended is on its way for a moment.
LAST_WORDS_S = 0.2
DRAIN_COUNT = 200
HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class BrokenLine(Exception):
    """Bytes that are no frames."""


def pack(kind: bytes, parts: Sequence[bytes]) -> bytes:
    body = b"".join([kind, *(struct.pack(">I", len(part)) + part for part in parts)])
    return struct.pack(">I", len(body)) + body


class Unpacker:
    """Feed it bytes as they come; iterate over whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def frames(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Raises BrokenLine."""
        start = 0
        try:
            while len(self._buffer) - start >= 4:
                (length,) = struct.unpack_from(">I", self._buffer, start)
                if not 1 <= length <= MAX_FRAME_BYTES:
                    raise BrokenLine(f"A frame of {length} bytes.")
                if len(self._buffer) - start < 4 + length:
                    return
                body = bytes(self._buffer[start + 4 : start + 4 + length])
                start += 4 + length
                yield body[:1], _parts(body)
        finally:
            del self._buffer[:start]


def _parts(body: bytes) -> list[bytes]:
    parts: list[bytes] = []
    position = 1
    while position < len(body):
        if len(body) - position < 4:
            raise BrokenLine("A part without its length.")
        (length,) = struct.unpack_from(">I", body, position)
        position += 4
        if len(body) - position < length:
            raise BrokenLine("A part that ends early.")
        parts.append(body[position : position + length])
        position += length
    return parts


class Kept:
    """What was said about one run, in order."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.mark = run_id.encode()
        self.frames: deque[tuple[bytes, list[bytes]]] = deque()
        self.size_bytes = 0
        self.is_cut = False
        # Sent to the node as it comes; not after the node has gone, until it asks for the run again.
        self.is_live = True

    def add(self, kind: bytes, frames: list[bytes], limit_bytes: int) -> None:
        self.frames.append((kind, frames))
        self.size_bytes += sum(map(len, frames))
        while self.size_bytes > limit_bytes and len(self.frames) > 1:
            _, oldest = self.frames.popleft()
            self.size_bytes -= sum(map(len, oldest))
            self.is_cut = True

    def drop_questions(self) -> None:
        """An input request that was answered is not asked again."""
        self.frames = deque(item for item in self.frames if item[0] != STDIN)


class Memory:
    """What was said about the last runs. Pure."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._runs: dict[str, Kept] = {}
        self._seen: dict[str, None] = {}

    def is_known(self, run_id: str) -> bool:
        return run_id in self._seen

    def begin(self, run_id: str) -> None:
        self._seen[run_id] = None
        while len(self._seen) > SEEN_RUNS:
            del self._seen[next(iter(self._seen))]
        while len(self._runs) >= KEPT_RUNS or (
            self._runs and sum(kept.size_bytes for kept in self._runs.values()) > KEPT_BYTES
        ):
            del self._runs[next(iter(self._runs))]
        self._runs[run_id] = Kept(run_id)

    def take(self, kind: bytes, frames: list[bytes]) -> bool:
        """Keeps it when it is about a run; whether it is to be sent on now."""
        parent = frames[3] if len(frames) > 3 else b""
        for kept in reversed(self._runs.values()):
            if kept.mark in parent:
                kept.add(kind, frames, self._limit_bytes)
                return kept.is_live
        return True

    def run(self, run_id: str) -> Kept | None:
        return self._runs.get(run_id)

    def node_has_gone(self) -> None:
        for kept in self._runs.values():
            kept.is_live = False

    def answered(self) -> None:
        for kept in self._runs.values():
            kept.drop_questions()


def header_of(frames: Sequence[bytes]) -> dict[str, Any]:
    try:
        header = json.loads(frames[2])
    except (ValueError, IndexError):
        return {}
    return header if isinstance(header, dict) else {}


def kernelspecs(prefix: Path) -> dict[str, Any]:
    """The kernelspecs of this image: name to what its kernel.json says, and its folder."""
    found: dict[str, Any] = {}
    for path in sorted((prefix / "share" / "jupyter" / "kernels").glob("*/kernel.json")):
        with contextlib.suppress(OSError, ValueError):
            spec = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(spec, dict):
                found[path.parent.name] = {**spec, "resource_dir": str(path.parent)}
    return found


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
                file = self._listen_to_kernel()
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

    def _listen_to_kernel(self) -> Path:
        """The connection file of the kernel, whose sockets nobody outside this container reaches."""
        folder = Path(tempfile.mkdtemp(prefix="kernel-"))
        names = ("shell", "iopub", "stdin", "control", "hb")
        is_ipc = self._launch.get("transport") != "tcp"
        if is_ipc:
            ip, ports = str(folder / "k"), {name: number for number, name in enumerate(names, 1)}
        else:
            ip, ports = "127.0.0.1", _free_ports(names)
        identity = secrets.token_hex(8).encode()
        for kind, name in CHANNELS.items():
            made = self._context.socket(zmq.SUB if kind == IOPUB else zmq.DEALER)
            made.set(zmq.LINGER, 0)
            made.set(zmq.RCVHWM, 0)
            made.set(zmq.SNDHWM, 0)
            made.set(zmq.RECONNECT_IVL, 10)
            made.set(zmq.RECONNECT_IVL_MAX, 200)
            if kind == IOPUB:
                made.set(zmq.SUBSCRIBE, b"")
            else:
                made.set(zmq.IDENTITY, identity)  # input requests are routed by the identity on shell
            made.connect(f"{'ipc' if is_ipc else 'tcp'}://{ip}{'-' if is_ipc else ':'}{ports[name]}")
            self._sockets[kind] = made
            self._poller.register(made, zmq.POLLIN)
        path = folder / "connection.json"
        content = {
            "transport": "ipc" if is_ipc else "tcp",
            "ip": ip,
            **{f"{name}_port": port for name, port in ports.items()},
            "key": self._key.decode(),
            "signature_scheme": "hmac-sha256",
            "kernel_name": str(self._launch.get("kernel_name") or ""),
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file)
        return path

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
            self._send(IOPUB, self._cut_mark(run_id))
        for kind, frames in list(kept.frames):
            self._send(kind, frames)

    def _cut_mark(self, run_id: str) -> list[bytes]:
        """A message in the kernel's name: the start of this run's outputs is not there any more."""
        session_id = secrets.token_hex(8)
        header = {
            "msg_id": secrets.token_hex(16),
            "msg_type": "stream",
            "username": "kernel",
            "session": session_id,
            "date": datetime.now(UTC).isoformat(),
            "version": "5.4",
        }
        text = "[The node was restarted while this cell ran; the start of its outputs is not kept.]\n"
        parent = {"msg_id": run_id, "msg_type": "execute_request"}
        signed = [
            json.dumps(part).encode() for part in (header, parent, {}, {"name": "stderr", "text": text})
        ]
        signature = hmac.new(self._key, b"".join(signed), hashlib.sha256).hexdigest().encode()
        return [DELIMITER, signature, *signed]


def _free_ports(names: Iterable[str]) -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        ports: dict[str, int] = {}
        for name in names:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[name] = probe.getsockname()[1]
    return ports


def main(words: list[str]) -> int:
    if words == ["--kernelspecs"]:
        sys.stdout.write(json.dumps(kernelspecs(Path(sys.prefix))))
        return 0
    launch = json.loads((FOLDER / LAUNCH_NAME).read_text(encoding="utf-8"))
    return Attendant(launch).run()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # sockets linger for nobody
