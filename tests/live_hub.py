"""A real hub for tests: `manage.py hub` over its own data directory, with its own port and people."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from tests.hub_console import HubConsole

ROOT = Path(__file__).resolve().parent.parent
ADMIN, PASSWORD = "admin", "correct horse battery staple"
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 10
NEW_TOKEN = """
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services.tokens import make_token
print(make_token(User.objects.get(username={username!r}), name="test").text)
"""
NEW_PERSON = """
from zasper_hub.accounts.models import User
from zasper_hub.accounts.services import create_person
if not User.objects.filter(username={username!r}).exists():
    create_person(username={username!r}, password={password!r})
"""
T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports_in_a_row(count: int) -> int:
    """The first of so many ports that nobody listens on."""
    for _ in range(100):
        first = free_port()
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError(f"no {count} free ports in a row")


def wait_for(what: str, probe: Callable[[], T | None], *, timeout_s: float = 20, every_s: float = 0.1) -> T:
    """The first value of `probe` that is true; fails with `what` after the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(every_s)


class LiveHub:
    """A running hub. `client()` speaks to its API as the administrator."""

    def __init__(
        self, data_dir: Path, port: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self._extra = environment or {}
        self.url = f"http://127.0.0.1:{self.port}{self._extra.get('HUB_BASE_PATH', '')}"
        self._process: subprocess.Popen[str] | None = None
        self._console = HubConsole()
        self.output_path = data_dir.parent / f"{data_dir.name}-output.txt"

    def environment(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("HUB_", "DJANGO_"))},
            "HUB_PORT": str(self.port),
            "HUB_DATA_DIR": str(self.data_dir),
            "HUB_ADMIN_USER": ADMIN,
            "HUB_ADMIN_PASSWORD": PASSWORD,
            **self._extra,
        }

    def start(self) -> None:
        with self.output_path.open("a", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "hub"],
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            wait_for("the hub is ready", self._is_ready, timeout_s=START_TIMEOUT_S)
        except AssertionError as error:
            logs = self.logs()
            self.stop()
            raise AssertionError(f"{error}\n{logs}") from None

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the hub ended at its start:\n{self.logs()}")
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        return False

    def logs(self) -> str:
        """What the hub and its programs printed, for a failing test."""
        parts = [self.output_path.read_text(encoding="utf-8", errors="replace")[-2000:]]
        for path in sorted(self.data_dir.glob("logs/*.log")):
            parts.append(f"--- {path.name}\n{path.read_text(encoding='utf-8', errors='replace')[-3000:]}")
        return "\n".join(parts)

    def processes(self) -> list[psutil.Process]:
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def pid_of(self, program: str) -> int:
        """Process id of `web`, `recorder`, `worker`, `node` or `valkey`."""
        # Forked programs have a name; where nothing can be forked, and for the others, the module says it.
        marks = {
            "web": ("web", "zasper_hub.web_server"),
            "recorder": ("recorder",),
            "worker": ("worker", "zasper_hub.celery_worker"),
            "node": ("kernels_app.node",),
            "valkey": (),
        }
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.Error):
                words = child.cmdline()
                if program == "valkey" and words and words[0].endswith("-server"):
                    return child.pid
                if any(word in marks[program] for word in words):
                    return child.pid
        raise AssertionError(f"{program} is not running")

    def kill(self, program: str) -> None:
        """`kill -9`; the hub's parent starts it again."""
        pid = wait_for(f"{program} runs", lambda: self._pid_or_none(program))
        os.kill(pid, signal.SIGKILL)
        wait_for(f"{program} is started again", lambda: self._pid_or_none(program) not in (None, pid))

    def _pid_or_none(self, program: str) -> int | None:
        with contextlib.suppress(AssertionError):
            return self.pid_of(program)
        return None

    def interrupt(self) -> float:
        """Ctrl-C; the seconds it took to end."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_TIMEOUT_S + 20)
        return time.monotonic() - started

    def stop(self) -> None:
        self._console.close()
        if self._process is not None and self._process.poll() is None:
            left_behind = self.processes()
            self.interrupt()
            for process in left_behind:
                with contextlib.suppress(psutil.Error):
                    process.kill()

    def command(self, *words: str) -> str:
        """Output of `manage.py …` for this hub."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env=self._environment_of_commands(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def shell(self, script: str) -> str:
        """What the script prints: as `manage.py shell -c`, at a hundredth of its cost from the second time on."""
        return self._console.run(script, self._environment_of_commands())

    def _environment_of_commands(self) -> dict[str, str]:
        environment = self.environment()
        key = self.data_dir / "secret_key"
        if key.exists():
            environment["HUB_SECRET_KEY"] = key.read_text(encoding="utf-8").strip()
        return environment

    def token(self, user: str = ADMIN) -> str:
        """A new API token of `user` with all they may have."""
        return self.shell(NEW_TOKEN.format(username=user))

    def client(self, user: str = ADMIN) -> httpx.Client:
        """The hub API with a fresh token of `user`."""
        return httpx.Client(
            base_url=f"{self.url}/api/hub/v1/",
            headers={"Authorization": f"token {self.token(user)}"},
            timeout=30,
        )

    def add_person(self, username: str, password: str = PASSWORD) -> None:
        """An account with its personal team and example project, as the admin panel makes it, unless it is there."""
        self.shell(NEW_PERSON.format(username=username, password=password))


@contextlib.contextmanager
def running_hub(data_dir: Path, **options: str) -> Iterator[LiveHub]:
    hub = LiveHub(data_dir, environment=options)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()
