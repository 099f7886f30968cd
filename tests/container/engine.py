"""A Docker engine for tests: is there one, are the images built, kernels in containers without a hub."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernels_app.node.provisioners.base import NodeProvisioner
from kernels_app.node.provisioners.container_settings import ContainerSettings
from tests.container.images import KERNEL, image

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 20
MakeContainer = Callable[[str, Any, Path], NodeProvisioner]


@functools.cache
def why_not() -> str:
    """Why tests with containers cannot run here; empty when they can."""
    if shutil.which("docker") is None or compose() == []:
        return "no docker and docker-compose on this machine"
    try:
        answer = subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=ANSWER_S)
    except subprocess.TimeoutExpired:
        return f"the Docker engine does not answer within {ANSWER_S} s"
    return "no Docker engine answers" if answer.returncode != 0 else ""


@functools.cache
def compose() -> list[str]:
    """The command of Compose v2, else docker-compose; empty without either."""
    if shutil.which("docker") and (
        subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False, timeout=ANSWER_S
        ).returncode
        == 0
    ):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def skip_without_engine() -> None:
    if why_not():
        pytest.skip(f"container tests: {why_not()}")


@contextlib.contextmanager
def kernel_containers(settings: ContainerSettings | None = None) -> Iterator[MakeContainer]:
    """Makes DockerProvisioners for plain programs: `(kernel_id, kernel_spec, project folder)`. To be used on an
    event loop. Leaves no container and no network behind."""
    skip_without_engine()
    kernel_image = image(KERNEL)
    from kernels_app.node.provisioners.docker import ContainerLaunch, DockerProvisioner
    from kernels_app.node.provisioners.engine import Engine

    # Short: it holds sockets.
    run_dir = Path(tempfile.mkdtemp(prefix="zasper-run-"))
    node_id = f"test-{run_dir.name}"
    engine = Engine(settings or ContainerSettings(images=(kernel_image,)), node_id=node_id, run_dir=run_dir)
    engine.start()

    def make(kernel_id: str, kernel_spec: Any, project: Path) -> NodeProvisioner:
        name = "".join(letter for letter in kernel_id if letter.isalnum() or letter == "-")[:50]
        return DockerProvisioner(
            engine=engine,
            launch=ContainerLaunch(image=kernel_image, project=project, project_name=node_id),
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
