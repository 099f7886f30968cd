"""`manage.py hub`: the whole hub on one machine under one parent. No Django in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from zasper_hub.embedded.layout import Layout, StartRefused, listen, lock_data_dir, prepare_layout
from zasper_hub.embedded.programs import hub_environment, hub_programs, valkey_program
from zasper_hub.embedded.supervisor import Child, log_tail, stop_all
from zasper_hub.settings.environment import BASE_DIR, Environment, read_environment

READY_TIMEOUT_S = 60
VALKEY_TIMEOUT_S = 60  # a large append-only file takes its time to load


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def secret_key_of(layout: Layout, environment: Environment) -> str:
    """The configured key, else one made on the first start and kept in the data directory."""
    if environment.hub_secret_key:
        return environment.hub_secret_key.get_secret_value()
    path = layout.data_dir / "secret_key"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text(encoding="utf-8").strip()


async def wait_for_valkey(path: Path) -> None:
    """Until the server answers PING.

    Raises:
        StartRefused: it does not within VALKEY_TIMEOUT_S.
    """
    deadline = time.monotonic() + VALKEY_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(b"PING\r\n")
                if (await asyncio.wait_for(reader.readline(), 2)).startswith(b"+PONG"):
                    return
            finally:
                writer.close()
        await asyncio.sleep(0.05)
    raise StartRefused("Valkey does not answer; see logs/valkey.log in the data directory.")


@dataclass(frozen=True)
class Prepared:
    """What whoever starts the hub is told: a password that was made, where the database of before an upgrade is."""

    generated_password: str | None
    database_copy: str | None


def prepare_database(layout: Layout, environment: dict[str, str]) -> Prepared:
    """Migrate after a copy of the database, make the first administrator, collect static files.

    Raises:
        StartRefused: one of them failed; the message ends with what it printed.
    """
    # The database is opened by a process of its own: this one stays small.
    done = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "prepare"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise StartRefused(f"The database in {layout.data_dir} could not be prepared:\n{tail}")
    return Prepared(**json.loads(done.stdout.strip().splitlines()[-1]))


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


async def wait_until_ready(url: str) -> bool:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if await asyncio.to_thread(_is_ready, url):
            return True
        await asyncio.sleep(0.2)
    return False


def shown_url(environment: Environment) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(environment.hub_host, environment.hub_host)
    return f"http://{host}:{environment.hub_port}{environment.hub_base_path}"


async def run_hub(layout: Layout, environment: Environment) -> int:
    """Start everything, stay until told to end, end everything; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    listener = listen(environment.hub_host, environment.hub_port)
    key = secret_key_of(layout, environment)
    children: list[Child] = []

    async def add(child: Child) -> None:
        children.append(child)
        await child.start()

    try:
        if environment.redis_url is None:
            layout.valkey_socket.unlink(missing_ok=True)
            await add(Child(valkey_program(layout), layout.logs_dir / "valkey.log", say))
            await wait_for_valkey(layout.valkey_socket)
        prepared = await asyncio.to_thread(
            prepare_database, layout, hub_environment(layout, environment, key)
        )
        if prepared.database_copy is not None:
            say(f"An upgrade. The database of before is kept: {prepared.database_copy}")
        if prepared.generated_password is not None:
            say(
                f"\n  First start. Administrator: {environment.hub_admin_user}  "
                f"password: {prepared.generated_password}"
            )
            say("  It is shown this once; change it on the account page.\n")
        if not stop.is_set():
            for program in hub_programs(layout, environment, key, listener_fd=listener.fileno()):
                await add(Child(program, layout.logs_dir / f"{program.name}.log", say))
        await _watch(stop, shown_url(environment), children, layout)
    finally:
        say("Ending …")
        await stop_all(children)
        listener.close()
        say("Ended; everything is kept.")
    return 0


async def _watch(stop: asyncio.Event, url: str, children: list[Child], layout: Layout) -> None:
    """Say when the hub is ready, or what keeps it from that; return when told to end."""
    stopped = asyncio.create_task(stop.wait())
    while not stop.is_set():
        ready = asyncio.create_task(wait_until_ready(url))
        await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and ready.result():
            say(f"Zasper Hub is ready: {url}   (Ctrl-C ends it)")
            await stopped
        elif not stop.is_set():
            say(f"The hub is not ready after {READY_TIMEOUT_S} s; it goes on trying. What its programs say:")
            for child in children:
                log = layout.logs_dir / f"{child.program.name}.log"
                say(f"  {child.program.name}:\n{log_tail(log, 5)}")
        ready.cancel()


def main() -> int:
    """Exit code of `manage.py hub`: 0 after a good end, 1 when it did not start."""
    try:
        environment = read_environment()
    except (ValidationError, OSError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            text = f"{str(first['loc'][0]).upper()}: {first['msg'].removeprefix('Value error, ')}"
        else:
            text = f"{error.filename}: {error.strerror}"
        sys.stderr.write(f"The hub does not start. {text}\n")
        return 1
    try:
        layout = prepare_layout(environment.hub_data_dir)
        with lock_data_dir(layout):
            return asyncio.run(run_hub(layout, environment))
    except StartRefused as error:
        sys.stderr.write(f"The hub does not start. {error}\n")
        return 1
