"""A Docker engine for tests: is there one, are the images built, kernels in containers without a hub."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernels_app.node.provisioners.base import NodeProvisioner
from kernels_app.node.provisioners.container_settings import ContainerSettings

ROOT = Path(__file__).resolve().parents[2]
KERNEL_IMAGE = "zasper-kernel:local"
# Public images that the project builds on; a machine without a registry has to have them.
BASE_IMAGES = (
    "python:3.12-slim-bookworm",
    "postgres:15-bookworm",
    "valkey/valkey:8-bookworm",
    "debian:bookworm-slim",
)

MakeContainer = Callable[[str, Any, Path], NodeProvisioner]


@functools.cache
def why_not() -> str:
    """Why tests with containers cannot run here; empty when they can."""
    if shutil.which("docker") is None or compose() == []:
        return "no docker and docker-compose on this machine"
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        return "no Docker engine answers"
    return ""


@functools.cache
def compose() -> list[str]:
    """The command of Compose v2, else docker-compose; empty without either."""
    if shutil.which("docker") and (
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def skip_without_engine() -> None:
    if why_not():
        pytest.skip(f"container tests: {why_not()}")


@functools.cache
def build_images() -> None:
    """Builds the project's images, from the engine's cache where nothing changed."""
    environment = dict(os.environ, DOCKER_BUILDKIT="0", COMPOSE_DOCKER_CLI_BUILD="0")
    done = subprocess.run(
        [*compose(), "build"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"the images cannot be built:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


@contextlib.contextmanager
def kernel_containers(settings: ContainerSettings | None = None) -> Iterator[MakeContainer]:
    """Makes DockerProvisioners for plain programs: `(kernel_id, kernel_spec, project folder)`. To be used on an
    event loop. Leaves no container and no network behind."""
    skip_without_engine()
    from kernels_app.node.provisioners.docker import ContainerLaunch, DockerProvisioner
    from kernels_app.node.provisioners.engine import Engine

    # Short: it holds sockets.
    run_dir = Path(tempfile.mkdtemp(prefix="zasper-run-"))
    node_id = f"test-{run_dir.name}"
    engine = Engine(settings or ContainerSettings(images=(KERNEL_IMAGE,)), node_id=node_id, run_dir=run_dir)
    engine.start()

    def make(kernel_id: str, kernel_spec: Any, project: Path) -> NodeProvisioner:
        name = "".join(letter for letter in kernel_id if letter.isalnum() or letter == "-")[:50]
        return DockerProvisioner(
            engine=engine,
            launch=ContainerLaunch(image=KERNEL_IMAGE, project=project, project_name=node_id),
            kernel_id=name,
            kernel_spec=kernel_spec,
            parent=None,
        )

    try:
        yield make
    finally:
        for container in engine.own_containers():
            engine.remove(container["Id"])
        engine.leave_network(f"zasper-project-{node_id}")
        engine.close()
        shutil.rmtree(run_dir, ignore_errors=True)
