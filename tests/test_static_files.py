"""Static files before Django: the right form of the right file, and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from zasper_hub.static_files import StaticFiles

SCRIPT = b"export const answer = 42;\n" * 100
NAME = "/static/app/assets/main-Abcdefg1.js"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StaticFiles:
    assets = tmp_path / "static" / "app" / "assets"
    assets.mkdir(parents=True)
    (assets / "main-Abcdefg1.js").write_bytes(SCRIPT)
    (assets / "main-Abcdefg1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "static" / "plain.css").write_text("p { color: red }")
    (tmp_path / "secret.txt").write_text("not for anybody")
    monkeypatch.setattr("django.conf.settings.STATIC_ROOT", tmp_path / "static")

    async def django(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"who", b"django")]})
        await send({"type": "http.response.body", "body": b""})

    return StaticFiles(django)


async def ask(
    files: StaticFiles, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await files({"type": "http", "method": method, "path": path, "headers": given}, None, send)
    start, body = sent
    return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, body["body"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js", "/static/", "/static", "/static/../secret.txt", "/static/app/../../secret.txt",
        "/static//etc/passwd", "/static/%2e%2e/secret.txt", "/static/plain.css/", "//static/plain.css",
        "/static/app/assets/main-Abcdefg1.js\0", "/secret.txt", "/",
    ],
)  # fmt: skip
async def test_what_is_no_static_file_is_django_s(files: StaticFiles, path: str) -> None:
    status, headers, _ = await ask(files, path)
    assert (status, headers) == (404, {"who": "django"})


async def test_nothing_is_written_to_a_static_file(files: StaticFiles) -> None:
    status, _, _ = await ask(files, NAME, "POST")
    assert status == 405


async def test_a_script_comes_compressed_to_who_takes_it(files: StaticFiles) -> None:
    status, headers, body = await ask(files, NAME, accept_encoding="gzip, deflate, br")
    assert (status, headers["content-encoding"], gzip.decompress(body)) == (200, "gzip", SCRIPT)
    assert headers["vary"] == "Accept-Encoding"
    status, headers, body = await ask(files, NAME)
    assert (status, body) == (200, SCRIPT)
    assert "content-encoding" not in headers


async def test_names_with_a_hash_are_kept_for_ever_others_are_asked_for_again(files: StaticFiles) -> None:
    _, hashed, _ = await ask(files, NAME)
    _, plain, _ = await ask(files, "/static/plain.css")
    assert "immutable" in hashed["cache-control"]
    assert "immutable" not in plain["cache-control"]


async def test_what_a_browser_has_is_not_sent_again(files: StaticFiles) -> None:
    _, headers, _ = await ask(files, NAME)
    status, _, body = await ask(files, NAME, if_none_match=headers["etag"])
    assert (status, body) == (304, b"")


async def test_a_part_can_be_asked_for_and_the_head_alone(files: StaticFiles) -> None:
    status, headers, body = await ask(files, NAME, range="bytes=7-11")
    assert (status, headers["content-range"], body) == (206, f"bytes 7-11/{len(SCRIPT)}", SCRIPT[7:12])
    status, headers, body = await ask(files, NAME, "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(SCRIPT)), b"")


async def test_below_a_base_path_they_are_there_and_nowhere_else(
    tmp_path: Path, files: StaticFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.FORCE_SCRIPT_NAME", "/hub")
    monkeypatch.setattr("django.conf.settings.STATIC_URL", "/hub/static/")
    below = StaticFiles(files.application)
    assert (await ask(below, f"/hub{NAME}"))[0] == 200
    assert (await ask(below, NAME))[1] == {"who": "django"}


async def test_answers_are_bound_as_all_others(files: StaticFiles) -> None:
    _, headers, _ = await ask(files, "/static/plain.css")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["content-type"].startswith("text/css")
