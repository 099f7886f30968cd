"""A hub of docker-compose.yml for tests: a project of its own, on a free port, gone afterwards."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from notebooks_app.services.example import EXAMPLE_NAME
from tests.container.engine import ROOT, compose
from tests.container.images import KERNEL, image_names

START_S = 180
COMMAND_S = 240
T = TypeVar("T")


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, probe: Callable[[], T | None], *, timeout_s: float = 60) -> T:
    """The first value of `probe` that is true; fails with `what` after the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.3)


class ComposeHub:
    """`up`, `down`, and a client of its API as the administrator."""

    def __init__(self) -> None:
        self.project = f"zaspertest{secrets.token_hex(3)}"
        self.port = free_port()
        self.address = self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "NODE_"))},
            "COMPOSE_PROJECT_NAME": self.project,
            "HUB_PORT": str(self.port),
            "HUB_TLS_PORT": str(free_port()),
            **image_names(),
            "NODE_KERNEL_IMAGES": KERNEL.tag,
            "NODE_KERNEL_MEMORY_MB": "512",
            "NODE_KERNEL_PROCESSES": "150",
        }
        self.token = self._password = ""

    def compose(self, *words: str, check: bool = True) -> str:
        """Output of `docker compose …` for this hub."""
        return run_compose(self.environment, *words, check=check)

    def up(self, *options: str) -> None:
        try:
            self.compose("up", "-d", "--no-build", *options)
            wait_for("the hub is ready", self.is_ready, timeout_s=START_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.compose('logs', '--tail=30', check=False)}") from None

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def settle(self, base_path: str, certificate: Path) -> bool:
        """From its next `up` on it speaks TLS too, and lives below this path; False when it does already."""
        wanted = {"HUB_BASE_PATH": base_path, "HUB_TLS": str(certificate.parent)}
        if wanted.items() <= self.environment.items():
            return False
        self.password()  # while its log is there
        self.environment |= wanted
        self.url = f"{self.address}{base_path}"
        return True

    def remove(self) -> None:
        """Everything of this hub, its kernels too."""
        self.compose("down", "--volumes", "--timeout=5", check=False)
        self.remove_kernels()
        names = docker(
            "network", "ls", "--filter", "label=org.zasper.network", "--format", "{{.Name}}"
        ).split()
        for name in names:
            subprocess.run(["docker", "network", "rm", name], capture_output=True, check=False)

    def remove_kernels(self) -> None:
        for container in self.kernel_containers():
            docker("rm", "--force", container)

    def kernel_containers(self) -> list[str]:
        return kernel_containers_of(self.project)

    def password(self) -> str:
        """What `prepare` printed, once."""
        if not self._password:
            found = re.search(r"password: (\S+)", self.compose("logs", "--no-color", "prepare"))
            assert found is not None, "no password was printed"
            self._password = found[1]
        return self._password

    def client(self) -> httpx.Client:
        if not self.token:
            self.token = self.compose(
                "exec", "-T", "web", "python", "manage.py", "token", "admin", "--days", "1"
            ).split()[-1]
        return httpx.Client(
            base_url=f"{self.url}/api/hub/v1/", headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )

    def node_of(self, project: str) -> str | None:
        """The node that is up and was started by this project of Compose."""
        found = self.sql(
            f"SELECT node_id FROM kernels_app_node WHERE state = 'up' AND node_id LIKE '{project}-%'"
        )
        return found.split()[0] if found else None

    def sql(self, query: str) -> str:
        return self.compose("exec", "-T", "postgres", "psql", "-U", "hub", "-d", "hub", "-tAc", query).strip()


