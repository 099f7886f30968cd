"""Runs from the service to the file: a real node with a real kernel, a real Valkey, the recorder."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError

from kernels_app.models import Kernel, Run
from kernels_app.recorder.program import Recorder
from kernels_app.services.kernels import interrupt_kernel, stop_kernel, switch_kernelspec
from kernels_app.services.runs import answer_input, clear_outputs, run_saved_cells
from notebooks_app import wire
from notebooks_app.models import CellOutput, Document
from notebooks_app.storage.project_files import content_store
from tests.cast import Cast, make_cast
from tests.kernels_app.bus.valkey_server import ValkeyServer
from tests.kernels_app.documents import make_document
from tests.kernels_app.node.running_node import running_node

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

DEADLINE_S = 60.0
T = TypeVar("T")


@pytest.fixture
async def hub(
    tmp_path: Path, transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Cast, ValkeyServer]]:
    """Valkey, a node and a recorder; the cast."""
    valkey = ValkeyServer()
    valkey.start()
    settings.BUS_URL = valkey.url
    monkeypatch.setattr(wire, "_blocking", None)
    cast = await database_sync_to_async(make_cast)()
    (tmp_path / "node" / "projects" / str(cast.project.pk)).mkdir(parents=True)
    try:
        async with running_node(tmp_path / "node", valkey.url):
            recorder = asyncio.create_task(Recorder(await wire.hub_transport()).run())
            try:
                yield cast, valkey
            finally:
                recorder.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await recorder
    finally:
        await wire.close_hub_transport()
        valkey.close()


async def in_thread(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    result: T = await database_sync_to_async(work)(*args, **kwargs)
    return result


async def until(look: Callable[[], T]) -> T:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(OperationalError):
                if seen := await in_thread(look):
                    return seen
            await asyncio.sleep(0.05)


def states() -> list[str]:
    return list(Run.objects.order_by("queued_at", "position").values_list("state", flat=True))


def outputs(document: Document, cell_id: str) -> list[dict[str, Any]]:
    row = CellOutput.objects.filter(document=document, cell_id=cell_id).first()
    return [] if row is None else row.outputs


async def test_run_all_without_a_browser_ends_in_rows_and_file(hub: tuple[Cast, ValkeyServer]) -> None:
    cast, _ = hub
    document = await in_thread(
        make_document, cast, "for i in range(3): print(i)", "1 / 0", "'never'", path="notebook.ipynb"
    )
    await in_thread(run_saved_cells, user=cast.alice, document=document, cell_ids=None)
    assert await until(
        lambda: (found := states()) and all(s in ("ok", "error", "aborted") for s in found) and found
    )
    assert await in_thread(states) == ["ok", "error", "aborted"]
    assert await in_thread(outputs, document, "c1") == [
        {"output_type": "stream", "name": "stdout", "text": "0\n1\n2\n"}
    ]
    assert (await in_thread(outputs, document, "c2"))[0]["ename"] == "ZeroDivisionError"
    await until(lambda: not Document.objects.exclude(dirty_since=None).exists())

    def cells_in_file() -> dict[str, Any]:
        _, data = content_store(cast.project).read("notebook.ipynb", max_bytes=1 << 20)
        return {cell["id"]: cell for cell in json.loads(data)["cells"]}

    cells = await in_thread(cells_in_file)
    assert cells["c1"]["outputs"][0]["text"] == ["0\n", "1\n", "2\n"]
    assert cells["c1"]["execution_count"] == 1
    kernel = await Kernel.objects.aget()
    assert kernel.state == "idle"
    assert kernel.ready_at is not None
    await in_thread(stop_kernel, kernel)
    await until(lambda: Kernel.objects.get().state == "stopped")


async def test_a_restart_of_the_message_server_loses_no_line(hub: tuple[Cast, ValkeyServer]) -> None:
    cast, valkey = hub
    source = "import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.1)"
    document = await in_thread(make_document, cast, source, path="notebook.ipynb")
    await in_thread(run_saved_cells, user=cast.alice, document=document, cell_ids=None)
    await until(lambda: outputs(document, "c1"))
    await asyncio.to_thread(valkey.kill)
    await asyncio.to_thread(valkey.start)
    await until(lambda: states() == ["ok"])
    assert await in_thread(outputs, document, "c1") == [
        {"output_type": "stream", "name": "stdout", "text": "".join(f"{i}\n" for i in range(40))}
    ]


async def test_input_interrupt_clear_and_another_language(hub: tuple[Cast, ValkeyServer]) -> None:
    cast, _ = hub
    document = await in_thread(
        make_document, cast, "name = input('Name? ')\nprint(name)", "while True: pass", path="notebook.ipynb"
    )
    await in_thread(run_saved_cells, user=cast.alice, document=document, cell_ids=None)
    row = await until(
        lambda: CellOutput.objects.filter(document=document, cell_id="c1").exclude(input=None).first()
    )
    assert row is not None
    assert row.input is not None
    assert row.input["prompt"] == "Name? "
    await in_thread(answer_input, document, input_id=row.input["input_id"], value="Ada")
    await until(lambda: states() == ["ok", "running"])
    await in_thread(interrupt_kernel, document)
    await until(lambda: states()[1] not in ("running", "queued"))
    assert "Ada" in str(await in_thread(outputs, document, "c1"))
    await in_thread(clear_outputs, document, ["c1"])
    await until(lambda: outputs(document, "c1") == [])
    await in_thread(switch_kernelspec, user=cast.alice, document=document, kernelspec_name="deno")
    await until(lambda: Kernel.objects.filter(kernelspec_name="deno", state="idle").exists())
    assert await Kernel.objects.filter(kernelspec_name="python3", state="stopped").acount() == 1


async def test_a_kernel_that_dies_ends_its_runs_with_a_reason(hub: tuple[Cast, ValkeyServer]) -> None:
    cast, _ = hub
    document = await in_thread(
        make_document, cast, "import os\nos._exit(3)", "'never'", path="notebook.ipynb"
    )
    await in_thread(run_saved_cells, user=cast.alice, document=document, cell_ids=None)
    await until(lambda: Kernel.objects.filter(state="died").exists())
    await until(lambda: states() and not set(states()) & {"queued", "running"})
    assert (await in_thread(states))[0] == "died"
    assert (await Kernel.objects.aget()).reason
