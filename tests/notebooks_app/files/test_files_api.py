"""Files over the hub API: what a client sends and gets."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.test import Client

from notebooks_app.models import TrashedFile
from notebooks_app.storage.project_files import content_store
from tests.cast import Cast, headers_of
from zasper_hub.accounts.models import User

SECRET_WORDS = ("/tmp", "projects/", "Traceback", "Errno")


def body(response: HttpResponseBase) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        return b"".join(response)
    return bytes(response.content)  # type: ignore[attr-defined]  # HttpResponse


class Files:
    """The files API of one project, for one person."""

    def __init__(self, cast: Cast, user: User) -> None:
        self.client = Client(headers=headers_of(user))
        self.base = f"/api/hub/v1/projects/{cast.project.pk}"

    def url(self, path: str) -> str:
        return f"{self.base}/files/{quote(path)}"

    def put(self, path: str, data: bytes = b"x", query: str = "", **headers: str) -> Any:
        return self.client.put(
            self.url(path) + query, data, content_type="application/octet-stream", headers=_names(headers)
        )

    def get(self, path: str, query: str = "", **headers: str) -> Any:
        return self.client.get(self.url(path) + query, headers=_names(headers))

    def delete(self, path: str) -> Any:
        return self.client.delete(self.url(path))

    def post(self, action: str, **fields: Any) -> Any:
        return self.client.post(f"{self.base}/{action}", json.dumps(fields), content_type="application/json")

    def names(self, path: str = "") -> list[str]:
        return [entry["name"] for entry in self.get(path).json()["entries"]]


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def files(cast: Cast) -> Files:
    return Files(cast, cast.bob)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert not any(word in response.content.decode() for word in SECRET_WORDS)
    return error


def test_a_file_is_written_listed_and_read(files: Files) -> None:
    written = files.put("data/a.csv", b"x,y\n1,2\n")
    assert written.status_code == 201
    entry = written.json()["entry"]
    assert entry | {"modified_at": None} == {
        "name": "a.csv",
        "path": "data/a.csv",
        "type": "file",
        "size": 8,
        "modified_at": None,
        "etag": sha256(b"x,y\n1,2\n"),
    }
    assert files.put("data/a.csv", b"new").status_code == 200
    assert files.get("data").json()["entries"][0]["etag"] == sha256(b"new")
    assert files.get("data/a.csv", "?stat=1").json()["size"] == 3
    response = files.get("data/a.csv")
    assert body(response) == b"new"
    assert response["ETag"] == f'"{sha256(b"new")}"'
    assert response["Content-Length"] == "3"
    head = files.client.head(files.url("data/a.csv"))
    assert (head.status_code, head["Content-Length"], body(head)) == (200, "3", b"")


def test_the_top_folder_is_listed_with_and_without_a_slash(files: Files) -> None:
    files.put("nb.ipynb")
    for url in (f"{files.base}/files", f"{files.base}/files/"):
        listing = files.client.get(url).json()
        assert (listing["path"], listing["type"]) == ("", "folder")
        assert [(entry["name"], entry["type"]) for entry in listing["entries"]] == [("nb.ipynb", "notebook")]


def test_a_file_can_do_nothing_in_a_browser(files: Files) -> None:
    for name, content_type in (
        ("page.html", "application/octet-stream"),
        ("evil.js", "application/octet-stream"),
        ("data.xml", "application/octet-stream"),
        ("page.shtml", "application/octet-stream"),
        ("page.HTM", "application/octet-stream"),
        ("page.svgz", "application/gzip"),
        ("page.html.gz", "application/gzip"),
        ("py", "application/octet-stream"),
        ("style.css", "text/plain; charset=utf-8"),
        ("code.py", "text/plain; charset=utf-8"),
        ("run.LOG", "text/plain; charset=utf-8"),
        ("sound.mp3", "audio/mpeg"),
        ("film.mp4", "video/mp4"),
        ("all.zip", "application/zip"),
        ("all.tar.gz", "application/gzip"),
        ("all.tar", "application/x-tar"),
        ("page.xhtml", "application/octet-stream"),
        ("no-suffix", "application/octet-stream"),
        ("plot.svg", "image/svg+xml"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.ipynb", "application/json"),
    ):
        files.put(name, b"<script>alert(1)</script>")
        response = files.get(name)
        assert response["Content-Type"] == content_type
        assert response["Content-Disposition"] == f'attachment; filename="{name}"'
        assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert response["X-Content-Type-Options"] == "nosniff"


def test_a_name_cannot_write_headers(files: Files) -> None:
    name = 'a";\u00fc x=.txt'
    files.put(name)
    disposition = files.get(name)["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=utf-8''a%22%3B%C3%BC")
    assert files.put("a\r\nSet-Cookie: x=1").status_code in (404, 422)


def test_ranges_give_the_bytes_they_name(files: Files) -> None:
    files.put("a", b"0123456789")
    for header, expected in (
        ("bytes=0-3", b"0123"),
        ("bytes=4-", b"456789"),
        ("bytes=-2", b"89"),
        ("bytes=-99", b"0123456789"),
        ("bytes=8-99", b"89"),
    ):
        response = files.get("a", Range=header)
        assert (response.status_code, body(response)) == (206, expected)
        assert response["Content-Length"] == str(len(expected))
    assert files.get("a", Range="bytes=2-3")["Content-Range"] == "bytes 2-3/10"
    for header in ("bytes=0-1,4-5", "lines=1-2", "bytes=5-4", "bytes=-", "bytes=x-y"):
        assert body(files.get("a", Range=header)) == b"0123456789"
    for header in ("bytes=10-", "bytes=-0", "bytes=99-100"):
        response = files.get("a", Range=header)
        error_of(response, 416, "bad_request")
        assert response["Content-Range"] == "bytes */10"
    stale = files.get("a", Range="bytes=0-1", If_Range='"other"')
    assert (stale.status_code, body(stale)) == (200, b"0123456789")
    files.put("empty", b"")
    assert files.get("empty", Range="bytes=0-").status_code == 416


def test_what_the_client_has_is_not_sent_again(files: Files) -> None:
    files.put("a", b"1")
    response = files.get("a", If_None_Match=f'"other", "{sha256(b"1")}"')
    assert (response.status_code, body(response)) == (304, b"")
    assert files.get("a", If_None_Match='"other"').status_code == 200


def test_a_stale_save_is_refused_and_kept(files: Files) -> None:
    first = f'"{sha256(b"one")}"'
    files.put("a.txt", b"one")
    assert files.put("a.txt", b"two", If_Match=first).status_code == 200
    error = error_of(files.put("a.txt", b"three", If_Match=first), 409, "stale")
    assert error["details"]["etag"] == sha256(b"two")
    assert body(files.get(error["details"]["kept_as"])) == b"three"
    assert body(files.get("a.txt")) == b"two"


def test_a_new_file_does_not_replace_one(files: Files) -> None:
    assert files.put("a", b"1", If_None_Match="*").status_code == 201
    error_of(files.put("a", b"2", If_None_Match="*"), 409, "exists")
    error_of(files.put("b", b"2", If_Match="*"), 409, "stale")
    assert files.put("a", b"3", If_Match="*").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"If_Match": "abc"}, {"If_Match": '"a", "b"'}, {"If_None_Match": '"a"'}, {"If_None_Match": "x"}],
)
def test_a_condition_that_means_nothing_is_refused(files: Files, headers: dict[str, str]) -> None:
    error_of(files.put("a", b"1", **headers), 400, "bad_request")
    assert files.names() == []


def test_folders_are_made_moved_copied_and_deleted(files: Files) -> None:
    assert files.put("d", query="?folder=1").json()["entry"]["type"] == "folder"
    error_of(files.put("d", query="?folder=1"), 409, "exists")
    error_of(files.put("d", b"x"), 422, "invalid")
    files.put("d/a", b"1")
    assert files.post("files-copy", **{"from": "d", "to": "e"}).json()["entry"]["path"] == "e"
    assert files.post("files-move", **{"from": "d", "to": "f/g"}).json()["entry"]["path"] == "f/g"
    assert files.names() == ["e", "f"]
    error_of(files.post("files-move", **{"from": "e", "to": "e/inside"}), 422, "invalid")
    error_of(files.post("files-move", **{"from": "nothing", "to": "x"}), 404, "not_found")
    error_of(files.post("files-move", **{"from": "", "to": "x"}), 422, "invalid")
    error_of(files.post("files-move", to="x"), 422, "invalid")


def test_what_is_overwritten_goes_to_the_trash(files: Files) -> None:
    files.put("a", b"1")
    files.put("b", b"2")
    error_of(files.post("files-move", **{"from": "a", "to": "b"}), 409, "exists")
    error_of(files.post("files-copy", **{"from": "a", "to": "b"}), 409, "exists")
    assert files.post("files-move", **{"from": "a", "to": "b", "overwrite": True}).status_code == 200
    assert body(files.get("b")) == b"1"
    [trashed] = files.client.get(f"{files.base}/trash").json()
    assert trashed["path"] == "b"
    assert files.post(f"trash/{trashed['id']}/restore").json()["entry"]["path"] == "b (restored)"


def test_a_move_onto_itself_deletes_nothing(files: Files) -> None:
    files.put("a", b"1")
    error_of(files.post("files-move", **{"from": "a", "to": "a", "overwrite": True}), 409, "exists")
    assert body(files.get("a")) == b"1"


def test_a_deleted_file_waits_in_the_trash_and_comes_back(files: Files, cast: Cast) -> None:
    files.put("d/a.txt", b"123")
    trash_id = files.delete("d/a.txt").json()["trash_id"]
    assert files.names("d") == []
    [trashed] = files.client.get(f"{files.base}/trash").json()
    assert (trashed["id"], trashed["path"], trashed["size"], trashed["deleted_by"], trashed["is_folder"]) == (
        trash_id, "d/a.txt", 3, "bob", False,
    )  # fmt: skip
    assert files.post(f"trash/{trash_id}/restore").json()["entry"]["path"] == "d/a.txt"
    assert body(files.get("d/a.txt")) == b"123"
    error_of(files.post(f"trash/{trash_id}/restore"), 404, "not_found")
    assert TrashedFile.objects.count() == 0


def test_what_is_purged_is_gone(files: Files) -> None:
    files.put("d/a.txt", b"123")
    trash_id = files.delete("d").json()["trash_id"]
    assert files.client.delete(f"{files.base}/trash/{trash_id}").status_code == 204
    error_of(files.client.delete(f"{files.base}/trash/{trash_id}"), 404, "not_found")
    error_of(files.post(f"trash/{trash_id}/restore"), 404, "not_found")


def test_the_trash_of_another_project_is_none_of_ours(files: Files, cast: Cast) -> None:
    files.put("a")
    trash_id = files.delete("a").json()["trash_id"]
    mallory = Client(headers=headers_of(cast.mallory))
    made = mallory.post(
        "/api/hub/v1/projects", json.dumps({"name": "Own"}), content_type="application/json"
    ).json()
    for identifier in (trash_id, uuid4(), "x", "1"):
        url = f"/api/hub/v1/projects/{made['id']}/trash/{identifier}"
        error_of(mallory.delete(url), 404, "not_found")
        error_of(mallory.post(f"{url}/restore"), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "..%2f..%2fetc/passwd",
        "%2e%2e/x",
        "a/%00",
        "a%5cb",
        "%252e%252e%252fx",
        ".env",
        "a//b",
        "./a",
        "/etc/passwd",
    ],
)
def test_a_path_that_is_none_is_not_found_whatever_is_asked(files: Files, path: str) -> None:
    url = f"{files.base}/files/{path}"
    for method in ("get", "put", "delete"):
        response = getattr(files.client, method)(url)
        error_of(response, 404, "not_found")
    error_of(files.client.put(f"{url}?folder=1"), 404, "not_found")
    assert files.names() == []


def test_a_viewer_reads_and_changes_nothing(files: Files, cast: Cast) -> None:
    files.put("a", b"1")
    carol = Files(cast, cast.carol)
    assert body(carol.get("a")) == b"1"
    for response in (
        carol.put("a", b"2"),
        carol.put("d", query="?folder=1"),
        carol.delete("a"),
        carol.post("files-move", **{"from": "a", "to": "b"}),
        carol.post("files-copy", **{"from": "a", "to": "b"}),
    ):
        error_of(response, 403, "forbidden")
    mallory = Files(cast, cast.mallory)
    for response in (mallory.get("a"), mallory.put("a"), mallory.delete("a"), mallory.get("")):
        error_of(response, 404, "not_found")
    assert body(files.get("a")) == b"1"


def test_a_download_link_may_carry_its_token_but_a_change_may_not(files: Files, cast: Cast) -> None:
    files.put("a", b"1")
    token = headers_of(cast.carol)["authorization"].removeprefix("Bearer ")
    assert body(Client().get(f"{files.url('a')}?token={token}")) == b"1"
    editor = headers_of(cast.bob)["authorization"].removeprefix("Bearer ")
    assert Client().delete(f"{files.url('a')}?token={editor}").status_code == 401


def test_a_file_over_the_limit_is_refused(files: Files, settings: Any) -> None:
    settings.MAX_FILE_BYTES = 1000
    error_of(files.put("a", b"x" * 1001), 413, "too_large")
    assert files.put("a", b"x" * 1000).status_code == 201


def test_a_full_disk_is_a_clear_answer(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.put("a", b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/secret/path")

    monkeypatch.setattr("notebooks_app.storage.local.LocalFiles.mv", full)
    error_of(files.put("a", b"new"), 503, "disk_full")
    error_of(files.put("b", b"new"), 503, "disk_full")
    error_of(files.delete("a"), 503, "disk_full")
    assert body(files.get("a")) == b"old"
    assert TrashedFile.objects.count() == 0


def test_hidden_files_are_there_where_the_project_allows_them(files: Files, cast: Cast) -> None:
    cast.project.allows_hidden_files = True
    cast.project.save()
    assert files.put(".env", b"1").status_code == 201
    cast.project.allows_hidden_files = False
    cast.project.save()
    assert files.names() == []
    error_of(files.get(".env"), 404, "not_found")


def test_what_a_kernel_wrote_is_served(files: Files, cast: Cast) -> None:
    content_store(cast.project)
    from django.conf import settings

    (settings.DATA_DIR / "projects" / str(cast.project.pk) / "out.png").write_bytes(b"\x89PNG")
    assert files.names() == ["out.png"]
    assert files.get("out.png")["Content-Type"] == "image/png"
