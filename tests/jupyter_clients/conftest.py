"""One hub for all clients, with a project in which nothing is yet."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.jupyter_clients.project_server import ProjectServer
from tests.live_hub import LiveHub, running_hub


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with running_hub(tmp_path_factory.mktemp("hub") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def server(hub: LiveHub) -> Iterator[ProjectServer]:
    """The Jupyter-compatible server of a new, empty project."""
    with ProjectServer.of_new_project(hub) as made:
        yield made


@pytest.fixture(scope="module")
def jupyter(server: ProjectServer) -> httpx.Client:
    return server.http
