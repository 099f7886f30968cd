"""A program reads and saves a notebook that people have open: nobody's work is lost, whoever saves when."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kernels_app.bus.memory_store import MemoryStore
from notebooks_app.models import CellOutput, Document, ServedNotebook, Version
from notebooks_app.notebook_format import Cell
from notebooks_app.sync.shape import cells_of, new_cell, read_shape
from notebooks_app.sync.update_log import load_live
from tests.cast import Cast
from tests.notebooks_app.jupyter.server import Server
from tests.notebooks_app.services.exported_documents import edit, live_sources, put_cell, set_source
from tests.notebooks_app.sync.documents import (
    PATH,
    cell,
    file_notebook,
    file_sources,
    make_document,
    names_beside,
    notebook_json,
    open_it,
    write_file,
)

pytestmark = pytest.mark.usefixtures("hub_wire")


@pytest.fixture
def bob(cast: Cast) -> Server:
    return Server(cast, cast.bob)


def sources(content: Any) -> list[str]:
    return [one["source"] for one in content["cells"]]


def changed(content: Any, cell_id: str, **fields: Any) -> Any:
    made = copy.deepcopy(content)
    next(one for one in made["cells"] if one["id"] == cell_id).update(fields)
    return made


STREAM = [{"output_type": "stream", "name": "stdout", "text": "from bob\n"}]


def test_reading_gives_what_people_typed_a_moment_ago(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    edit(document, set_source("b", "typed"), is_compacted=False)
    model = bob.model(PATH, "?hash=1")
    assert sources(model["content"]) == ["x = 1\n", "typed"]
    assert file_sources(cast) == ["x = 1\n", "typed"]
    assert bob.model(PATH, "?hash=1&content=0")["hash"] == model["hash"]


def test_a_save_keeps_what_others_typed_since_the_client_read(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    edit(document, set_source("b", "alice was here"), is_compacted=False)
    first = changed(content, "a", source="bob was here")
    assert bob.save(PATH, first).status_code == 200
    assert live_sources(document) == ["bob was here", "alice was here"]
    # The client still shows the old cell b, and saves again and again.
    assert bob.save(PATH, changed(first, "a", source="bob again")).status_code == 200
    assert live_sources(document) == ["bob again", "alice was here"]
    assert file_sources(cast) == ["bob again", "alice was here"]
    assert names_beside(cast) == ["study.ipynb"]


def test_cells_that_others_made_or_deleted_stay_so(cast: Cast, bob: Server) -> None:
    document = make_document(cast, cell("a", "1"), cell("b", "2"), cell("c", "3"))
    content = bob.notebook(PATH)
    made = new_cell(Cell(cell_type="code", source="new", id="n"), "a9")
    edit(document, lambda replica: put_cell("n", made, replica))
    edit(document, lambda replica: cells_of(replica).pop("b"))
    content["cells"].pop(2)
    content["cells"].insert(0, cell("z", "first"))
    assert bob.save(PATH, content).status_code == 200
    assert live_sources(document) == ["first", "1", "new"]


def test_where_both_changed_one_line_the_live_one_stays_and_the_other_is_kept(
    cast: Cast, bob: Server
) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    edit(document, set_source("a", "x = 'alice'\n"))
    theirs = changed(content, "a", source="x = 'bob'\n")
    assert bob.save(PATH, theirs).status_code == 200
    assert live_sources(document) == ["x = 'alice'\n", "y = 2"]
    kept = [name for name in names_beside(cast) if "not merged" in name]
    assert len(kept) == 1
    assert file_sources(cast, f"work/{kept[0]}") == ["x = 'bob'\n", "y = 2"]
    # The same text once more is no new conflict.
    assert bob.save(PATH, theirs).status_code == 200
    assert len(names_beside(cast)) == 2


def test_a_save_by_who_never_read_replaces_all_and_keeps_a_version(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    edit(document, set_source("b", "precious"))
    saved = {"cells": [cell("a", "only this")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    assert bob.save(PATH, saved).status_code == 200
    assert live_sources(document) == ["only this"]
    assert Version.objects.filter(document=document).exists()


def test_two_clients_are_two(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    other = Server(cast, cast.bob)
    content = bob.notebook(PATH)
    newer = changed(content, "b", source="newer")
    assert other.notebook(PATH)["cells"]
    assert other.save(PATH, newer).status_code == 200
    assert bob.save(PATH, changed(content, "a", source="mine")).status_code == 200
    assert live_sources(document) == ["mine", "newer"]


def test_outputs_of_the_client_are_taken_over(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    assert bob.save(PATH, changed(content, "a", outputs=STREAM, execution_count=7)).status_code == 200
    row = CellOutput.objects.get(document=document, cell_id="a")
    assert (row.execution_count, row.outputs[0]["text"]) == (7, "from bob\n")
    assert file_notebook(cast).cells[0].outputs == STREAM


def test_outputs_of_a_run_that_the_client_has_not_seen_stay(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    CellOutput.objects.create(
        document=document,
        cell_id="a",
        run_id="r",
        outputs=[{"output_type": "stream", "name": "stdout", "text": "hub\n"}],
    )
    assert bob.save(PATH, changed(content, "b", source="z")).status_code == 200
    assert CellOutput.objects.get(document=document, cell_id="a").outputs[0]["text"] == "hub\n"


def test_a_running_cell_is_not_touched(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    CellOutput.objects.create(document=document, cell_id="a", run_id="r", state="running", outputs=[])
    assert bob.save(PATH, changed(content, "a", outputs=STREAM)).status_code == 200
    row = CellOutput.objects.get(document=document, cell_id="a")
    assert (row.state, row.outputs) == ("running", [])


def test_ids_that_a_client_made_for_an_old_notebook_make_no_second_cells(cast: Cast, bob: Server) -> None:
    document = make_document(cast, minor=4)
    content = bob.notebook(PATH)
    assert "id" not in content["cells"][0]
    upgraded = copy.deepcopy(content)
    upgraded["nbformat_minor"] = 5
    for number, one in enumerate(upgraded["cells"]):
        one["id"] = f"made-{number}"
    edit(document, set_source(read_ids(document)[1], "alice"))
    for text in ("bob 1", "bob 2"):
        upgraded["cells"][0]["source"] = text
        assert bob.save(PATH, upgraded).status_code == 200
        assert live_sources(document) == [text, "alice"]


def read_ids(document: Document) -> list[str]:
    return [one.id or "" for one in read_shape(load_live(document)).cells]


def test_a_notebook_saved_as_text_is_an_edit_too(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    text = notebook_json(cell("a", "as text"), cell("b", "y = 2")).decode()
    assert bob.put(PATH, type="file", format="text", content=text).status_code == 200
    assert live_sources(document) == ["as text", "y = 2"]
    refused = bob.put(PATH, type="file", format="text", content="{broken")
    assert refused.status_code == 400
    assert live_sources(document) == ["as text", "y = 2"]


def test_what_changed_in_the_file_outside_is_merged_first(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    write_file(cast, notebook_json(cell("a", "x = 1\n"), cell("b", "a kernel wrote this")))
    assert bob.save(PATH, changed(content, "a", source="bob")).status_code == 200
    assert live_sources(document) == ["bob", "a kernel wrote this"]


def test_a_notebook_that_is_opened_after_the_client_read_it_is_merged(cast: Cast, bob: Server) -> None:
    write_file(cast, notebook_json(cell("a", "1"), cell("b", "2")))
    content = bob.notebook(PATH)
    document = open_it(cast)
    edit(document, set_source("b", "alice"))
    assert bob.save(PATH, changed(content, "a", source="bob")).status_code == 200
    assert live_sources(document) == ["bob", "alice"]


def test_a_rename_takes_along_what_the_client_has(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    assert bob.rename(PATH, "work/other.ipynb").status_code == 200
    edit(document, set_source("b", "alice"))
    assert bob.save("work/other.ipynb", changed(content, "a", source="bob")).status_code == 200
    assert live_sources(document) == ["bob", "alice"]
    assert set(ServedNotebook.objects.values_list("path", flat=True)) == {"work/other.ipynb"}


def test_without_the_wire_nothing_is_saved_and_the_client_is_told(
    cast: Cast, bob: Server, hub_wire: MemoryStore
) -> None:
    document = make_document(cast)
    content = bob.notebook(PATH)
    hub_wire.set_down(True)
    assert bob.save(PATH, changed(content, "a", source="bob")).status_code == 503
    hub_wire.set_down(False)
    assert live_sources(document) == ["x = 1\n", "y = 2"]
    assert bob.save(PATH, changed(content, "a", source="bob")).status_code == 200
    assert live_sources(document) == ["bob", "y = 2"]


def test_trust_is_the_clients_own_and_ends_with_the_outputs(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    content = changed(bob.notebook(PATH), "a", outputs=STREAM, metadata={"trusted": True})
    assert bob.save(PATH, content).status_code == 200
    assert bob.notebook(PATH)["cells"][0]["metadata"] == {"trusted": True}
    assert Server(cast, cast.carol).notebook(PATH)["cells"][0]["metadata"] == {"trusted": False}
    CellOutput.objects.filter(document=document).update(
        outputs=[{"output_type": "stream", "name": "stdout", "text": "other\n"}]
    )
    Document.objects.filter(pk=document.pk).update(dirty_since=document.created_at)
    assert bob.notebook(PATH)["cells"][0]["metadata"] == {"trusted": False}
    assert file_notebook(cast).cells[0].metadata == {}


def test_going_back_to_a_checkpoint_is_an_edit_and_can_be_gone_back_from(cast: Cast, bob: Server) -> None:
    document = make_document(cast)
    assert bob.post(f"{PATH}/checkpoints").status_code == 201
    edit(document, set_source("a", "worse"))
    for _ in range(2):
        assert bob.post(f"{PATH}/checkpoints/checkpoint").status_code == 204
        assert live_sources(document) == ["x = 1\n", "y = 2"]
        edit(document, set_source("b", "worse"))
    assert Version.objects.filter(document=document).count() >= 1
