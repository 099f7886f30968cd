"""`api/sessions`: what is asked wrongly, or twice, is answered as Jupyter Server answers it."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel, KernelSession, KernelState
from kernels_app.services.kernels import start_kernel
from tests.cast import Cast, make_cast
from tests.kernels_app.documents import make_document
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


def opened(client: Server, path: str = "a.ipynb", **fields: Any) -> Any:
    answer = client.call("POST", "api/sessions", {"path": path, "type": "notebook", **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def patched(client: Server, session: Any, **fields: Any) -> Any:
    answer = client.call("PATCH", f"api/sessions/{session['id']}", fields)
    assert answer.status_code == 200, answer.content
    return answer.json()


def listed(client: Server) -> list[Any]:
    return list(client.call("GET", "api/sessions").json())


def test_a_kernel_on_its_way_out_is_an_unknown_kernel(bob: Server) -> None:
    first, second = opened(bob), opened(bob, "b.ipynb")
    bob.call("DELETE", f"api/kernels/{second['kernel']['id']}")
    assert Kernel.objects.get(pk=second["kernel"]["id"]).state == KernelState.STOPPING
    asked = {"kernel": {"id": second["kernel"]["id"]}}
    assert bob.call("PATCH", f"api/sessions/{first['id']}", asked).status_code == 400
    third = opened(bob, "c.ipynb", **asked)
    assert third["kernel"]["id"] not in (first["kernel"]["id"], second["kernel"]["id"])
    wanted = {"id": second["kernel"]["id"]}
    assert bob.call("POST", "api/kernels", wanted).status_code == 409


def test_a_session_closed_meanwhile_is_404_and_starts_nothing(
    bob: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(bob)
    monkeypatch.setattr(
        "kernels_app.services.kernel_sessions._lock", lambda project: KernelSession.objects.all().delete()
    )
    answer = bob.call("PATCH", f"api/sessions/{made['id']}", {"path": "b", "kernel": {"name": "python3"}})
    assert answer.status_code == 404
    staying = Kernel.objects.exclude(state__in=(KernelState.STOPPING, KernelState.STOPPED))
    assert [str(kernel.pk) for kernel in staying] == [made["kernel"]["id"]]


def test_a_session_right_after_its_kernel_was_shut_down_has_a_new_one(bob: Server) -> None:
    first = opened(bob)
    bob.call("DELETE", f"api/kernels/{first['kernel']['id']}")
    assert listed(bob) == []
    second = opened(bob)
    assert second["kernel"]["id"] != first["kernel"]["id"]
    assert [item["id"] for item in listed(bob)] == [second["id"]]
    assert KernelSession.objects.count() == 1, "the other one went"


def test_a_path_is_free_when_its_kernel_has_ended(bob: Server) -> None:
    """As JupyterLab starts a notebook: at a path made up, renamed at once."""
    for state in (KernelState.STOPPED, KernelState.DIED, KernelState.STOPPING):
        made = opened(bob, f"work/{uuid4()}", name="a.ipynb", kernel={"name": "python3"})
        assert patched(bob, made, path="work/a.ipynb")["path"] == "work/a.ipynb"
        assert [item["id"] for item in listed(bob)] == [made["id"]]
        assert KernelSession.objects.count() == 1, "those of ended kernels go"
        Kernel.objects.update(state=state)


def test_two_sessions_may_have_one_path(bob: Server) -> None:
    first, second = opened(bob, "a.ipynb"), opened(bob, "b.ipynb")
    patched(bob, second, path="a.ipynb", kernel={"name": "python3"})
    assert [item["path"] for item in listed(bob)] == ["a.ipynb", "a.ipynb"]
    assert opened(bob, "a.ipynb")["id"] == first["id"]


def test_a_session_is_found_by_its_path_alone(bob: Server) -> None:
    made = opened(bob, "a.ipynb", name="a")
    again = opened(bob, "a.ipynb", type="console", name="other", kernel={"id": str(uuid4())})
    assert (again["id"], again["type"], again["name"]) == (made["id"], "notebook", "a")
    assert Kernel.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_for_one_path_at_once_each_gets_the_same_session(hub_wire: MemoryStore) -> None:
    cast = make_cast()
    ScriptedNode(hub_wire)
    clients = [Server(cast, cast.bob) for _ in range(6)]
    gate = threading.Barrier(len(clients))
    found: list[tuple[str, str]] = []

    def open_one(client: Server) -> None:
        try:
            gate.wait(timeout=20)
            made = opened(client)
            found.append((made["id"], made["kernel"]["id"]))
        finally:
            connection.close()

    threads = [threading.Thread(target=open_one, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == len(clients)
    assert len(set(found)) == 1
    assert KernelSession.objects.count() == 1
    staying = Kernel.objects.exclude(state__in=(KernelState.STOPPING, KernelState.STOPPED))
    assert [str(kernel.pk) for kernel in staying] == [found[0][1]], "no kernel is left over"


class TestDocuments:
    """What a page of the hub started is a session too, under the document's id."""

    def test_a_change_keeps_its_id(self, cast: Cast, bob: Server) -> None:
        document = make_document(cast, "1")
        kernel = start_kernel(user=cast.bob, document=document)
        [own] = listed(bob)
        assert (own["id"], own["name"]) == (str(document.pk), "notebook.ipynb")
        renamed = patched(bob, own, name="new name")
        assert (renamed["id"], renamed["name"]) == (own["id"], "new name")
        assert renamed["kernel"]["id"] == str(kernel.pk)
        assert listed(bob) == [renamed]

    def test_a_request_for_its_path_finds_it(self, cast: Cast, bob: Server) -> None:
        document = make_document(cast, "1")
        start_kernel(user=cast.bob, document=document)
        [own] = listed(bob)
        found = opened(bob, document.path, type="file", kernel={"id": str(uuid4())})
        assert (found["id"], found["kernel"], found["type"]) == (own["id"], own["kernel"], "notebook")
        assert Kernel.objects.count() == 1

    def test_another_kernel_of_the_document_has_a_session_of_another_id(
        self, cast: Cast, bob: Server
    ) -> None:
        document = make_document(cast, "1")
        start_kernel(user=cast.bob, document=document)
        [own] = listed(bob)
        moved = patched(bob, own, path="else.ipynb", kernel={"name": "deno"})
        assert (moved["id"], moved["kernel"]["name"]) == (own["id"], "deno")
        Kernel.objects.filter(state=KernelState.STOPPING).update(state=KernelState.STOPPED)
        kernel = start_kernel(user=cast.bob, document=document)
        first, second = listed(bob)
        assert (first["id"], second["id"]) == (own["id"], str(kernel.pk))
        assert second["path"] == document.path
        assert bob.call("GET", f"api/sessions/{kernel.pk}").json() == second
        renamed = patched(bob, second, name="new name")
        assert (renamed["id"], renamed["kernel"]["id"]) == (str(kernel.pk), str(kernel.pk))
        assert bob.call("DELETE", f"api/sessions/{kernel.pk}").status_code == 204
        assert [item["id"] for item in listed(bob)] == [own["id"]]

    def test_its_id_is_free_again_when_the_kernel_has_ended(self, cast: Cast, bob: Server) -> None:
        document = make_document(cast, "1")
        start_kernel(user=cast.bob, document=document)
        patched(bob, listed(bob)[0], path="else.ipynb")
        Kernel.objects.update(state=KernelState.DIED)
        start_kernel(user=cast.bob, document=document)
        [own] = listed(bob)
        assert (own["id"], own["path"]) == (str(document.pk), document.path)
        assert patched(bob, own, name="new name")["id"] == own["id"]

    def test_a_session_while_its_kernel_is_shut_down_has_a_new_one(self, cast: Cast, bob: Server) -> None:
        document = make_document(cast, "1")
        old = start_kernel(user=cast.bob, document=document)
        bob.call("DELETE", f"api/kernels/{old.pk}")
        made = opened(bob, document.path)
        assert made["kernel"]["id"] != str(old.pk)
        assert Kernel.objects.get(pk=made["kernel"]["id"]).document == document
