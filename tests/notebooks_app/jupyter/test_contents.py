"""`api/contents` where our answers are our own: bad input, uploads in parts, large files, rights."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest

from notebooks_app.jupyter import contents, contents_saving
from notebooks_app.models import Checkpoint, Project, TrashedFile
from notebooks_app.storage import partial_uploads, tree
from notebooks_app.storage.project_files import STAGING, content_store, data_files
from tests.cast import Cast
from tests.notebooks_app.jupyter.server import Server, body
from zasper_hub.accounts.quotas import Level, Quota
from zasper_hub.accounts.services.quotas import set_quota


@pytest.fixture(autouse=True)
def no_unfinished_uploads() -> None:
    """Another test's person may have had the same id."""
    with suppress(FileNotFoundError):
        data_files().rm(STAGING)


@pytest.fixture
def alice(cast: Cast) -> Server:
    return Server(cast, cast.alice)


def stored(cast: Cast, path: str) -> bytes:
    return content_store(cast.project).read(path, max_bytes=10**9)[1]


def part(server: Server, path: str, number: Any, data: bytes) -> Any:
    content = base64.b64encode(data).decode()
    return server.put(path, type="file", format="base64", content=content, chunk=number)


HOSTILE = [
    "../x",
    "%2e%2e/x",
    "a/../../x",
    "..%2fx",
    "a%5Cb",
    "a%00b",
    ".hidden",
    ".git/config",
    "a//b",
    "%252e%252e/x",
    "x" * 300,
]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("address", ["api/contents/", "files/", "view/", "nbconvert/html/"])
def test_a_hostile_path_is_not_there(alice: Server, address: str, path: str) -> None:
    assert alice.call("GET", address + path).status_code == 404


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_not_written(alice: Server, cast: Cast, path: str) -> None:
    model = {"type": "file", "format": "text", "content": "x"}
    assert alice.call("PUT", f"api/contents/{path}", model).status_code == 404
    assert alice.call("PUT", f"api/contents/{path}", {**model, "chunk": 1}).status_code == 404
    assert alice.call("DELETE", f"api/contents/{path}").status_code == 404
    assert alice.call("POST", f"api/contents/{path}/checkpoints").status_code == 404
    assert content_store(cast.project).list_folder("") == []


@pytest.mark.parametrize(
    "body_text",
    [
        "[1]",
        '"x"',
        "{",
        "nul",
        '{"type": "file", "format": "text", "content": 5}',
        '{"type": "file", "format": "text", "content": {"a": 1}}',
        '{"type": "file", "format": "text", "content": "\\ud800"}',
        '{"type": "file", "format": "base64", "content": "@@@"}',
        '{"type": "file", "format": "base64", "content": "YQ"}',
        '{"type": "notebook", "format": "json", "content": "x"}',
        '{"type": "notebook", "format": "json", "content": {"cells": 5, "nbformat": 4}}',
        '{"type": "notebook", "format": "json", "content": {"cells": [], "nbformat": 3}}',
        '{"type": "file", "format": "text", "content": "x", "chunk": 0}',
        '{"type": "file", "format": "text", "content": "x", "chunk": -2}',
        '{"type": "file", "format": "text", "content": "x", "chunk": "1"}',
        '{"type": "file", "format": "text", "content": "x", "chunk": true}',
        '{"type": "file", "format": "text", "content": "x", "chunk": 2}',
        '{"type": "file", "format": "text", "content": "x", "chunk": -1}',
        '{"type": "file", "format": "text", "content": "x", "chunk": 1e99}',
        "[" * 100_000,
    ],
)
def test_a_body_that_means_nothing_writes_nothing(alice: Server, cast: Cast, body_text: str) -> None:
    response = alice.call("PUT", "api/contents/a.txt", body_text)
    assert response.status_code == 400
    assert set(response.json()) == {"message", "reason"}
    assert content_store(cast.project).list_folder("") == []


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fields", [{"copy_from": 5, "path": 5}, {"ext": ["x"], "path": ["a"]}])
def test_fields_of_the_wrong_type_are_refused(alice: Server, method: str, fields: dict[str, Any]) -> None:
    alice.put("a.txt", type="file", format="text", content="x")
    path = "api/contents" if method == "POST" else "api/contents/a.txt"
    assert alice.call(method, path, fields).status_code == 400


