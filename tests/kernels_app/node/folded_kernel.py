"""A kernel that talks, for tests of folding."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from kernels_app.bus.identifiers import CellId, RunId
from kernels_app.bus.operations import (
    AnyOperation,
    decode_batch,
    encode_batch,
)
from kernels_app.node.folding import Folding, FoldingLimits
from kernels_app.runs.apply import CellState, apply

A = CellId("a")


B = CellId("b")


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300).decode() + "\n"


SMALL = FoldingLimits(
    stream_head_units=6_000,
    stream_tail_units=5_000,
    chunk_bytes=1_000,
    whole_text_bytes=40_000,
    max_outputs=5,
)


class Kernel:
    """A kernel that talks, and what a browser then shows. Every operation travels as JSON."""

    def __init__(self, limits: FoldingLimits | None = None) -> None:
        numbers = itertools.count(1)
        self.folding = Folding(lambda: next(numbers), limits)
        self.now_ms = 0
        self.operations: list[AnyOperation] = []
        self.blobs: dict[str, bytes] = {}
        self.cells: dict[CellId, CellState] = {}
        self.run = RunId("")

    def start(self, cell_id: CellId = A, run_id: str = "") -> RunId:
        self.run = RunId(run_id or f"run of {cell_id}")
        self.folding.start_run(cell_id, self.run, self.now_ms)
        return self.run

    def say(self, msg_type: str, run_id: RunId | None = None, **content: Any) -> None:
        self.folding.message(run_id or self.run, msg_type, content, {}, self.now_ms)

    def print(self, text: str, name: str = "stdout", run_id: RunId | None = None) -> None:
        self.say("stream", run_id, name=name, text=text)

    def display(self, data: Any, display_id: str | None = None, **more: Any) -> None:
        transient = {"display_id": display_id} if display_id else {}
        self.say("display_data", data=data, metadata={}, transient=transient, **more)

    def wait(self, ms: int = 10_000) -> list[AnyOperation]:
        self.now_ms += ms
        return self._take()

    def finish(self, run_id: RunId | None = None, **more: Any) -> list[dict[str, Any]]:
        """The outputs of cell `a` once the run has ended."""
        self.folding.finish_run(run_id or self.run, "ok", self.now_ms, **more)
        self._take()
        return self.outputs()

    def outputs(self, cell_id: CellId = A) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = self.cells[cell_id]["outputs"]
        return outputs

    def kinds(self) -> list[str]:
        return [type(operation).__name__ for operation in self.operations]

    def _take(self, force: bool = False) -> list[AnyOperation]:
        operations, blobs = self.folding.take(self.now_ms, force)
        self.blobs.update(blobs)
        batch = decode_batch(encode_batch(operations)).ops
        for operation in batch:
            apply(self.cells, operation)
        self.operations += batch
        return batch

    def take_all(self) -> None:
        self._take(force=True)

    def whole_text(self, output: dict[str, Any]) -> str:
        return b"".join(self.blobs[chunk["sha256"]] for chunk in output.get("chunks", [])).decode()


@pytest.fixture
def kernel() -> Kernel:
    kernel = Kernel()
    kernel.start()
    return kernel