class RemoteNotebook:
    """One notebook of the hub, with these cells, run over REST."""

    def __init__(
        self, client: httpx.Client, sources: Sequence[str], *, project_id: str | None = None
    ) -> None:
        self.client = client
        self.project_id = project_id or example_project(client)["id"]
        cells: list[dict[str, Any]] = [
            {
                "cell_type": "code",
                "id": f"cell{n}",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
                "source": text,
            }
            for n, text in enumerate(sources)
        ]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": cells}
        path = f"{secrets.token_hex(4)}.ipynb"
        client.put(
            f"projects/{self.project_id}/files/{path}", content=json.dumps(notebook)
        ).raise_for_status()
        opened = client.post(f"projects/{self.project_id}/documents", json={"path": path})
        opened.raise_for_status()
        self.document_id: str = opened.json()["id"]

    def run(self) -> RemoteNotebook:
        answer = self.client.post(f"documents/{self.document_id}/runs", json={"cells": "all"})
        assert answer.status_code == 202, answer.text
        return self

    def states(self) -> list[str]:
        return [row["state"] for row in rows(self.client.get(f"documents/{self.document_id}/runs"))]

    def ended(self, timeout_s: float = 90) -> list[str]:
        """States of all runs once all have ended."""
        wait_for("the runs end", lambda: not {"queued", "running"} & set(self.states()), timeout_s=timeout_s)
        return self.states()

    def outputs(self, cell: int = 0) -> list[dict[str, Any]]:
        notebook = self.client.get(f"documents/{self.document_id}/notebook").json()
        outputs: list[dict[str, Any]] = notebook["cells"][cell]["outputs"]
        return outputs

    def text(self, cell: int = 0) -> str:
        """What the cell printed."""
        streams = [output for output in self.outputs(cell) if output["output_type"] == "stream"]
        return "".join("".join(output["text"]) for output in streams)

    def kernel(self) -> dict[str, Any]:
        kernel: dict[str, Any] = self.client.get(f"documents/{self.document_id}").json()["kernel"]
        return kernel

    def stop(self) -> None:
        self.client.delete(f"kernels/{self.kernel()['id']}").raise_for_status()

    def prints_all(self, text: str) -> None:
        wait_for("all its lines are there, once", lambda: self.text() == text, timeout_s=20)

    def says(self, words: str, timeout_s: float = 60, *, cell: int = 0) -> None:
        wait_for(f"it says {words!r}", lambda: words in self.text(cell), timeout_s=timeout_s)


class FurtherHost:
    """A host that only runs kernels, by deploy/docker-compose.node.yml: here on the hub's own engine, and with the
    hub's volume where it is another machine's by NFS."""

    def __init__(self, hub: ComposeHub, folder: Path) -> None:
        self.project = f"{hub.project}host"
        self._hub = hub
        self._folder = folder
        data = json.loads(docker("volume", "inspect", f"{hub.project}_data"))[0]["Mountpoint"]
        self._environment = {
            **hub.environment,
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": os.pathsep.join(("deploy/docker-compose.node.yml", str(folder / "host.yml"))),
            "HUB_NFS_SERVER": "another machine's",
            "HUB_NFS_PATH": data,
            "NODE_LABELS": "zone=b",
            "NODE_SECRETS": str(folder),
        }
        options = {"type": "none", "o": "bind", "device": data}
        (folder / "host.yml").write_text(json.dumps({"volumes": {"data": {"driver_opts": options}}}))

    def join(self) -> None:
        """As docs/how-to/add-a-host.md says: Valkey gets an address that this host reaches, the node its password."""
        hub, port = self._hub, free_port()
        bridge = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]
        address = bridge.get("Gateway") or bridge["Subnet"].replace(".0/16", ".1")
        valkey = {"networks": ["wire", "edge"], "ports": [f"{address}:{port}:6379"]}
        override = self._folder / "docker-compose.override.yml"
        override.write_text(json.dumps({"services": {"valkey": valkey}}))
        hub.environment["COMPOSE_FILE"] = os.pathsep.join(("docker-compose.yml", str(override)))
        hub.compose("up", "-d", "--no-build", "--no-deps", "valkey")
        password = hub.compose("run", "--rm", "-T", "prepare", "cat", "/secrets/valkey_password").split()[-1]
        (self._folder / "redis_url").write_text(f"redis://:{password}@{address}:{port}")
        self._folder.chmod(0o755)  # for user 10001
        run_compose(self._environment, "up", "-d")

    def lose(self) -> None:
        [container] = run_compose(self._environment, "ps", "-q", "node").split()
        docker("kill", container)

    def remove(self) -> None:
        """The hub is then as it was before."""
        run_compose(self._environment, "down", "--volumes", "--timeout=5", check=False)
        for container in self.kernel_containers():
            docker("rm", "--force", container)
        if self._hub.environment.pop("COMPOSE_FILE", None) is not None:
            self._hub.compose("up", "-d", "--no-build", "--no-deps", "valkey")
            wait_for("the hub is ready again", self._hub.is_ready)

    def kernel_containers(self) -> list[str]:
        return kernel_containers_of(self.project)


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a list, paged or not."""
    answer.raise_for_status()
    found = answer.json()
    if isinstance(found, dict):
        found = found.get("items", found.get("runs"))
    assert isinstance(found, list)
    return found


def example_project(client: httpx.Client) -> dict[str, Any]:
    """The administrator's, which other tests leave as it is: they make projects of their own."""
    return next(project for project in rows(client.get("projects")) if project["name"] == EXAMPLE_NAME)


def run_compose(environment: dict[str, str], *words: str, check: bool = True) -> str:
    """Output of `docker compose …` in the project's folder."""
    done = subprocess.run(
        [*compose(), *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_S,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"compose {' '.join(words)}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def kernel_containers_of(project: str) -> list[str]:
    """Ids of the kernels' containers that the nodes of a project of Compose made."""
    return docker("ps", "--all", "--quiet", "--filter", f"label=org.zasper.hub={project}").split()


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout
