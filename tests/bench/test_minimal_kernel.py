"""The kernel of the measurements, spoken to by jupyter_client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_client.launcher import launch_kernel

PROGRAM = Path(__file__).resolve().parents[2] / "bench" / "minimal_kernel.py"


@pytest.fixture(params=["tcp", "ipc"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlockingKernelClient]:
    ip = "127.0.0.1" if request.param == "tcp" else str(tmp_path / "k")
    file, _ = write_connection_file(str(tmp_path / "kernel.json"), ip=ip, transport=request.param)
    process = launch_kernel([sys.executable, str(PROGRAM), file])
    client = BlockingKernelClient(connection_file=file)
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=20)
    yield client
    client.shutdown()
    assert process.wait(timeout=10) == 0
    client.stop_channels()


def test_each_execution_is_told_in_order(client: BlockingKernelClient) -> None:
    texts: list[str] = []
    kinds: list[str] = []

    def hook(message: dict[str, dict[str, str]]) -> None:
        kinds.append(message["header"]["msg_type"])
        texts.append(message["content"].get("text", ""))

    reply = client.execute_interactive("3", output_hook=hook, timeout=10)
    assert reply["content"]["status"] == "ok"
    assert "".join(texts) == "0\n1\n2\n"
    assert kinds == ["status", "execute_input", "stream", "stream", "stream", "status"]


def test_the_code_says_how_large_a_text_is(client: BlockingKernelClient) -> None:
    texts: list[str] = []
    client.execute_interactive(
        "2 1000", output_hook=lambda message: texts.append(message["content"].get("text", "")), timeout=10
    )
    assert [len(text) for text in texts if text] == [1000, 1000]