@pytest.mark.parametrize(
    ("target", "source", "status"),
    [
        ("gone/b.txt", "a.txt", 404),
        ("a.txt/b.txt", "a.txt", 404),
        ("../b.txt", "a.txt", 404),
        ("b.txt", "absent.txt", 404),
        ("b\t.txt", "a.txt", 400),
        ("a.txt", "a.txt", 400),
    ],
)
def test_a_copy_that_cannot_have_its_name_is_none(
    alice: Server, cast: Cast, target: str, source: str, status: int
) -> None:
    alice.put("a.txt", type="file", format="text", content="x")
    assert alice.post(target, copy_from=source).status_code == status
    assert [entry.name for entry in content_store(cast.project).list_folder("")] == ["a.txt"]


def test_a_copy_has_the_name_it_is_asked_for(alice: Server, cast: Cast) -> None:
    alice.put("sub/a.txt", type="file", format="text", content="x")
    made = alice.post("sub/b.md", copy_from="/sub/a.txt")
    assert (made.status_code, made.json()["path"]) == (201, "sub/b.md")
    assert made["Location"].endswith("/api/contents/sub/b.md")
    assert stored(cast, "sub/b.md") == b"x"


def test_an_extension_leads_nowhere(alice: Server, cast: Cast) -> None:
    assert alice.post("", type="file", ext="/../../x").status_code == 404
    assert alice.post("", type="file", ext="/x").status_code in (400, 404, 201)
    assert all(entry.name.startswith("untitled") for entry in content_store(cast.project).list_folder(""))


