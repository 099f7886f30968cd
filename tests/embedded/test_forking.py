"""What is forked from the parent is as a process of its own would be, and inherits nothing of the parent's work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live_hub import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

# A parent that starts one program, with a handler for SIGTERM as the hub's has, and tells how the program ended.
PARENT = """
import asyncio, json, os, signal, socket, sys, threading, time
from pathlib import Path
from zasper_hub.embedded.forking import Forker
from zasper_hub.embedded.programs import Program

folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
said = []
kept_open = (folder / "opened by the parent").open("w")
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()

async def work():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    if given.get("thread"):
        await asyncio.to_thread(os.getpid)
    fds = (listener.fileno(),) if given.get("listens") else ()
    program = Program(
        "tried", (sys.executable, *given["command"]), {**os.environ, **given.get("environment", {})},
        stop_rank=0, stop_timeout_s=2, inherited_fds=fds, is_forked=True,
    )
    with (folder / "out").open("wb") as output, (folder / "err").open("wb") as errors:
        process = await forker.start(program, output, errors)
    for number in given.get("signals", []):
        while not (folder / "out").read_bytes():
            await asyncio.sleep(0.01)
        process.send_signal(number)
    if given.get("leave"):
        while not (folder / "out").read_bytes():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    said.append({"pid": process.pid, "code": await process.wait(), "parent": os.getpid()})
    return 7

forker = Forker(said.append)
assert forker.run(work()) == 7
print(json.dumps({"said": said, "address": listener.getsockname()}))
"""
TELLING = """
import asyncio, gc, json, os, signal, sys, threading
from pathlib import Path
try:
    asyncio.get_running_loop()
    has_loop = True
except RuntimeError:
    has_loop = False
print(json.dumps({
    "name": __name__, "argv": sys.argv, "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp(),
    "session": os.getsid(0), "given": os.environ.get("GIVEN"), "has_home": "HOME" in os.environ,
    "shown": Path("/proc/self/cmdline").read_text(),
    "files": {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
              if os.path.exists(f"/proc/self/fd/{name}")},
    "sigterm": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
    "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "threads": threading.active_count(), "has_loop": has_loop, "collects": gc.isenabled(), "cwd": os.getcwd(),
}))
"""


class Tried:
    """A program that was forked, and has ended."""

    def __init__(self, folder: Path, source: str, **given: Any) -> None:
        folder.mkdir(exist_ok=True)
        script = folder / "program.py"
        script.write_text(source, encoding="utf-8")
        given.setdefault("command", [str(script), "one", "two"])
        done = subprocess.run(
            [sys.executable, "-c", PARENT, str(folder), json.dumps(given)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        self.parent_code, self.parent_errors = done.returncode, done.stderr
        self.output = (folder / "out").read_text(encoding="utf-8")
        self.errors = (folder / "err").read_text(encoding="utf-8")
        told = json.loads(done.stdout) if done.returncode == 0 else {"said": [{}], "address": []}
        self.end, self.said, self.address = told["said"][-1], told["said"][:-1], told["address"]


def test_a_fork_is_as_a_process_of_its_own(tmp_path: Path) -> None:
    tried = Tried(tmp_path, TELLING, environment={"GIVEN": "to the program"})
    assert tried.end["code"] == 0, tried.errors
    told = json.loads(tried.output)
    assert told["name"] == "__main__"
    assert told["argv"] == [str(tmp_path / "program.py"), "one", "two"]
    assert told["pid"] == told["session"] == told["group"] == tried.end["pid"]
    assert told["parent"] == tried.end["parent"]
    assert told["given"] == "to the program"
    assert told["shown"].rstrip("\0").split("\0") == ["zasper-hub", "tried"]
    assert told["sigterm"]
    assert told["sigint"]
    assert told["blocked"] == []
    assert told["threads"] == 1
    assert not told["has_loop"]
    assert told["collects"]
    assert told["cwd"] == str(ROOT)
    assert tried.said == []


def test_a_fork_has_no_file_of_the_parent_s(tmp_path: Path) -> None:
    tried = Tried(tmp_path, TELLING)
    assert json.loads(tried.output)["files"] == {
        "0": os.devnull, "1": str(tmp_path / "out"), "2": str(tmp_path / "err")
    }  # fmt: skip


def test_a_fork_has_the_sockets_that_are_meant_for_it(tmp_path: Path) -> None:
    source = """
