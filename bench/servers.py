"""The servers that are measured, each behind the same few functions: the hub and its peers."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx
import psutil

from bench.load_client import KernelAddress
from bench.peers import ROOT, peer_commands
from tests.live_hub import LiveHub, free_port, running_hub, wait_for

KERNELSPEC, IPYTHON = "minimal", "ipython-bench"
KERNEL_PROGRAMS = ("minimal_kernel.py", "ipykernel_launcher")
START_TIMEOUT_S = 60


class Server(Protocol):
    """A running server."""

    name: str

    def parts(self) -> dict[str, list[int]]:
        """Process ids by part, kernels not among them."""

    def start_kernels(self, count: int) -> list[KernelAddress]:
        """So many kernels that have answered once."""


def write_kernelspecs(folder: Path) -> None:
    """The minimal kernel and ipykernel: one program, one interpreter, whoever starts it."""
    python = str(ROOT / ".kernel-venv" / "bin" / "python")
    commands = {
        KERNELSPEC: [python, "-I", str(ROOT / "bench" / "minimal_kernel.py"), "{connection_file}"],
        IPYTHON: [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    }
    for name, command in commands.items():
        (folder / name).mkdir(parents=True)
        content = {
            "argv": command,
            "display_name": name,
            "language": "python" if name == IPYTHON else "text",
            # What the hub does with ipykernel anyway; Jupyter Server decides by its own settings.
            "metadata": {"zasper": {"transport": "ipc"}},
        }
        (folder / name / "kernel.json").write_text(json.dumps(content))


def process_tree(pid: int) -> list[int]:
    """A process and what it started, kernels excepted."""
    root = psutil.Process(pid)
    found = [pid]
    for child in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if not any(word.endswith(KERNEL_PROGRAMS) for word in child.cmdline()):
                found.append(child.pid)
    return found


def start_kernels_at(
    base_url: str, headers: Mapping[str, str], count: int, *, kernelspec: str = KERNELSPEC
) -> list[KernelAddress]:
    """Kernels of one Jupyter-compatible server, through its REST API. `base_url` ends in a slash."""
    with httpx.Client(base_url=base_url, headers=dict(headers), timeout=60) as client:
        ids = [
            client.post("api/kernels", json={"name": kernelspec}).raise_for_status().json()["id"]
            for _ in range(count)
        ]
    socket_base = "ws" + base_url.removeprefix("http")
    return [KernelAddress(f"{socket_base}api/kernels/{id_}/channels", dict(headers)) for id_ in ids]


class Hub:
    """Zasper Hub, embedded: its programs and Valkey, as `make run` starts them."""

    name = "Zasper Hub"

    def __init__(self, live: LiveHub) -> None:
        self.live = live

    def parts(self) -> dict[str, list[int]]:
        programs = ("web", "node", "valkey", "recorder", "worker")
        return {program: process_tree(self.live.pid_of(program)) for program in programs}

    def start_kernels(self, count: int) -> list[KernelAddress]:
        with self.live.client() as client:
            headers = {"Authorization": client.headers["Authorization"]}
            project = client.post("projects", json={"name": f"load {secrets.token_hex(4)}"})
            url = project.raise_for_status().json()["jupyter_url"]
        base_url = url if url.startswith("http") else f"{self.live.url}{url}"
        return start_kernels_at(f"{base_url.rstrip('/')}/", headers, count)


@contextlib.contextmanager
def hub(**environment: str) -> Iterator[Hub]:
    with tempfile.TemporaryDirectory(prefix="zb-") as folder:
        kernelspecs = Path(folder) / "kernels"
        write_kernelspecs(kernelspecs)
        with running_hub(
            Path(folder) / "data",
            NODE_KERNEL_PATH=str(kernelspecs),
            # As the peers start their kernels: without a sandbox.
            **{"HUB_MAX_KERNELS_PER_USER": "1000", "NODE_PROVISIONER": "process", **environment},
        ) as live:
            yield Hub(live)


class JupyterServer:
    """One stock jupyter_server."""

    name = "jupyter_server"

    def __init__(self, pid: int, base_url: str, token: str) -> None:
        self._pid = pid
        self.base_url = base_url
        self.headers = {"Authorization": f"token {token}"}

    def parts(self) -> dict[str, list[int]]:
        return {"server": process_tree(self._pid)}

    def start_kernels(self, count: int) -> list[KernelAddress]:
        return start_kernels_at(self.base_url, self.headers, count)


@contextlib.contextmanager
def jupyter_server() -> Iterator[JupyterServer]:
    port, token = free_port(), secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="zb-") as name:
        folder = Path(name)
        base_url = f"http://127.0.0.1:{port}/"
        (folder / "root").mkdir()
        command = [
            str(peer_commands().python), "-m", "jupyter_server", "--no-browser", "--ip=127.0.0.1", "--allow-root",
            f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={folder / 'root'}", "--ServerApp.log_level=WARN",
            # Or it drops what comes quicker than 1,000 messages a second.
            "--ZMQChannelsWebsocketConnection.limit_rate=False",
        ]  # fmt: skip
        with _process(command, jupyter_environment(folder), folder) as process:
            _wait_for_answer(process, f"{base_url}api?token={token}", folder)
            yield JupyterServer(process.pid, base_url, token)


class JupyterHub:
    """JupyterHub with its proxy, one server for each person, as it is deployed without containers."""

    name = "JupyterHub"

    def __init__(self, pid: int, url: str, token: str, people: Sequence[str]) -> None:
        self._pid = pid
        self._url = url
        self._headers = {"Authorization": f"token {token}"}
        self.people = list(people)
        self.server_start_s: list[float] = []

    def parts(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {"hub": [], "proxy": [], "servers": []}
        for pid in process_tree(self._pid):
            command = " ".join(psutil.Process(pid).cmdline())
            kind = "servers" if "singleuser" in command else "proxy" if "http-proxy" in command else "hub"
            found[kind].append(pid)
        return found

    def start_servers(self) -> None:
        """Each person's server, one after the other, with the seconds it took."""
        with httpx.Client(base_url=f"{self._url}hub/api/", headers=self._headers, timeout=60) as client:
            for person in self.people:
                client.post(f"users/{person}").raise_for_status()
                begun = time.monotonic()
                client.post(f"users/{person}/server").raise_for_status()

                def is_up(person: str = person) -> bool:
                    return bool(
                        client.get(f"users/{person}").raise_for_status().json()["servers"][""]["ready"]
                    )

                wait_for(f"the server of {person}", is_up, timeout_s=START_TIMEOUT_S, every_s=0.05)
                self.server_start_s.append(round(time.monotonic() - begun, 2))

    def start_kernels(self, count: int) -> list[KernelAddress]:
        each, rest = divmod(count, len(self.people))
        return [
            address
            for n, person in enumerate(self.people)
            for address in start_kernels_at(
                f"{self._url}user/{person}/", self._headers, each + (1 if n < rest else 0)
            )
        ]


