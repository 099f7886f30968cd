"""Records the conversation from a running Jupyter Server: `python -m tests.jupyter_clients.record BASE_URL TOKEN`.

The server is started in an empty folder, with a base URL of the form `/jupyter/<x>/<y>/`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx

from tests.jupyter_clients.conversation import STEPS, answer_of

TARGET = Path(__file__).resolve().parent.parent / "vectors" / "jupyter_server.json"


def main(base_url: str, token: str) -> None:
    answers = []
    with httpx.Client(base_url=base_url, headers={"Authorization": f"token {token}"}) as client:
        version = client.get("api").json()["version"]
        for step in STEPS:
            content = (
                step.body
                if isinstance(step.body, str)
                else None
                if step.body is None
                else json.dumps(step.body)
            )
            response = client.request(step.method, step.path, content=content, headers=step.headers)
            answers.append(
                {
                    "step": f"{step.method} {step.path}",
                    **answer_of(response.status_code, dict(response.headers), response.content),
                }
            )
    recorded = {"recorded_from": f"jupyter_server {version}", "answers": answers}
    TARGET.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{len(answers)} answers of jupyter_server {version}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
