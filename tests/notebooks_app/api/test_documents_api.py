"""Documents over the hub API: what a client sends and gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from kernels_app.bus.memory_store import memory_store
from kernels_app.models import Kernel, KernelState
from notebooks_app.models import Document
from tests.cast import Cast, headers_of
from tests.notebooks_app.sync.documents import PATH, cell, make_document, notebook_json, read_file, write_file
from zasper_hub.accounts.models import User

BASE = "/api/hub/v1"


@pytest.fixture(autouse=True)
def _wire() -> Iterator[None]:
    yield
    memory_store("tests").set_down(False)


class Documents:
    def __init__(self, cast: Cast, user: User) -> None:
        self.client = Client(headers=headers_of(user))
        self.project = f"{BASE}/projects/{cast.project.pk}"

    def open(self, path: str = PATH) -> Any:
        return self.client.post(
            f"{self.project}/documents", json.dumps({"path": path}), content_type="application/json"
        )

    def get(self, document: Document, what: str = "") -> Any:
        return self.client.get(f"{BASE}/documents/{document.pk}{what}")

    def post(self, document: Document, what: str, **fields: Any) -> Any:
        return self.client.post(
            f"{BASE}/documents/{document.pk}{what}", json.dumps(fields), content_type="application/json"
        )


def error_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_document_is_opened_by_its_path(cast: Cast) -> None:
    write_file(cast, notebook_json(cell("a", "1"), kernelspec={"name": "deno", "display_name": "Deno"}))
    for user, role in ((cast.carol, "viewer"), (cast.bob, "editor"), (cast.alice, "owner")):
        answer = Documents(cast, user).open()
        document = Document.objects.get()
        assert answer.status_code == 200
        assert answer.json() == {
            "id": str(document.pk),
            "path": PATH,
            "epoch": document.epoch,
            "role": role,
            "project_id": str(cast.project.pk),
            "kernelspec_name": "deno",
        }


def test_a_document_tells_its_state_and_its_kernel(cast: Cast) -> None:
    document = make_document(cast)
    alice = Documents(cast, cast.alice)
    assert alice.get(document).json()["kernel"] is None
    Document.objects.update(export_error="The hub's disk is full.")
    kernel = Kernel.objects.create(
        project=cast.project,
        document=document,
        user=cast.bob,
        kernelspec_name="python3",
        state=KernelState.DIED,
        reason="It ended by itself.",
    )
    told = alice.get(document).json()
    assert told["dirty"] is False
    assert told["export_error"] == "The hub's disk is full."
    assert told["kernel"] == {
        "id": str(kernel.pk),
        "kernelspec_name": "python3",
        "state": "died",
        "reason": "It ended by itself.",
    }


def test_the_notebook_is_served_as_its_file_would_be(cast: Cast) -> None:
    document = make_document(cast)
    answer = Documents(cast, cast.carol).get(document, "/notebook")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.content == read_file(cast)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"nonsense", 422, "not_a_notebook"),
        (b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": [], "metadata": {}}', 422, "notebook_too_old"),
        (b"[" * (51 * 1024 * 1024), 413, "notebook_too_large"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_words(cast: Cast, data: bytes, status: int, code: str) -> None:
    write_file(cast, data)
    answer = Documents(cast, cast.alice).open()
    assert error_of(answer) == (status, code)
    assert str(settings.DATA_DIR) not in answer.content.decode()
    assert len(answer.json()["error"]["message"]) > 20


@pytest.mark.parametrize("path", ["absent.ipynb", "../../etc/passwd", "..%2fx.ipynb", "a\0.ipynb"])
def test_an_absent_or_leaving_path_is_404(cast: Cast, path: str) -> None:
    assert error_of(Documents(cast, cast.alice).open(path)) == (404, "not_found")


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"path": 5}', '{"path": ""}', '{"path": "' + "x" * 2000 + '"}']
)
def test_a_malformed_body_is_refused(cast: Cast, body: str) -> None:
    alice = Documents(cast, cast.alice)
    answer = alice.client.post(f"{alice.project}/documents", body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert "message" in answer.json()["error"]


def test_foreign_and_unknown_documents_are_alike(cast: Cast) -> None:
    document = make_document(cast)
    mallory = Documents(cast, cast.mallory)
    version = uuid4()
    for what in ("", "/notebook", "/versions", f"/versions/{version}/notebook"):
        foreign = mallory.get(document, what)
        unknown = mallory.client.get(f"{BASE}/documents/{uuid4()}{what}")
        assert error_of(foreign) == error_of(unknown) == (404, "not_found")
        assert foreign.json() == unknown.json()
    assert error_of(mallory.post(document, f"/versions/{version}/restore")) == (404, "not_found")
    assert error_of(mallory.open()) == (404, "not_found")


def test_a_version_is_named_listed_looked_at_and_restored(cast: Cast) -> None:
    document = make_document(cast)
    bob = Documents(cast, cast.bob)
    saved = bob.post(document, "/versions", name="  Before the review ")
    assert saved.status_code == 201
    write_file(cast, notebook_json(cell("a", "x = 1\n# é😀\n"), cell("n", "new")))
    assert bob.open().status_code == 200
    assert [one["id"] for one in bob.get(document, "/notebook").json()["cells"]] == ["a", "n"]
    assert bob.post(document, f"/versions/{saved.json()['id']}/restore").status_code == 204
    cells = bob.get(document, "/notebook").json()["cells"]
    assert [(one["id"], "".join(one["source"])) for one in cells] == [("a", "x = 1\n"), ("b", "y = 2")]
    listed = bob.get(document, "/versions").json()
    assert [(one["name"], one["reason"], one["created_by"]) for one in listed] == [
        ("", "auto", "bob"),
        ("Before the review", "named", "bob"),
    ]
    before = json.loads(bob.get(document, f"/versions/{listed[0]['id']}/notebook").content)
    assert [one["id"] for one in before["cells"]] == ["a", "n"], "what a restore replaced is kept"


def test_a_version_of_another_document_is_not_found(cast: Cast) -> None:
    document, other = make_document(cast), make_document(cast, path="other.ipynb")
    alice = Documents(cast, cast.alice)
    version = alice.post(document, "/versions").json()["id"]
    assert error_of(alice.get(other, f"/versions/{version}/notebook")) == (404, "not_found")
    assert error_of(alice.post(other, f"/versions/{version}/restore")) == (404, "not_found")


def test_viewers_neither_save_nor_restore_versions(cast: Cast) -> None:
    document = make_document(cast)
    version = Documents(cast, cast.alice).post(document, "/versions").json()["id"]
    carol = Documents(cast, cast.carol)
    assert carol.get(document, "/versions").status_code == 200
    assert error_of(carol.post(document, "/versions", name="x")) == (403, "forbidden")
    assert error_of(carol.post(document, f"/versions/{version}/restore")) == (403, "forbidden")


def test_too_long_a_name_of_a_version_is_refused(cast: Cast) -> None:
    answer = Documents(cast, cast.alice).post(make_document(cast), "/versions", name="x" * 201)
    assert answer.status_code == 422


def test_a_wire_that_is_down_is_503(cast: Cast) -> None:
    document = make_document(cast)
    alice = Documents(cast, cast.alice)
    memory_store("tests").set_down(True)
    assert error_of(alice.get(document)) == (503, "unavailable")
    assert error_of(alice.get(document, "/notebook")) == (503, "unavailable")
    assert error_of(alice.open()) == (503, "unavailable")
