"""`manage.py hub`: the whole hub on one machine under one parent.

On Linux the parent loads what web, recorder and worker have in common and forks them (`forking.py`); it uses nothing
of that itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from zasper_hub.embedded.forking import Forker, can_fork
from zasper_hub.embedded.layout import Layout, StartRefused, listen, lock_data_dir, prepare_layout
from zasper_hub.embedded.programs import (
    Program,
    hub_environment,
    hub_programs,
    prepare_program,
    valkey_program,
)
from zasper_hub.embedded.supervisor import Child, Starter, log_tail, start_process, stop_all
from zasper_hub.settings.environment import Environment, read_environment

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


async def prepare_database(layout: Layout, program: Program, start: Starter, stop: asyncio.Event) -> Prepared:
    """Migrate after a copy of the database, make the first administrator, collect static files.

    Ends early, as Ctrl-C ends a command, when `stop` is set; what was not done is done at the next start.

    Raises:
        StartRefused: one of them failed; the message ends with what it printed.
    """
    # The database is opened by a process of its own: this one stays small.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = await start(program, output, errors)
        done, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())
        await asyncio.wait({done, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not done.done():
            process.send_signal(signal.SIGINT)
        code = await done
        printed, told = (_text_of(file) for file in (output, errors))
    if stop.is_set():
        return Prepared(None, None)
    if code != 0:
        tail = "\n".join((told or printed).strip().splitlines()[-6:])
        raise StartRefused(f"The database in {layout.data_dir} could not be prepared:\n{tail}")
    return Prepared(**json.loads(printed.strip().splitlines()[-1]))


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


async def _is_ready(listener: socket.socket, path: str) -> bool:
    # By hand, and by number: this process has no threads, which libraries and the search for a name wait in.
    host, port = listener.getsockname()[:2]
    writer = None
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(local_host(host), port)
            writer.write(f"GET {path}/readyz HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            return b" 200 " in await reader.readline()
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def wait_until_ready(listener: socket.socket, path: str) -> bool:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if await _is_ready(listener, path):
            return True
        await asyncio.sleep(0.2)
    return False


def local_host(host: str) -> str:
    """How this machine reaches what listens there."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def shown_url(environment: Environment) -> str:
    host = local_host(environment.hub_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{environment.hub_port}{environment.hub_base_path}"


async def run_hub(
    layout: Layout,
    environment: Environment,
    hub: dict[str, str],
    listener: socket.socket,
    start: Starter,
) -> int:
    """Start everything, stay until told to end, end everything; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    children: list[Child] = []

    async def add(program: Program) -> None:
        child = Child(program, layout.logs_dir / f"{program.name}.log", say, start)
        children.append(child)
        await child.start()

    try:
        if environment.redis_url is None:
            layout.valkey_socket.unlink(missing_ok=True)
            await add(valkey_program(layout))
            await wait_for_valkey(layout.valkey_socket)
        prepared = await prepare_database(layout, prepare_program(hub), start, stop)
        if prepared.database_copy is not None:
            say(f"An upgrade. The database of before is kept: {prepared.database_copy}")
        if prepared.generated_password is not None:
            say(
                f"\n  First start. Administrator: {environment.hub_admin_user}  "
                f"password: {prepared.generated_password}"
            )
            say("  It is shown this once; change it on the account page.\n")
        if not stop.is_set():
            for program in hub_programs(layout, environment, hub, listener_fd=listener.fileno()):
                await add(program)
        await _watch(stop, environment, listener, children, layout)
    finally:
        say("Ending …")
        await stop_all(children)
        listener.close()
        say("Ended; everything is kept.")
    return 0


async def _watch(
    stop: asyncio.Event,
    environment: Environment,
    listener: socket.socket,
    children: list[Child],
    layout: Layout,
) -> None:
    """Say when the hub is ready, or what keeps it from that; return when told to end."""
    stopped = asyncio.create_task(stop.wait())
    while not stop.is_set():
        ready = asyncio.create_task(wait_until_ready(listener, environment.hub_base_path))
        await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and ready.result():
            say(f"Zasper Hub is ready: {shown_url(environment)}   (Ctrl-C ends it)")
            await stopped
        elif not stop.is_set():
            say(f"The hub is not ready after {READY_TIMEOUT_S} s; it goes on trying. What its programs say:")
            for child in children:
                log = layout.logs_dir / f"{child.program.name}.log"
                say(f"  {child.program.name}:\n{log_tail(log, 5)}")
        ready.cancel()


def load_forker(hub: dict[str, str]) -> Forker | None:
    """None where programs have to be started one by one: not on Linux, or what they have in common does not load.

    Then each says itself what is wrong, the first of them when it prepares the database.
    """
    if not can_fork():
        return None
    forker = Forker(say)
    try:
        forker.load(hub)
    except Exception as error:
        say(f"What the programs have in common does not load ({type(error).__name__}: {error}).")
        return None
    return forker


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
        with lock_data_dir(layout), listen(environment.hub_host, environment.hub_port) as listener:
            hub = hub_environment(layout, environment, secret_key_of(layout, environment))
            forker = load_forker(hub)
            start = start_process if forker is None else forker.start
            work = run_hub(layout, environment, hub, listener, start)
            return asyncio.run(work) if forker is None else forker.run(work)
    except StartRefused as error:
        sys.stderr.write(f"The hub does not start. {error}\n")
        return 1
    except KeyboardInterrupt:  # before there was anything to end in order
        return 128 + signal.SIGINT
