"""The project's images for tests: named by the hash of what they are made of, so that they are built once."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
BUILD_S = 1200
LABEL = "org.zasper.built-for=tests"
# Of earlier code; those that a container uses stay.
KEPT = "48h"
NOT_SENT = {"node_modules", "dist", "__pycache__"}


@dataclass(frozen=True)
class Image:
    """`variable` tells docker-compose.yml the name. `parts`: files and folders below the project's root."""

    name: str
    variable: str
    dockerfile: str
    parts: tuple[str, ...]

    @functools.cached_property
    def tag(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(
            {path for part in (self.dockerfile, *self.parts) for path in files_of(ROOT / part)}
        ):
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return f"{self.name}:tests-{digest.hexdigest()[:16]}"


HUB = Image(
    "zasper-hub",
    "HUB_IMAGE",
    "deploy/docker/Dockerfile.hub",
    (
        "requirements.txt",
        "manage.py",
        "frontend",
        "deploy/docker",
        "kernels_app",
        "notebooks_app",
        "zasper_hub",
    ),
)
KERNEL = Image(
    "zasper-kernel",
    "HUB_KERNEL_IMAGE",
    "deploy/docker/Dockerfile.kernel",
    (
        "requirements-kernel.txt",
        "deploy/parsed_files.py",
        "deploy/docker/kernelspecs",
        "kernels_app/node/zeromq/attendant",
    ),
)
PROXY = Image(
    "zasper-hub-proxy",
    "HUB_PROXY_IMAGE",
    "deploy/docker/Dockerfile.proxy",
    ("deploy/docker/proxy.conf", "deploy/docker/proxy.sh"),
)
IMAGES = (KERNEL, HUB, PROXY)


def files_of(part: Path) -> Iterator[Path]:
    """The file, or what is sent of the folder."""
    if part.is_file():
        yield part
    for folder, folders, names in os.walk(part):
        folders[:] = [name for name in folders if name not in NOT_SENT]
        yield from (Path(folder, name) for name in names if not name.endswith((".pyc", ".tsbuildinfo")))


def image(wanted: Image) -> str:
    """The name of the image of this code, built now if there is none."""
    with FileLock(Path(tempfile.gettempdir()) / "zasper-test-images.lock", timeout=BUILD_S):
        if not _is_there(wanted.tag):
            _build(wanted)
    return wanted.tag


@functools.cache
def image_names() -> dict[str, str]:
    """For the environment of docker-compose: every image of this code, built where there is none."""
    return {wanted.variable: image(wanted) for wanted in IMAGES}


def _is_there(tag: str) -> bool:
    found = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False, timeout=60)
    return found.returncode == 0


def _build(wanted: Image) -> None:
    command = [
        "docker",
        "build",
        "--quiet",
        "--label",
        LABEL,
        "--tag",
        wanted.tag,
        "--file",
        wanted.dockerfile,
        ".",
    ]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            # Every engine has the classic builder; the other needs a part of its own that may be missing.
            env=dict(os.environ, DOCKER_BUILDKIT="0"),
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_S,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"{wanted.tag} was not built within {BUILD_S} s")
    if done.returncode != 0:
        pytest.fail(f"{wanted.tag} cannot be built:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    prune = [
        "docker",
        "image",
        "prune",
        "--all",
        "--force",
        f"--filter=label={LABEL}",
        f"--filter=until={KEPT}",
    ]
    subprocess.run(prune, capture_output=True, check=False, timeout=120)
