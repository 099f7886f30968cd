"""Files as a browser gets them: nothing of them runs in the hub's origin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils.http import http_date, parse_http_date

from notebooks_app.storage.project_files import content_store
from tests.cast import Cast, token_of
from tests.notebooks_app.jupyter.server import Server, body
from tests.notebooks_app.sync.documents import notebook_json, write_file

HTML = b"<script>document.body.innerHTML = 'ran'</script><h1>Report</h1>"


@pytest.fixture
def carol(cast: Cast) -> Server:
    return Server(cast, cast.carol)


def write(cast: Cast, name: str, data: bytes) -> None:
    content_store(cast.project).write(name, [data])


def policy(response: Any) -> list[str]:
    return [part.strip() for part in response["Content-Security-Policy"].split(";")]


@pytest.mark.parametrize(
    "name", ["a.html", "a.svg", "a.js", "a.txt", "a.xhtml", "a.pdf", "a", "a.htm", "a.xml"]
)
@pytest.mark.parametrize("address", ["files", "view"])
def test_whatever_is_served_is_in_a_sandbox_of_another_origin(
    carol: Server, cast: Cast, address: str, name: str
) -> None:
    write(cast, name, HTML)
    response = carol.call("GET", f"{address}/{name}")
    assert response.status_code == 200
    [sandbox] = [part for part in policy(response) if part.startswith("sandbox")]
    assert "allow-same-origin" not in sandbox
    assert "allow-top-navigation" not in sandbox
    assert "default-src 'none'" in policy(response)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert not any(part.startswith("connect-src") for part in policy(response))
    if "allow-scripts" in sandbox:
        assert address == "view"
        assert response["Content-Type"].startswith("text/html")
    if response["Content-Type"].startswith("text/html"):
        assert address == "view"


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "view/report.html"),
        ("HEAD", "view/report.html"),
        ("GET", "view/a.xhtml"),
        ("GET", "nbconvert/html/a.ipynb"),
    ],
)
def test_a_page_whose_scripts_run_has_no_token_in_its_address(cast: Cast, method: str, address: str) -> None:
    for name in ("report.html", "a.xhtml", "a.txt"):
        write(cast, name, HTML)
    token, base = token_of(cast.carol), "/jupyter/alice/analysis"
    refused = Client().generic(method, f"{base}/{address}?token={token}")
    assert refused.status_code == 403
    assert HTML not in body(refused)
    if method == "GET":
        assert "Authorization" in refused.json()["message"]
    # What runs no scripts reads no address.
    for harmless in ("view/a.txt", "files/report.html"):
        assert Client().generic(method, f"{base}/{harmless}?token={token}").status_code == 200


def test_a_page_is_drawn_by_view_only(carol: Server, cast: Cast) -> None:
    write(cast, "report.html", HTML)
    assert carol.call("GET", "view/report.html")["Content-Type"].startswith("text/html")
    assert body(carol.call("GET", "view/report.html")) == HTML
    assert carol.call("GET", "files/report.html")["Content-Type"] == "application/octet-stream"


def test_a_file_is_downloaded_when_asked(carol: Server, cast: Cast) -> None:
    write(cast, "a.txt", b"x")
    assert carol.call("GET", "files/a.txt")["Content-Disposition"].startswith("inline")
    assert carol.call("GET", "files/a.txt?download=1")["Content-Disposition"].startswith("attachment")


def test_a_known_file_is_not_sent_again(carol: Server, cast: Cast) -> None:
    write(cast, "a.txt", b"x")
    etag = carol.call("GET", "files/a.txt")["ETag"]
    assert carol.call("GET", "files/a.txt", If_None_Match=etag).status_code == 304


def test_a_file_that_did_not_change_since_is_not_sent_again(carol: Server, cast: Cast) -> None:
    write(cast, "a.txt", b"x")
    first = carol.call("GET", "files/a.txt")
    since = first["Last-Modified"]
    before = http_date(parse_http_date(since) - 1)
    assert carol.call("GET", "files/a.txt", If_Modified_Since="soon").status_code == 200
    assert carol.call("GET", "files/a.txt", If_Modified_Since=before).status_code == 200
    changed = carol.call("GET", "files/a.txt", If_Modified_Since=since, If_None_Match='"other"')
    assert changed.status_code == 200, "the tag alone counts"
    for method in ("GET", "HEAD"):
        same = carol.call(method, "files/a.txt", If_Modified_Since=since)
        assert (same.status_code, same["ETag"], body(same)) == (304, first["ETag"], b"")


@pytest.mark.parametrize(
    "address", ["api/contents?content=1", "api/contents/a.ipynb", "api/me", "api/kernelspecs"]
)
@pytest.mark.usefixtures("hub_wire")
def test_an_answer_that_the_client_has_is_not_sent_again(carol: Server, cast: Cast, address: str) -> None:
    write_file(cast, notebook_json(), "a.ipynb")
    first = carol.call("GET", address)
    assert first.status_code == 200
    for known in ('"other"', "nonsense"):
        again = carol.call("GET", address, If_None_Match=known)
        assert (again.status_code, body(again)) == (200, body(first))
    same = carol.call("GET", address, If_None_Match=f'"other", {first["ETag"]}')
    assert (same.status_code, same["ETag"], body(same)) == (304, first["ETag"], b"")


def test_an_answer_that_changed_is_sent(carol: Server, cast: Cast) -> None:
    tag = carol.call("GET", "api/contents")["ETag"]
    write(cast, "a.txt", b"x")
    assert carol.call("GET", "api/contents", If_None_Match=tag).status_code == 200
    assert carol.call("GET", "api/contents/absent", If_None_Match="*").status_code == 404


def test_a_folder_is_no_file(carol: Server, cast: Cast) -> None:
    write(cast, "sub/a.txt", b"x")
    assert carol.call("GET", "files/sub").status_code == 403
    assert carol.call("GET", "files/absent").status_code == 404
