"""Real kernels, started as a node starts them, whose outputs are folded."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from kernels_app.bus.identifiers import CellId
from kernels_app.node.environment import IPYTHON_CONFIG
from tests.kernels_app.node.folded_kernel import Kernel

ROOT = Path(__file__).parents[3]
KERNEL_ENVIRONMENT = ROOT / ".kernel-venv"
DEADLINE_S = 60
CELL = CellId("a")


class LiveKernel:
    """Runs code in a real kernel and folds all it says until it is idle."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.fold = Kernel()

    def run(self, source: str, cell_id: CellId = CELL, ends_with: str = "") -> list[dict[str, Any]]:
        """The cell's outputs. `ends_with`: what the text must come to, also after the kernel said it was idle
        (Deno's console is a pipe of its own)."""
        run_id = self.fold.start(cell_id, f"{cell_id} {time.monotonic_ns()}")
        message_id = self.client.execute(source, allow_stdin=False)
        deadline = time.monotonic() + DEADLINE_S
        is_idle = False
        while not is_idle or not self._ends_with(cell_id, ends_with):
            message = self.client.get_iopub_msg(timeout=max(0, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                is_idle = True
                self.fold.finish(run_id)
                continue
            self.fold.folding.message(
                run_id, message["msg_type"], message["content"], message["metadata"], self.fold.now_ms
            )
            if is_idle:
                self.fold.take_all()
        return self.fold.outputs(cell_id)

    def _ends_with(self, cell_id: CellId, text: str) -> bool:
        outputs = self.fold.outputs(cell_id)
        return not text or bool(outputs and outputs[-1].get("text", "").endswith(text))


def live(name: str, ipython_folder: Path) -> Generator[LiveKernel]:
    """As a node starts and reads it: neither end drops a message when the other is slow."""
    profile = ipython_folder / "profile_default"
    profile.mkdir()
    (profile / "ipython_config.py").write_text(IPYTHON_CONFIG)
    specs = KernelSpecManager(
        kernel_dirs=[str(KERNEL_ENVIRONMENT / "share" / "jupyter" / "kernels")], ensure_native_kernel=False
    )
    manager = KernelManager(kernel_name=name, kernel_spec_manager=specs)
    spec = manager.kernel_spec
    assert spec is not None, f"the kernel environment has no {name} kernel: make setup"
    if name == "python3":
        spec.argv[0] = str(KERNEL_ENVIRONMENT / "bin" / "python")
    manager.start_kernel(env={**os.environ, "IPYTHONDIR": str(ipython_folder)})
    context = zmq.Context()
    context.setsockopt(zmq.RCVHWM, 0)
    client = manager.client(context=context)
    client.start_channels()
    try:
        client.wait_for_ready(timeout=DEADLINE_S)
        yield LiveKernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        context.destroy(linger=0)
