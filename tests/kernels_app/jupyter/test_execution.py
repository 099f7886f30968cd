"""`POST api/kernels/<id>/execute` with the body of each extension that has such a route, on a live document."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from kernels_app.bus.envelopes import Execute
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel, Run
from kernels_app.services.kernels import start_kernel
from notebooks_app.models import CellOutput, Document
from tests.cast import Cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from tests.notebooks_app.jupyter.server import Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def node(hub_wire: MemoryStore) -> ScriptedNode:
    return ScriptedNode(hub_wire)


@pytest.fixture
def document(cast: Cast, node: ScriptedNode) -> Document:
    return make_document(cast, "a = 1", "a + 1")


@pytest.fixture
def kernel(cast: Cast, document: Document) -> Kernel:
    return start_kernel(user=cast.bob, document=document)


def sha256(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def execute(cast: Cast, kernel: Kernel, body: dict[str, Any]) -> Any:
    return Server(cast, cast.bob).call("POST", f"api/kernels/{kernel.pk}/execute", body)


def executed(node: ScriptedNode) -> list[tuple[str, str]]:
    return [
        (cell.cell_id, cell.source)
        for command in node.commands()
        if isinstance(command, Execute)
        for cell in command.cells
    ]


def test_one_cell_of_a_document_by_its_id(
    cast: Cast, document: Document, kernel: Kernel, node: ScriptedNode
) -> None:
    for name in (str(document.pk), f"json:notebook:{document.pk}"):
        answer = execute(cast, kernel, {"document_id": name, "cell_id": "c2"})
        assert answer.status_code == 202
        start = f"http://testserver/jupyter/alice/analysis/api/kernels/{kernel.pk}/requests/"
        assert answer["Location"].startswith(start), (
            "with the host, for clients that join a path to their base"
        )
    assert executed(node) == [("c2", "a + 1")] * 2


def test_several_cells_as_the_client_saw_them(
    cast: Cast, document: Document, kernel: Kernel, node: ScriptedNode
) -> None:
    body = {
        "document_id": str(document.pk),
        "cells": [
            {"cell_id": "c2", "source_hash": sha256("a + 1")},
            {"cell_id": "c1", "source_hash": f"sha256:{sha256('a = 1')}"},
        ],
        "request_id": "once",
    }
    assert execute(cast, kernel, body).status_code == 202
    assert execute(cast, kernel, body).status_code == 202  # a repeat is the same request
    assert Run.objects.count() == 2
    assert set(executed(node)) == {("c2", "a + 1"), ("c1", "a = 1")}


def test_code_for_a_cell_runs_as_it_was_sent(
    cast: Cast, document: Document, kernel: Kernel, node: ScriptedNode
) -> None:
    metadata = {"document_id": str(document.pk), "cell_id": "c1"}
    assert execute(cast, kernel, {"code": "a = 2", "metadata": metadata}).status_code == 202
    assert executed(node) == [("c1", "a = 2")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"code": 5}, 400),
        ({"document_id": "nonsense", "cell_id": "c1"}, 404),
        ({"document_id": "00000000-0000-4000-8000-000000000000", "cell_id": "c1"}, 404),
        ({"document_id": "<document>"}, 400),
        ({"document_id": "<document>", "cell_id": "nope"}, 400),
        ({"document_id": "<document>", "cells": []}, 400),
        ({"document_id": "<document>", "cells": [{"cell_id": "nope"}]}, 400),
        ({"document_id": "<document>", "cells": [{"cell_id": "c1", "source_hash": "0" * 64}]}, 409),
    ],
)
def test_what_cannot_be_run_is_refused_and_nothing_runs(
    cast: Cast, document: Document, kernel: Kernel, node: ScriptedNode, body: dict[str, Any], status: int
) -> None:
    filled = {key: str(document.pk) if value == "<document>" else value for key, value in body.items()}
    assert execute(cast, kernel, filled).status_code == status
    assert executed(node) == []


def test_a_document_of_another_kernel_is_refused(cast: Cast, document: Document, kernel: Kernel) -> None:
    other = make_document(cast, "b = 1", path="other.ipynb")
    assert execute(cast, kernel, {"document_id": str(other.pk), "cell_id": "c1"}).status_code == 409


def test_bare_code_on_a_kernel_that_waits_for_a_place_is_refused_for_now(cast: Cast, kernel: Kernel) -> None:
    Kernel.objects.update(node=None)
    answer = execute(cast, kernel, {"code": "1"})
    assert (answer.status_code, answer.json()["message"]) == (
        503,
        "The kernel waits for a free place. Try again.",
    )


def test_code_that_asks_says_what_and_where_to_answer(cast: Cast, document: Document, kernel: Kernel) -> None:
    [request_id] = execute(cast, kernel, {"document_id": str(document.pk), "cell_id": "c1"}).json()[
        "request_ids"
    ]
    asked = {"input_id": "q1", "prompt": "Name? ", "password": False}
    CellOutput.objects.update_or_create(
        document=document, cell_id="c1", defaults={"run_id": request_id, "input": asked}
    )
    answer = Server(cast, cast.bob).call("GET", f"api/kernels/{kernel.pk}/requests/{request_id}")
    assert answer.status_code == 300
    assert answer["Location"] == f"http://testserver/jupyter/alice/analysis/api/kernels/{kernel.pk}/input"
    assert answer.json() == {
        "parent_header": {"msg_id": "q1", "msg_type": "input_request"},
        "input_request": asked,
    }


def test_addresses_are_of_the_host_and_scheme_that_the_client_uses(
    cast: Cast, document: Document, kernel: Kernel, settings: Any
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    body = {"document_id": str(document.pk), "cell_id": "c1"}
    headers = {"X_Forwarded_Proto": "https", "Host": "hub.example:8443"}
    answer = Server(cast, cast.bob).call("POST", f"api/kernels/{kernel.pk}/execute", body, **headers)
    assert answer["Location"].startswith("https://hub.example:8443/jupyter/alice/analysis/api/kernels/")