def test_a_body_that_is_too_large_is_refused(
    alice: Server, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MAX_BODY_BYTES", 1_000)
    response = alice.put("a.txt", type="file", format="text", content="x" * 2_000)
    assert response.status_code == 413
    assert content_store(cast.project).list_folder("") == []


def test_a_folder_on_the_way_is_made(alice: Server, cast: Cast) -> None:
    assert alice.put("new/deep/a.txt", type="file", format="text", content="x").status_code == 201
    assert stored(cast, "new/deep/a.txt") == b"x"


def test_a_notebook_with_a_cell_that_lacks_fields_is_completed(alice: Server) -> None:
    content = {"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    assert alice.save("a.ipynb", content).status_code == 201
    cell = alice.notebook("a.ipynb")["cells"][0]
    assert (cell["source"], cell["outputs"], cell["execution_count"]) == ("", [], None)


def test_a_notebook_is_written_as_jupyter_writes_it(alice: Server, cast: Cast) -> None:
    content = {
        "cells": [{"cell_type": "code", "id": "a", "source": "1\n2", "metadata": {"trusted": True}}],
        "metadata": {"signature": "x"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    alice.save("a.ipynb", content)
    written = json.loads(stored(cast, "a.ipynb"))
    assert written["cells"][0]["source"] == ["1\n", "2"]
    assert written["cells"][0]["metadata"] == {}
    assert written["metadata"] == {}


def test_text_that_is_no_utf8_is_sent_as_base64_or_refused(alice: Server, cast: Cast) -> None:
    content_store(cast.project).write("latin.txt", ["é".encode("latin-1")])
    model = alice.model("latin.txt")
    assert (model["format"], base64.b64decode(model["content"])) == ("base64", b"\xe9")
    refused = alice.get("latin.txt", "?format=text")
    assert (refused.status_code, refused.json()["reason"]) == (400, "bad format")


@pytest.mark.parametrize("data", [b"", b"\xff" * 500_001, 'é😀漢\n"\\\x00'.encode() * 100_001])
def test_content_of_any_size_comes_back_as_it_went(alice: Server, cast: Cast, data: bytes) -> None:
    content_store(cast.project).write("a.bin", [data])
    model = alice.model("a.bin")
    found = model["content"].encode() if model["format"] == "text" else base64.b64decode(model["content"])
    assert found == data
    assert base64.b64decode(alice.model("a.bin", "?format=base64")["content"]) == data


def test_an_upload_in_parts_is_there_when_its_last_part_is(alice: Server, cast: Cast) -> None:
    parts = [bytes([number]) * 300_000 for number in range(4)]
    assert part(alice, "big.bin", 1, parts[0]).status_code == 201
    assert part(alice, "big.bin", 2, parts[1]).json()["size"] == 600_000
    assert part(alice, "big.bin", 2, parts[1]).json()["size"] == 600_000, "a repeat replaces itself"
    assert alice.get("big.bin").status_code == 404
    assert part(alice, "big.bin", 4, parts[3]).status_code == 400, "part 3 is missing"
    part(alice, "big.bin", 3, parts[2])
    assert part(alice, "big.bin", -1, parts[3]).json()["size"] == 1_200_000
    assert stored(cast, "big.bin") == b"".join(parts)
    # The answer was lost, and the client sends its last part again: the file stays whole.
    assert part(alice, "big.bin", -1, parts[3]).status_code == 400
    assert stored(cast, "big.bin") == b"".join(parts)
    assert [info for info in data_files().ls(STAGING) if "parts-" in info["name"]] == []


def test_an_upload_that_begins_anew_forgets_the_parts_before(alice: Server, cast: Cast) -> None:
    part(alice, "a.bin", 1, b"old")
    part(alice, "a.bin", 2, b"old")
    part(alice, "a.bin", 1, b"new")
    part(alice, "a.bin", -1, b"!")
    assert stored(cast, "a.bin") == b"new!"


def test_uploads_of_two_people_to_one_name_do_not_mix(alice: Server, cast: Cast) -> None:
    bob = Server(cast, cast.bob)
    part(alice, "a.bin", 1, b"alice")
    part(bob, "a.bin", 1, b"bob")
    part(alice, "a.bin", -1, b"!")
    assert stored(cast, "a.bin") == b"alice!"


def test_an_upload_in_parts_is_not_larger_than_a_file_may_be(
    alice: Server, cast: Cast, settings: Any
) -> None:
    settings.MAX_FILE_BYTES = 1_000
    part(alice, "a.bin", 1, b"x" * 600)
    assert part(alice, "a.bin", 2, b"x" * 600).status_code == 413
    assert part(alice, "a.bin", -1, b"x" * 600).status_code == 413
    assert alice.get("a.bin").status_code == 404


def test_parts_that_wait_for_their_last_one_take_room(alice: Server, cast: Cast) -> None:
    set_quota(Level.SITE, Quota.PROJECT_STORAGE_BYTES, 10_000, actor=cast.admin)
    assert part(alice, "a.bin", 1, b"x" * 6_000).status_code == 201
    assert part(alice, "b.bin", 1, b"x" * 6_000).status_code == 429
    assert len(data_files().ls(STAGING)) == 1  # what is refused is no unfinished upload
    assert part(alice, "a.bin", 2, b"x" * 6_000).status_code == 429
    assert part(alice, "b.bin", 1, b"x" * 3_000).status_code == 201
    assert part(alice, "a.bin", 1, b"x" * 6_000).status_code == 201  # again: it replaces itself
    assert part(alice, "b.bin", -1, b"x" * 500).status_code == 200
    assert part(alice, "a.bin", -1, b"x" * 100).status_code == 200
    assert len(stored(cast, "a.bin")) == 6_100


def test_a_person_has_a_few_unfinished_uploads_at_most(
    alice: Server, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial_uploads, "MAX_OPEN_UPLOADS", 2)
    for name in ("a", "b", "a"):
        assert part(alice, name, 1, b"x").status_code == 201
    refused = part(alice, "c", 1, b"x")
    assert refused.status_code == 429
    assert "2 unfinished uploads" in json.loads(body(refused))["message"]
    assert part(Server(cast, cast.bob), "c", 1, b"x").status_code == 201
    assert part(alice, "a", -1, b"x").status_code == 200
    assert part(alice, "c", 1, b"x").status_code == 201


def test_a_broken_part_leaves_the_ones_before(alice: Server, cast: Cast) -> None:
    part(alice, "a.bin", 1, b"one")
    broken = {"type": "file", "format": "base64", "content": "@@@@", "chunk": 2}
    assert alice.call("PUT", "api/contents/a.bin", broken).status_code == 400
    part(alice, "a.bin", 2, b"two")
    part(alice, "a.bin", -1, b"three")
    assert stored(cast, "a.bin") == b"onetwothree"


def test_a_folder_with_too_many_entries_says_so(
    alice: Server, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        content_store(cast.project).write(name, [b"x"])
    monkeypatch.setattr(tree, "MAX_ENTRIES", 2)
    refused = alice.get("")
    assert refused.status_code == 413
    assert "more than 2 entries" in json.loads(body(refused))["message"]
    assert alice.get("a").status_code == 200


def test_base64_is_decoded_over_the_borders_of_blocks(
    alice: Server, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_saving, "BLOCK_CHARS", 8)
    data = bytes(range(256))
    content = base64.encodebytes(data).decode()  # lines, as some clients send it
    assert alice.put("a.bin", type="file", format="base64", content=content).status_code == 201
    assert stored(cast, "a.bin") == data


def test_what_is_deleted_is_in_the_trash(alice: Server, cast: Cast) -> None:
    alice.put("a.txt", type="file", format="text", content="x")
    assert alice.delete("a.txt").status_code == 204
    assert TrashedFile.objects.get(project=cast.project).path == "a.txt"


def test_a_viewer_reads_and_is_told_that_nothing_is_writable(alice: Server, cast: Cast) -> None:
    alice.put("a.txt", type="file", format="text", content="x")
    carol = Server(cast, cast.carol)
    assert carol.model("a.txt")["writable"] is False
    assert [entry["writable"] for entry in carol.model("")["content"]] == [False]
    for response in (
        carol.put("a.txt", type="file", format="text", content="y"),
        carol.delete("a.txt"),
        carol.rename("a.txt", "b.txt"),
        carol.post("", type="file"),
        carol.post("a.txt/checkpoints"),
    ):
        assert response.status_code == 403
    assert stored(cast, "a.txt") == b"x"


def test_a_large_folder_takes_no_more_queries_than_a_small_one(
    alice: Server, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        content_store(cast.project).write(f"{number}.txt", [b"x"])
    with django_assert_max_num_queries(12):
        assert len(alice.model("")["content"]) == 30


def test_checkpoints_of_a_project_are_its_own(alice: Server, cast: Cast) -> None:
    other = Project.objects.create(team=cast.mallory.personal_team, slug="own", name="Own")
    content_store(other).write("a.txt", [b"secret"])
    alice.put("a.txt", type="file", format="text", content="x")
    assert alice.post("a.txt/checkpoints").status_code == 201
    assert Checkpoint.objects.get().project == cast.project
    assert Server(cast, cast.mallory).post("a.txt/checkpoints/checkpoint").status_code == 404


def test_a_new_checkpoint_takes_the_place_of_the_old_one(
    alice: Server, cast: Cast, django_capture_on_commit_callbacks: Any
) -> None:
    made = []
    for text in ("one", "two"):
        alice.put("a.txt", type="file", format="text", content=text)
        with django_capture_on_commit_callbacks(execute=True):
            assert alice.post("a.txt/checkpoints").status_code == 201
        made.append(Checkpoint.objects.get().pk)
    kept = {info["name"] for info in data_files().ls("checkpoints")}
    assert len(kept & {f"checkpoints/{pk}" for pk in made}) == 1
    alice.put("a.txt", type="file", format="text", content="three")
    alice.post("a.txt/checkpoints/checkpoint")
    assert stored(cast, "a.txt") == b"two"


def test_a_session_cookie_serves_as_the_token_does(cast: Cast, alice: Server) -> None:
    alice.client.defaults.pop("HTTP_AUTHORIZATION", None)
    alice.client.headers = {}
    alice.client.force_login(cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    first = alice.call("GET", "api/contents")
    assert first.status_code == 200
    token = first.cookies["_xsrf"].value
    model = {"type": "file", "format": "text", "content": "x"}
    assert alice.call("PUT", "api/contents/a.txt", model).status_code == 403
    assert alice.call("PUT", "api/contents/a.txt", model, X_XSRFToken=token).status_code == 201
    assert "_xsrf" not in alice.call("GET", "api/contents").cookies, "it is sent once"
    assert json.loads(body(alice.call("GET", "api/contents/a.txt")))["content"] == "x"