HUB_CONFIG = """
c.JupyterHub.bind_url = {bind_url!r}
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = 'sqlite:///jupyterhub.sqlite'
c.JupyterHub.cookie_secret_file = 'cookie_secret'
c.JupyterHub.authenticator_class = 'dummy'
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = 'simple'
c.JupyterHub.log_level = 'WARN'
c.JupyterHub.cleanup_servers = True
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{proxy_port}'
c.Spawner.cmd = {singleuser!r}
c.Spawner.args = ['--allow-root', '--ZMQChannelsWebsocketConnection.limit_rate=False', '--ServerApp.log_level=WARN']
c.Spawner.environment = {environment!r}
c.Spawner.poll_interval = 30
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.JupyterHub.services = [{{'name': 'bench', 'api_token': {token!r}}}]
c.JupyterHub.load_roles = [
    {{'name': 'bench', 'services': ['bench'], 'scopes': ['admin:users', 'admin:servers', 'access:servers']}}
]
"""


@contextlib.contextmanager
def jupyterhub(people_count: int = 8, *, starts_servers: bool = True) -> Iterator[JupyterHub]:
    peers = peer_commands()
    token, url = secrets.token_hex(16), f"http://127.0.0.1:{free_port()}/"
    with tempfile.TemporaryDirectory(prefix="zb-") as name:
        folder = Path(name)
        environment = jupyter_environment(folder)
        configuration = HUB_CONFIG.format(
            bind_url=url,
            hub_port=free_port(),
            proxy_port=free_port(),
            proxy=[peers.node, str(peers.proxy)],
            singleuser=[str(peers.python), "-m", "jupyterhub.singleuser"],
            environment={"JUPYTER_PATH": environment["JUPYTER_PATH"]},
            homes=str(folder / "homes" / "{username}"),
            token=token,
        )
        (folder / "jupyterhub_config.py").write_text(configuration)
        command = [str(peers.python), "-m", "jupyterhub"]
        with _process(command, environment, folder) as process:
            _wait_for_answer(process, f"{url}hub/api/", folder)
            people = [f"person{n}" for n in range(people_count)]
            server = JupyterHub(process.pid, url, token, people)
            if starts_servers:
                server.start_servers()
            yield server


def jupyter_environment(folder: Path) -> dict[str, str]:
    """The machine's environment, with all of Jupyter's folders below `folder`, and the kernelspec."""
    write_kernelspecs(folder / "jupyter" / "kernels")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "HUB_"))}
    return {
        **kept,
        "PATH": f"{peer_commands().python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(folder),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }


@contextlib.contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a group of its own; it and what it started are gone afterwards."""
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            for left in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
            process.kill()
            process.wait()


def _wait_for_answer(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended at its start:\n{_tail(folder / 'output.txt')}")
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url, timeout=2).status_code == 200
        return False

    wait_for("the server answers", answers, timeout_s=START_TIMEOUT_S)


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-2000:]
