"""A snapshot as frames of the runs socket, none of them huge. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kernels_app.bus.identifiers import CellId

FRAME_BYTES = 512 << 10

_encode = msgspec.json.Encoder().encode


def snapshot_frames(
    seq: int, kernel: Mapping[str, Any] | None, cells: Mapping[CellId, Mapping[str, Any]]
) -> list[bytes]:
    """The `snapshot` and, when the outputs are large, the `snapshot_part`s that belong to it."""
    shown: dict[str, msgspec.Raw] = {}
    size = 0
    parts: list[dict[str, list[msgspec.Raw]]] = []
    part_size = FRAME_BYTES
    for cell_id, state in cells.items():
        encoded = _encode(state)
        if size + len(encoded) <= FRAME_BYTES:
            shown[cell_id] = msgspec.Raw(encoded)
            size += len(encoded)
            continue
        shown[cell_id] = msgspec.Raw(_encode({**state, "outputs": []}))
        for output in state["outputs"]:
            raw = _encode(output)
            if part_size + len(raw) > FRAME_BYTES:
                parts.append({})
                part_size = 0
            parts[-1].setdefault(cell_id, []).append(msgspec.Raw(raw))
            part_size += len(raw)
    head = {"type": "snapshot", "seq": seq, "kernel": kernel, "cells": shown, "parts": len(parts)}
    return [_encode(head), *(_encode({"type": "snapshot_part", "outputs": part}) for part in parts)]
