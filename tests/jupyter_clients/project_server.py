"""A project's Jupyter-compatible server at a running hub, and the programs that are its clients."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.channel_client import ChannelClient
from tests.live_hub import LiveHub, free_port, wait_for

CLIENTS = Path(__file__).resolve().parent
PYTHON = CLIENTS / ".venv" / "bin" / "python"  # made by deploy/bootstrap.py --dev


class ProjectServer:
    """Its address, a token for it, and an HTTP client that has the token."""

    def __init__(self, hub: LiveHub, url: str) -> None:
        self.hub = hub
        self.url = url
        self.token = hub.token()
        self.http = httpx.Client(
            base_url=url, headers={"Authorization": f"token {self.token}"}, timeout=60, follow_redirects=True
        )

    @classmethod
    @contextlib.contextmanager
    def of_new_project(cls, hub: LiveHub) -> Iterator[ProjectServer]:
        with hub.client() as client:
            made = client.post("projects", json={"name": f"Clients {uuid4().hex[:8]}"})
            assert made.status_code == 201, made.text
        server = cls(hub, str(made.json()["jupyter_url"]))
        with server.http:
            wait_for("python3 is offered", lambda: server.http.get("api/kernelspecs/python3").is_success)
            yield server

    @property
    def sockets_url(self) -> str:
        """What `JUPYTER_GATEWAY_WS_URL` must be for clients that send no token with their sockets."""
        return f"{self.url.rstrip('/').replace('http', 'ws', 1)}?token={self.token}&path="

    def gateway_environment(self) -> dict[str, str]:
        """What docs/how-to/connect-jupyter-clients.md says to set."""
        return {
            **os.environ,
            "JUPYTER_GATEWAY_URL": self.url,
            "JUPYTER_GATEWAY_AUTH_TOKEN": self.token,
            "JUPYTER_GATEWAY_WS_URL": self.sockets_url,
        }

    def kernel_ids(self) -> set[str]:
        return {str(kernel["id"]) for kernel in self.http.get("api/kernels").json()}


def run_client(name: str, *words: str, environment: dict[str, str] | None = None) -> Any:
    """What a client of this folder printed, as JSON."""
    done = subprocess.run(
        [str(PYTHON), str(CLIENTS / name), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


class JupyterLab:
    """A stock `jupyter lab` on this machine whose kernels are a gateway's."""

    def __init__(self, folder: Path, gateway_url: str, gateway_token: str) -> None:
        self.token = "of-jupyter-lab"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.folder = folder
        self._words = [
            f"--gateway-url={gateway_url}",
            f"--GatewayClient.auth_token={gateway_token}",
        ]

    @contextlib.contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """A client of its API, once it answers."""
        log_path = self.folder.parent / "jupyter-lab.log"
        settings = self.folder.parent / "jupyter-settings"
        command = [
            *(str(PYTHON), "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={self.port}"),
            *(
                "--ServerApp.ip=127.0.0.1",
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={self.token}",
            ),
            *(
                f"--ServerApp.root_dir={self.folder}",
                "--LabApp.news_url=None",
                "--LabApp.collaborative=False",
            ),
            *("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", *self._words),
        ]
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")},
            **{
                name: str(settings)
                for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
            },
            "JUPYTERLAB_SETTINGS_DIR": str(settings / "user"),
            "JUPYTERLAB_WORKSPACES_DIR": str(settings / "workspaces"),
        }
        with log_path.open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            with httpx.Client(
                base_url=self.url, headers={"Authorization": f"token {self.token}"}, timeout=60
            ) as client:

                def answers() -> bool:
                    assert process.poll() is None, log_path.read_text()[-3000:]
                    with contextlib.suppress(httpx.TransportError):
                        return client.get("api/status").is_success
                    return False

                wait_for("JupyterLab answers", answers, timeout_s=40)
                yield client
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    def connect(self, kernel_id: str) -> ChannelClient:
        return ChannelClient(
            f"{self.url}api/kernels/{kernel_id}/channels",
            token=self.token,
            session_id=uuid4().hex,
            is_v1=False,
            timeout_s=30,
        )
