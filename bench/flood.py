"""A cell that prints 1,000 lines as 1,000 messages: seen in our editor, and in a client of jupyter_server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from bench.channel_frames import WireFormat
from bench.editor_client import RunsClient, notebook_of, open_document
from bench.load_client import LoadPlan
from bench.loading import cpu_by_part, run_load
from bench.measuring import write_result
from bench.options import Options
from bench.report import print_table, spread_of
from bench.servers import KERNELSPEC, Hub, JupyterServer, hub, jupyter_server

MESSAGES = 1000
CELLS_PER_S = 2
BAR = 0.2
OURS, PEER = "Zasper Hub, our editor", "jupyter_server v1"
EXPECTED_TEXT = "".join(f"{number}\n" for number in range(MESSAGES))
Spent = dict[str, float]  # CPU seconds by part


async def _in_our_editor(url: str, headers: dict[str, str], document_id: str, cells: int) -> None:
    client = await RunsClient.open(url, document_id, headers)
    for _ in range(cells):
        paced = asyncio.create_task(asyncio.sleep(1 / CELLS_PER_S))
        cell = await client.run("flood", str(MESSAGES), KERNELSPEC)
        text = "".join(output.get("text", "") for output in cell["outputs"])
        if cell["state"] != "ok" or text != EXPECTED_TEXT:
            raise RuntimeError(f"The cell ended as {cell['state']} with {len(text)} characters.")
        await paced
    await client.close()


class OurEditor:
    """Runs cells as the browser does, and checks that the text is whole."""

    def __init__(self, server: Hub) -> None:
        self._server = server
        with server.live.client() as client:
            self._headers = {"Authorization": client.headers["Authorization"]}
            project = client.post("projects", json={"name": "flood"}).raise_for_status().json()
            content = notebook_of({"flood": str(MESSAGES)}, KERNELSPEC)
            self._document = open_document(client, project["id"], "flood.ipynb", content)
        asyncio.run(self._run(1))

    async def _run(self, cells: int) -> None:
        await _in_our_editor(self._server.live.url, self._headers, self._document["id"], cells)

    def spend(self, cells: int) -> Spent:
        parts = self._server.parts()
        before = cpu_by_part(parts)
        asyncio.run(self._run(cells))
        after = cpu_by_part(parts)
        return {name: after[name] - before[name] for name in parts}


class StockClient:
    """A client of kernel channels."""

    def __init__(self, server: JupyterServer, wire_format: WireFormat) -> None:
        self._server = server
        self._plan = LoadPlan(
            kernels=server.start_kernels(1), wire_format=wire_format, rate_per_s=CELLS_PER_S, streams=MESSAGES
        )
        self.spend(1)

    def spend(self, cells: int) -> Spent:
        plan = msgspec.structs.replace(self._plan, duration_s=cells / CELLS_PER_S)
        load = run_load(plan, self._server.parts)
        if not load.is_lossless:
            raise RuntimeError(f"{load.report.messages_lost} messages were lost.")
        return {part: us * load.report.completed / 1e6 for part, us in load.cpu_us_by_part.items()}


def measure(options: Options) -> dict[str, Any]:
    cells = max(1, round(options.seconds * CELLS_PER_S))
    with contextlib.ExitStack() as stack:
        our_server = stack.enter_context(hub())
        peer = stack.enter_context(jupyter_server())
        subjects: dict[str, OurEditor | StockClient] = {
            OURS: OurEditor(our_server),
            PEER: StockClient(peer, "v1"),
            "jupyter_server json": StockClient(peer, "json"),
        }
        spent: dict[str, list[Spent]] = {name: [] for name in subjects}
        for _ in range(options.repeats):
            for name, subject in subjects.items():
                spent[name].append(subject.spend(cells))
    ms = {
        name: spread_of([sum(one.values()) * 1000 / cells for one in repeats])
        for name, repeats in spent.items()
    }
    by_part = {
        name: {part: spread_of([one[part] * 1000 / cells for one in repeats]) for part in repeats[0]}
        for name, repeats in spent.items()
    }
    return {
        "messages": MESSAGES,
        "cells_a_repeat": cells,
        "cpu_ms_a_cell": ms,
        "cpu_ms_a_cell_by_part": by_part,
        "ratio": round(ms[OURS].median / ms[PEER].median, 3),
        "bar": BAR,
    }


def main(options: Options) -> None:
    figures = measure(options)
    print_table(["server", "CPU ms a cell of 1,000 messages"], list(figures["cpu_ms_a_cell"].items()))
    print("  by part:", {part: str(value) for part, value in figures["cpu_ms_a_cell_by_part"][OURS].items()})
    print(f"against {PEER}: {figures['ratio']} (bar {BAR})")
    print(f"written to {write_result('flood', msgspec.to_builtins(figures), options).name}")
