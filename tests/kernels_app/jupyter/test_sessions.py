"""`api/sessions`: what is asked wrongly is answered as Jupyter Server answers it."""

from __future__ import annotations

import pytest

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel
from tests.cast import Cast
from tests.kernels_app.scripted_node import ScriptedNode
from tests.notebooks_app.jupyter.server import Server

NOTEBOOK = {"path": "a.ipynb", "type": "notebook", "name": "a"}


@pytest.fixture
def bob(cast: Cast, hub_wire: MemoryStore) -> Server:
    ScriptedNode(hub_wire)
    return Server(cast, cast.bob)


def test_an_unknown_kernelspec_is_501_with_a_heading(bob: Server) -> None:
    asked = {**NOTEBOOK, "kernel": {"name": "nope"}}
    refused = bob.call("POST", "api/sessions", asked)
    assert (refused.status_code, refused.json()["short_message"]) == (501, "nope not found")
    assert "nope" in refused.json()["message"]
    assert not Kernel.objects.exists()
    made = bob.call("POST", "api/sessions", {**NOTEBOOK, "kernel": {"name": "python3"}}).json()
    refused = bob.call("PATCH", f"api/sessions/{made['id']}", {"kernel": {"name": "nope"}})
    assert (refused.status_code, refused.json()["short_message"]) == (501, "nope not found")
    assert bob.call("GET", f"api/sessions/{made['id']}").json()["kernel"]["id"] == made["kernel"]["id"]


def test_without_a_body_there_is_nothing_to_do(bob: Server) -> None:
    made = bob.call("POST", "api/sessions", NOTEBOOK).json()
    for method, path in (("POST", "api/sessions"), ("PATCH", f"api/sessions/{made['id']}")):
        refused = bob.call(method, path)
        assert (refused.status_code, refused.json()["message"]) == (400, "No JSON data provided")
    assert bob.call("POST", "api/sessions", {}).json()["message"] == "Missing field in JSON data: path"
    assert bob.call("PATCH", f"api/sessions/{made['id']}", {}).status_code == 200


def test_clients_of_long_ago_name_the_notebook(bob: Server) -> None:
    made = bob.call("POST", "api/sessions", {"notebook": {"path": "old.ipynb"}}).json()
    assert (made["path"], made["type"], made["notebook"]["path"]) == ("old.ipynb", "notebook", "old.ipynb")
    bob.call("PATCH", f"api/sessions/{made['id']}", {"type": "file"})
    moved = bob.call("PATCH", f"api/sessions/{made['id']}", {"notebook": {"path": "new.ipynb"}}).json()
    assert (moved["path"], moved["type"]) == ("new.ipynb", "notebook")
    wrong: object
    for wrong in (5, [], {}):
        assert bob.call("POST", "api/sessions", {"notebook": {"path": wrong}}).status_code == 400
