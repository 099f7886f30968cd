"""Our server answers as a real Jupyter Server did: status, headers, bodies."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cast import Cast
from tests.jupyter_clients.conversation import STEPS, answer_of
from tests.notebooks_app.jupyter.server import Server, body

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "jupyter_server.json"


def test_every_answer_is_the_recorded_one(cast: Cast) -> None:
    recorded = json.loads(VECTORS.read_text(encoding="utf-8"))["answers"]
    assert [one["step"] for one in recorded] == [f"{step.method} {step.path}" for step in STEPS], (
        "record again"
    )
    server = Server(cast, cast.alice)
    different = []
    for step, expected in zip(STEPS, recorded, strict=True):
        response = server.call(step.method, step.path, step.body, **step.headers)
        found = {
            "step": expected["step"],
            **answer_of(response.status_code, dict(response.headers), body(response)),
        }
        if found != expected:
            different.append(f"\nrecorded {json.dumps(expected)}\nours     {json.dumps(found)}")
    assert not different, "\n".join(different)
