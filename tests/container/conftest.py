"""One hub of docker-compose.yml for all tests of it: its start costs half a minute."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.compose_hub import ComposeHub
from tests.container.engine import skip_without_engine


@pytest.fixture(scope="package")
def hub() -> Iterator[ComposeHub]:
    skip_without_engine()
    made = ComposeHub()
    try:
        made.up()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="package")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, with its key beside it, in a folder as `HUB_TLS` wants it."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hub.example",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    folder.chmod(0o755)
    (folder / "key.pem").chmod(0o644)  # for user 10002
    return folder / "cert.pem"