import contextlib, socket
for fd in range(3, 50):
    with contextlib.suppress(OSError):
        print(socket.socket(fileno=fd).getsockname())
"""
    tried = Tried(tmp_path, source, listens=True)
    assert tried.output == f"{tuple(tried.address)}\n"


def test_a_module_is_run_as_by_the_interpreter(tmp_path: Path) -> None:
    tried = Tried(tmp_path, "", command=["-m", "json.tool", str(tmp_path / "in.json")])
    assert tried.end["code"] == 2  # as that module says it
    assert "in.json" in tried.errors
    (tmp_path / "in.json").write_text('{"a": 1}', encoding="utf-8")
    tried = Tried(tmp_path, "", command=["-m", "json.tool", str(tmp_path / "in.json"), "--compact"])
    assert (tried.end["code"], tried.output) == (0, '{"a":1}\n')


@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        ("import a_module_that_is_not_there", 1, "No module named 'a_module_that_is_not_there'"),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('what is wrong')", 1, "what is wrong"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("def", 1, "SyntaxError"),
    ],
)
def test_a_program_that_fails_fails_alone_and_says_why(
    tmp_path: Path, source: str, code: int, told: str
) -> None:
    tried = Tried(tmp_path, source)
    assert tried.end["code"] == code
    assert told in tried.errors
    assert tried.parent_code == 0
    assert tried.parent_errors == ""


def test_threads_are_waited_for_and_ends_are_told(tmp_path: Path) -> None:
    source = """
import atexit, concurrent.futures, threading, time
atexit.register(print, "told at the end")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
concurrent.futures.ThreadPoolExecutor().submit(lambda: (time.sleep(0.1), print("pool")))
"""
    tried = Tried(tmp_path, source)
    assert tried.end["code"] == 0, tried.errors
    assert set(tried.output.splitlines()[:-1]) == {"thread", "pool"}
    assert tried.output.splitlines()[-1] == "told at the end"


def test_the_parent_s_handlers_of_signals_are_not_the_fork_s(tmp_path: Path) -> None:
    source = "import time; print('up', flush=True); time.sleep(60)"
    assert Tried(tmp_path / "asked", source, signals=[15]).end["code"] == -15
    assert Tried(tmp_path / "interrupted", source, signals=[2]).end["code"] == 130


def test_forks_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    source = """
import os, signal, time
from pathlib import Path
def end(*_):
    Path("PATH").write_text("told to end"); os._exit(0)
signal.signal(signal.SIGTERM, end)
print(os.getpid(), flush=True)
time.sleep(60)
""".replace("PATH", str(tmp_path / "end"))
    tried = Tried(tmp_path, source, leave=True)
    assert tried.parent_code == -9
    pidfd_gone(int(tried.output))
    assert (tmp_path / "end").read_text(encoding="utf-8") == "told to end"


def pidfd_gone(pid: int) -> None:
    """Waits until the process has ended."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], 20)[0]
    finally:
        os.close(fd)


def test_a_parent_with_threads_forks_nothing(tmp_path: Path) -> None:
    tried = Tried(tmp_path, TELLING, thread=True)
    assert tried.end["code"] == 0, tried.errors
    assert json.loads(tried.output)["shown"].split("\0")[0] == sys.executable
    assert tried.said == ["tried is started as a process of its own: the parent has threads"]


LOADING = """
import json, os, sys, threading
from pathlib import Path
def files():
    return sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{name}"))
before, environment = files(), dict(os.environ)
from zasper_hub.embedded.forking import Forker
Forker(print).load({**os.environ, "HUB_DATA_DIR": sys.argv[1], "HUB_SECRET_KEY": "k" * 50, "HUB_METRICS_PORT": "1",
                    "DJANGO_SETTINGS_MODULE": "zasper_hub.settings.production"})
from django.core.cache import caches
from django.db import connections
from notebooks_app import wire
assert [one.connection for one in connections.all()] == [None]
assert wire._blocking is None and not wire._of_loop
assert len(os.listdir("/proc/self/task")) == threading.active_count() == 1
assert files() == before, files()
assert "twisted.internet.reactor" not in sys.modules, "whoever imports it has installed one"
assert "zasper_hub.asgi" not in sys.modules, "it serves metrics"
assert dict(os.environ) == environment
assert "zasper_hub.urls" in sys.modules and "celery.worker.consumer" in sys.modules
"""


def test_what_is_loaded_for_all_has_no_connection_no_thread_no_file_and_no_reactor(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
