from __future__ import annotations

from typing import Any

import msgspec

from kernels_app.bus.identifiers import CellId
from kernels_app.relay.snapshot_frames import FRAME_BYTES, snapshot_frames
from kernels_app.runs.apply import new_cell_state


def cell(*texts: str) -> dict[str, Any]:
    outputs = [{"output_type": "stream", "name": "stdout", "text": text} for text in texts]
    return {**new_cell_state(), "state": "ok", "outputs": outputs}


def put_together(frames: list[bytes]) -> dict[str, Any]:
    """As a browser does it."""
    head, *parts = [msgspec.json.decode(frame) for frame in frames]
    assert head["parts"] == len(parts)
    for part in parts:
        assert part["type"] == "snapshot_part"
        for cell_id, outputs in part["outputs"].items():
            head["cells"][cell_id]["outputs"] += outputs
    cells: dict[str, Any] = head["cells"]
    return cells


def test_a_small_snapshot_is_one_frame() -> None:
    cells = {CellId("c1"): cell("a", "b")}
    [frame] = snapshot_frames(5, {"state": "idle"}, cells)
    assert msgspec.json.decode(frame) == {
        "type": "snapshot", "seq": 5, "kernel": {"state": "idle"}, "cells": cells, "parts": 0,
    }  # fmt: skip


def test_a_large_snapshot_comes_in_parts_that_are_not_huge() -> None:
    cells = {
        CellId(f"c{number}"): cell(*(f"{number}-{index} " + "x" * 30_000 for index in range(40)))
        for number in range(5)
    }
    frames = snapshot_frames(5, None, cells)
    assert len(frames) > 5
    assert max(map(len, frames)) < FRAME_BYTES + 40_000
    assert put_together(frames) == cells


def test_an_output_larger_than_a_frame_still_comes_whole() -> None:
    cells = {CellId("c1"): cell("x" * (FRAME_BYTES * 2), "after"), CellId("c2"): cell("small")}
    assert put_together(snapshot_frames(5, None, cells)) == cells
