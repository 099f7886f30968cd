"""Applying operations to cell states, by the vectors that the browser's twin is tested with too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernels_app.bus.identifiers import CellId
from kernels_app.bus.operations import decode_batch
from kernels_app.runs.apply import CellState, apply, new_cell_state

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "operations.json").read_text())["vectors"]


def whole(cells: dict[str, Any]) -> dict[CellId, CellState]:
    return {CellId(cell_id): {**new_cell_state(), **cell} for cell_id, cell in cells.items()}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_operations_do_what_the_vectors_say(vector: dict[str, Any]) -> None:
    cells = whole(vector.get("before", {}))
    for operation in decode_batch(json.dumps({"type": "ops", "ops": vector["ops"]}).encode()).ops:
        apply(cells, operation)
    assert cells == whole(vector["after"])


def test_states_stay_plain_json() -> None:
    for vector in VECTORS:
        cells = whole(vector.get("before", {}))
        for operation in decode_batch(json.dumps({"type": "ops", "ops": vector["ops"]}).encode()).ops:
            apply(cells, operation)
        assert json.loads(json.dumps(cells)) == cells
