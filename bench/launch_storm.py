"""Many kernels asked for at once: how long until each has printed its first line, and what the server spends on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from bench.channel_frames import execute_request, received
from bench.editor_client import RunsClient, notebook_of, open_document, open_socket
from bench.load_client import KernelAddress
from bench.loading import cpu_by_part
from bench.measuring import quantile, write_result
from bench.options import Options
from bench.report import print_table, spread_of
from bench.servers import IPYTHON, KERNELSPEC, Hub, JupyterServer, hub, jupyter_server

STORM = 32
# What prints one line: in the minimal kernel's language, and in Python.
SOURCES = {KERNELSPEC: "1", IPYTHON: "print(0)"}
DEADLINE_S = 90


class Storm(msgspec.Struct, frozen=True):
    """Seconds to the first line of each kernel, and CPU seconds of the server."""

    first_output_s: list[float]
    server_cpu_s: float


async def hub_storm(server: Hub, kernelspec: str, count: int) -> Storm:
    """As our editor does it: `run` on the runs socket of a notebook without a kernel."""
    source = SOURCES[kernelspec]
    with server.live.client() as client:
        headers = {"Authorization": client.headers["Authorization"]}
        project = client.post("projects", json={"name": f"storm {time.time_ns()}"}).raise_for_status().json()
        content = notebook_of({"first": source}, kernelspec)
        documents = [
            open_document(client, project["id"], f"{number}.ipynb", content) for number in range(count)
        ]
        runs = [await RunsClient.open(server.live.url, document["id"], headers) for document in documents]
        before = cpu_by_part(server.parts())
        begun = time.perf_counter()

        async def first_line(one: RunsClient) -> float:
            cell = await one.run("first", source, kernelspec, timeout_s=DEADLINE_S)
            if cell["state"] != "ok":
                raise RuntimeError(f"A first cell ended as {cell['state']}.")
            return one.first_output_at["first"] - begun

        seconds = await asyncio.gather(*map(first_line, runs))
        after = cpu_by_part(server.parts())
        for one in runs:
            await one.close()
        for kernel in client.get("kernels").raise_for_status().json():
            client.delete(f"kernels/{kernel['id']}").raise_for_status()
    return Storm(list(seconds), sum(after.values()) - sum(before.values()))


async def jupyter_storm(server: JupyterServer, kernelspec: str, count: int) -> Storm:
    """As JupyterLab does it: start the kernel, open its channels, execute."""
    async with httpx.AsyncClient(
        base_url=server.base_url, headers=server.headers, timeout=DEADLINE_S
    ) as client:
        before = cpu_by_part(server.parts())
        begun = time.perf_counter()
        ids: list[str] = []

        async def first_line(number: int) -> float:
            started = await client.post("api/kernels", json={"name": kernelspec})
            id_ = started.raise_for_status().json()["id"]
            ids.append(id_)
            url = f"{server.base_url.rstrip('/')}"
            address = KernelAddress(f"/api/kernels/{id_}/channels?session_id=storm{number}", server.headers)
            socket = await open_socket(url, address.url, dict(address.headers))
            await socket.send(
                execute_request(f"storm{number}_1", f"storm{number}", SOURCES[kernelspec], "json")
            )
            while True:
                message = received(await socket.recv())
                if message.kind == "stream" and message.parent_id == f"storm{number}_1":
                    break
            took = time.perf_counter() - begun
            await socket.close()
            return took

        async with asyncio.timeout(DEADLINE_S):
            seconds = await asyncio.gather(*map(first_line, range(count)))
        after = cpu_by_part(server.parts())
        for id_ in ids:
            (await client.delete(f"api/kernels/{id_}")).raise_for_status()
    return Storm(list(seconds), sum(after.values()) - sum(before.values()))


def measure(options: Options) -> list[dict[str, Any]]:
    figures = []
    with contextlib.ExitStack() as stack:
        ours, peer = stack.enter_context(hub()), stack.enter_context(jupyter_server())
        subjects: dict[str, Callable[[str, int], Storm]] = {
            "Zasper Hub": lambda kernelspec, count: asyncio.run(hub_storm(ours, kernelspec, count)),
            "jupyter_server": lambda kernelspec, count: asyncio.run(jupyter_storm(peer, kernelspec, count)),
        }
        for storm in subjects.values():
            storm(KERNELSPEC, 1)  # the first of a server brings its code
        for kernelspec, count in ((KERNELSPEC, STORM), (KERNELSPEC, 1), (IPYTHON, 1)):
            storms: dict[str, list[Storm]] = {name: [] for name in subjects}
            for _ in range(options.repeats):
                for name, subject in subjects.items():
                    storms[name].append(subject(kernelspec, count))
            for name, repeats in storms.items():
                figures.append(
                    {
                        "server": name,
                        "kernelspec": kernelspec,
                        "kernels": count,
                        "p50_s": spread_of([quantile(one.first_output_s, 0.5) for one in repeats]),
                        "last_s": spread_of([max(one.first_output_s) for one in repeats]),
                        "cpu_ms_a_kernel": spread_of([one.server_cpu_s * 1000 / count for one in repeats]),
                    }
                )
    return figures


def main(options: Options) -> None:
    figures = measure(options)
    print_table(
        ["server", "kernels at once", "first line p50 s", "last s", "server's CPU ms a kernel"],
        [
            [row["server"], f"{row['kernels']} {row['kernelspec']}", row["p50_s"], row["last_s"],
             row["cpu_ms_a_kernel"]]
            for row in figures
        ],
    )  # fmt: skip
    rows = [msgspec.to_builtins(row) for row in figures]
    print(f"written to {write_result('launch_storm', {'rows': rows}, options).name}")
