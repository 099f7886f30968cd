"""A Jupyter client saves a notebook that others have open in the hub's own page."""

from __future__ import annotations

from typing import Any

import pytest
from channels.db import database_sync_to_async

from kernels_app.bus.identifiers import StreamId, run_log
from kernels_app.bus.operations import decode_batch
from kernels_app.recorder.rows import apply_operations
from tests.kernels_app.consumers.runs_page import Page, Scene, run_first
from tests.kernels_app.scripted_node import started, stream
from tests.notebooks_app.jupyter.server import Server
from tests.notebooks_app.sync.client import connect_synced

pytestmark = pytest.mark.django_db(transaction=True)

SAVED = [{"output_type": "stream", "name": "stdout", "text": "from the client\n"}]


async def save(scene: Scene, cell_id: str, **fields: Any) -> None:
    """By a client that read the notebook and changed one cell."""

    def put() -> None:
        server = Server(scene.cast, scene.cast.bob)
        content = server.notebook(scene.document.path)
        next(cell for cell in content["cells"] if cell["id"] == cell_id).update(fields)
        assert server.save(scene.document.path, content).status_code == 200

    await database_sync_to_async(put)()


async def test_its_cells_and_outputs_are_in_the_open_pages_at_once(scene: Scene, alice: Page) -> None:
    await alice.send(type="resume", seq=0)
    assert (await alice.receive())["cells"] == {}
    editor = await connect_synced(scene.document, scene.cast.alice)
    await save(scene, "c2", source="print(2)", outputs=SAVED, execution_count=7)
    await editor.until(lambda: editor.sources()["c2"] == "print(2)")
    snapshot = await alice.wait_for("snapshot")
    shown = snapshot["cells"]["c2"]
    assert (shown["outputs"][0]["text"], shown["execution_count"]) == ("from the client\n", 7)
    await editor.leave()


async def test_a_cell_that_runs_goes_on_in_the_page(scene: Scene, alice: Page) -> None:
    await alice.send(type="resume", seq=0)
    await alice.receive()
    _, execute = await run_first(scene, alice)
    [cell] = execute.cells
    scene.node.write(scene.key, started(cell.cell_id, cell.run_id))
    await alice.operations_until("started")
    entries = scene.store.read_log(run_log(scene.key), StreamId("0-0"), None)
    operations = [operation for entry in entries for operation in decode_batch(entry.payload).ops]
    await database_sync_to_async(apply_operations)(scene.document.pk, operations, up_to=operations[-1].seq)
    await save(scene, "c2", outputs=SAVED)
    snapshot = await alice.wait_for("snapshot")
    assert snapshot["cells"]["c1"]["state"] == "running"
    assert snapshot["cells"]["c2"]["outputs"] == SAVED
    scene.node.write(scene.key, stream(cell.cell_id, cell.run_id, 0, "live\n"))
    assert (await alice.operations_until("stream"))[-1]["text"] == "live\n"


async def test_a_page_that_was_away_gets_them_when_it_comes_back(scene: Scene) -> None:
    page = Page(scene.cast.alice, scene.document.pk)
    assert await page.open()
    await page.send(type="resume", seq=0)
    _, execute = await run_first(scene, page)
    scene.node.finish_all(scene.key, execute, "hub\n")
    seq = (await page.operations_until("finished"))[-1]["seq"]
    await page.close()
    await save(scene, "c2", outputs=SAVED)
    again = Page(scene.cast.alice, scene.document.pk)
    assert await again.open()
    await again.send(type="resume", seq=seq)
    assert (await again.receive())["cells"]["c2"]["outputs"] == SAVED
    await again.close()
