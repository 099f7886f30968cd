"""What one more signed-in person with a notebook open and no kernel costs in memory of all server processes."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx

from bench.editor_client import open_like_a_browser
from bench.loading import cpu_by_part, memory_mb
from bench.measuring import pss_bytes, write_result
from bench.options import Options
from bench.report import print_table, spread_of
from bench.servers import Hub, hub, jupyterhub

PEOPLE = 100
WARM_UP = 10  # who come first bring code and caches, not their own cost
NOTEBOOK = "Welcome.ipynb"  # of the example project each account begins with
SETTLE_S = 5
BAR_MB = 1.0
JUPYTERHUB_PEOPLE = 4

_MAKE_PEOPLE = """
import json
from zasper_hub.accounts.services import create_person
from zasper_hub.accounts.services.tokens import make_token
made = []
for number in range({count}):
    person = create_person(username=f"idle{{number}}", password="correct horse battery staple")
    made.append(make_token(person, name="bench", days=1, scopes=None).text)
print(json.dumps(made))
"""


def make_people(server: Hub, count: int) -> list[str]:
    """A token of each new account."""
    printed = server.live.command("shell", "--no-imports", "-c", _MAKE_PEOPLE.format(count=count))
    tokens: list[str] = json.loads(printed.splitlines()[-1])
    return tokens


def open_notebook(server: Hub, token: str) -> tuple[dict[str, str], str, dict[str, Any]]:
    """Headers, project id and document of a person's example notebook."""
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(base_url=f"{server.live.url}/api/hub/v1/", headers=headers, timeout=30) as client:
        project = client.get("projects").raise_for_status().json()[0]
        document = client.post(f"projects/{project['id']}/documents", json={"path": NOTEBOOK})
        return headers, project["id"], document.raise_for_status().json()


async def measure_hub(server: Hub) -> dict[str, Any]:
    tokens = await asyncio.to_thread(make_people, server, WARM_UP + PEOPLE)
    opened = [await asyncio.to_thread(open_notebook, server, token) for token in tokens]
    sockets = []
    for one in opened[:WARM_UP]:
        sockets += await open_like_a_browser(server.live.url, *one)
    await asyncio.sleep(SETTLE_S)
    parts = server.parts()
    before = {name: sum(map(pss_bytes, pids)) for name, pids in parts.items()}
    for one in opened[WARM_UP:]:
        sockets += await open_like_a_browser(server.live.url, *one)
    await asyncio.sleep(SETTLE_S)
    after = {name: sum(map(pss_bytes, pids)) for name, pids in parts.items()}
    cpu_before, begun = cpu_by_part(parts), time.monotonic()
    await asyncio.sleep(SETTLE_S)
    cpu = cpu_by_part(parts)
    took_s = time.monotonic() - begun
    for socket in sockets:
        await socket.close()
    return {
        "kb_a_person": {name: round((after[name] - before[name]) / PEOPLE / 1e3, 1) for name in parts},
        "mb_a_person": round(sum(after[name] - before[name] for name in parts) / PEOPLE / 1e6, 3),
        "cpu_percent_of_a_core": {
            name: round((cpu[name] - cpu_before[name]) / took_s * 100, 2) for name in parts
        },
        "sockets": len(sockets),
    }


def measure_jupyterhub() -> dict[str, Any]:
    with jupyterhub(JUPYTERHUB_PEOPLE, starts_servers=False) as server:
        before = memory_mb(server.parts())
        server.start_servers()
        time.sleep(SETTLE_S)
        after = memory_mb(server.parts())
        return {
            "people": JUPYTERHUB_PEOPLE,
            "mb_a_person": round((after - before) / JUPYTERHUB_PEOPLE, 1),
            "mb_without_people": before,
            "server_start_s": server.server_start_s,
        }


def main(options: Options) -> None:
    repeats = []
    for _ in range(options.repeats):
        with hub() as server:
            repeats.append(asyncio.run(measure_hub(server)))
    peer = measure_jupyterhub()
    ours = spread_of([one["mb_a_person"] for one in repeats])
    print_table(
        ["server", "MB a person"],
        [["Zasper Hub", ours], ["JupyterHub", peer["mb_a_person"]]],
    )
    print(f"  by part, kB: {repeats[0]['kb_a_person']} (bar {BAR_MB} MB)")
    figures = {
        "people": PEOPLE,
        "mb_a_person": {"median": ours.median, "low": ours.low, "high": ours.high},
        "bar_mb": BAR_MB,
        "repeats": repeats,
        "jupyterhub": peer,
    }
    print(f"written to {write_result('idle_people', figures, options).name}")
