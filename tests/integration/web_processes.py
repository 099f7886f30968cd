"""More web processes for a running hub, and a balancer before them that knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx

from tests.live_hub import ROOT, LiveHub, wait_for
from zasper_hub.embedded.programs import MAX_WEBSOCKET_MESSAGE_BYTES, web_command


def daphne(port: int) -> tuple[str, ...]:
    return web_command("--bind", "127.0.0.1", "--port", str(port))


def impatient(port: int, slow_s: float) -> tuple[str, ...]:
    """As the hub's own, with clients of kernels found too slow sooner."""
    _, _, module, *words = daphne(port)
    program = (
        "import runpy, sys; from kernels_app.relay import kernel_feed; "
        f"kernel_feed.SLOW_S = {slow_s}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return (sys.executable, "-c", program, *words)


def uvicorn(port: int) -> tuple[str, ...]:
    words = (
        "--ws",
        "websockets-sansio",
        "--ws-max-size",
        str(MAX_WEBSOCKET_MESSAGE_BYTES),
        "--lifespan",
        "off",
    )
    return (
        *(sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), *words),
        "zasper_hub.asgi:application",
    )


@contextlib.contextmanager
def web_process(hub: LiveHub, command: tuple[str, ...], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A web process beside the hub's own, as on another machine: it shares database, Valkey and files."""
    environment = {
        **hub.environment(),
        "DJANGO_SETTINGS_MODULE": "zasper_hub.settings.production",
        "HUB_SECRET_KEY": (hub.data_dir / "secret_key").read_text(encoding="utf-8").strip(),
        "REDIS_URL": f"unix://{hub.data_dir / 'run' / 'valkey.sock'}",
    }
    log_path = hub.data_dir / "logs" / f"web-{port}.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:

        def is_ready() -> bool:
            assert process.poll() is None, log_path.read_text()[-3000:]
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
            return False

        wait_for("the web process is ready", is_ready, timeout_s=60)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


class Balancer:
    """Takes TCP connections and passes each on to the next of its ports, in turn; one that refuses is passed over."""

    def __init__(self, ports: list[int]) -> None:
        self.port = 0
        self.taken: list[int] = []  # which port each connection was given to
        self._ports = ports
        self._turn = itertools.cycle(ports)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    @contextlib.contextmanager
    def running(self) -> Iterator[Balancer]:
        self._thread.start()
        assert self._started.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            for port in itertools.islice(self._turn, len(self._ports)):
                with contextlib.suppress(ConnectionRefusedError):
                    there, here = await asyncio.open_connection("127.0.0.1", port)
                    self.taken.append(port)
                    await asyncio.gather(_copy(reader, here), _copy(there, writer))
                    return
        writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Until the end of either; then both are closed."""
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
