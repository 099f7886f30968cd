"""Notebooks in other formats: made by a process that can reach nothing of the hub."""

from __future__ import annotations

import base64
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from notebooks_app.errors import Invalid, Unavailable
from notebooks_app.services import conversions
from tests.cast import Cast
from tests.notebooks_app.jupyter.server import Server, body
from tests.notebooks_app.services.exported_documents import edit, set_source
from tests.notebooks_app.sync.documents import PATH, cell, make_document, notebook_json, write_file

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def carol(cast: Cast) -> Server:
    return Server(cast, cast.carol)


@pytest.fixture
def has_nbconvert(settings: Any) -> None:
    """The kernel environment as bootstrap sets it up."""
    if not list(ROOT.glob(".kernel-venv/lib/python3*/site-packages/nbconvert")):
        pytest.fail("the kernel environment has no nbconvert: make setup-dev")


def program(folder: Path, text: str) -> Path:
    """An executable that stands in for the kernel environment's Python."""
    path = folder / "python"
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.usefixtures("has_nbconvert", "hub_wire")
def test_a_notebook_is_converted_as_people_see_it(carol: Server, cast: Cast) -> None:
    document = make_document(cast)
    edit(document, set_source("a", "print('live')\n"), is_compacted=False)
    script = carol.call("GET", f"nbconvert/script/{PATH}")
    assert script.status_code == 200, body(script)
    assert b"print('live')" in body(script)
    assert script["Content-Type"] == "text/plain; charset=utf-8", "it does not say of which language it is"


@pytest.mark.usefixtures("has_nbconvert")
def test_html_is_a_page_that_reaches_no_other_address(carol: Server, cast: Cast) -> None:
    write_file(cast, notebook_json(cell("a", "print(1)")), "a.ipynb")
    page = carol.call("GET", "nbconvert/html/a.ipynb")
    assert page.status_code == 200, body(page)
    assert page["Content-Type"].startswith("text/html")
    assert "connect-src" not in page["Content-Security-Policy"]
    assert page["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert b"<title>a</title>" in body(page)


@pytest.mark.usefixtures("has_nbconvert")
def test_markdown_with_pictures_comes_as_an_archive(carol: Server, cast: Cast) -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    outputs = [{"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}]
    write_file(cast, notebook_json(cell("a", "plot()", outputs=outputs)), "a.ipynb")
    answer = carol.call("GET", "nbconvert/markdown/a.ipynb")
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        assert "a.md" in archive.namelist()
        assert len(archive.namelist()) == 2


@pytest.mark.usefixtures("has_nbconvert")
def test_a_script_has_the_type_of_its_language_if_that_is_harmless(carol: Server) -> None:
    for mimetype, served in (
        ("text/html", "text/plain"),
        ("a/b\nc: d", "text/plain"),
        ("text/x-python",) * 2,
    ):
        content = {
            "cells": [cell("a", "print(1)")],
            "metadata": {"language_info": {"name": "python", "mimetype": mimetype, "file_extension": ".py"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        answer = carol.call("POST", "nbconvert/script", {"content": content})
        assert (answer.status_code, answer["Content-Type"]) == (200, f"{served}; charset=utf-8")


@pytest.mark.usefixtures("has_nbconvert")
def test_html_has_no_scripts_of_the_notebook_when_that_is_asked_for(carol: Server, cast: Cast) -> None:
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": "<b>bold</b><script>evil_output()</script>"},
    }
    cells = [
        {**cell("a", "1"), "outputs": [output]},
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "x<script>evil_markdown()</script>"},
    ]
    write_file(cast, notebook_json(*cells), "a.ipynb")
    file = carol.call("GET", "files/a.ipynb")
    for query, has_scripts in (("", True), ("?sanitize_html=false", True), ("?sanitize_html=True", False)):
        answer = carol.call("GET", f"nbconvert/html/a.ipynb{query}")
        text = body(answer)
        assert (answer.status_code, answer["Last-Modified"]) == (200, file["Last-Modified"])
        assert b"<b>bold</b>" in text
        assert (b"<script>evil_output()" in text, b"<script>evil_markdown()" in text) == (has_scripts,) * 2


@pytest.mark.usefixtures("has_nbconvert")
def test_a_notebook_does_not_choose_its_exporter(carol: Server) -> None:
    """Else it could name any class that can be imported, or one that starts a browser or TeX."""
    for exporter in ("webpdf", "os.system", "antigravity.fly"):
        content = {
            "cells": [cell("a", "print(1)")],
            "metadata": {"language_info": {"name": "python", "nbconvert_exporter": exporter}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        answer = carol.call("POST", "nbconvert/script", {"content": content})
        assert answer.status_code == 200, body(answer)
        assert b"print(1)" in body(answer)


@pytest.mark.usefixtures("has_nbconvert")
@pytest.mark.parametrize("name", ["-h.ipynb", "../../x.ipynb", "a\x00b.ipynb", "", 5, "x" * 5_000])
def test_a_name_is_only_a_name(carol: Server, name: Any) -> None:
    content = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    answer = carol.call("POST", "nbconvert/html", {"content": content, "name": name})
    assert answer.status_code == 200, body(answer)


def test_an_unknown_format_is_not_there(carol: Server, cast: Cast) -> None:
    write_file(cast, notebook_json(), "a.ipynb")
    for target in ("pdf", "nonsense", "python.os"):
        assert carol.call("GET", f"nbconvert/{target}/a.ipynb").status_code == 404
    assert carol.call("GET", "nbconvert/html/absent.ipynb").status_code == 404


@pytest.mark.parametrize("content", [None, 5, "x", {"cells": 1}, {"nbformat": 3, "cells": []}])
def test_what_is_no_notebook_is_refused(carol: Server, content: Any) -> None:
    assert carol.call("POST", "nbconvert/html", {"content": content}).status_code == 400


def test_another_file_is_sent_as_it_is(carol: Server, cast: Cast) -> None:
    write_file(cast, b"x", "a b.txt")
    answer = carol.call("GET", "nbconvert/html/a%20b.txt")
    assert (answer.status_code, answer["Location"]) == (302, "/jupyter/alice/analysis/files/a%20b.txt")


def test_the_process_gets_nothing_of_the_hubs_environment(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", "very secret")
    settings.KERNEL_PYTHON = program(
        tmp_path,
        "#!/bin/sh\nenv > result\npwd >> result\n"
        'echo \'{"extension": ".txt", "mimetype": "text/plain"}\' > result.json\n',
    )
    made = conversions.convert_notebook(b"{}", target="html", name="a")
    with made.stream as stream:
        text = stream.read().decode()
    assert "very secret" not in text
    assert "HUB_" not in text
    folder = text.strip().splitlines()[-1]
    assert not Path(folder).exists(), "its folder is gone"
    assert f"HOME={folder}" in text


def test_a_process_that_does_not_end_is_ended(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "TIME_LIMIT_S", 0.3)
    settings.KERNEL_PYTHON = program(tmp_path, f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    with pytest.raises(Invalid, match="too long"):
        conversions.convert_notebook(b"{}", target="html", name="a")
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo ModuleNotFoundError: nbconvert >&2; exit 1", Unavailable),
        ("echo MemoryError >&2; exit 1", Invalid),
        ("echo '/secret/path failed' >&2; exit 3", Invalid),
        ("exit 0", Invalid),
    ],
)
def test_a_process_that_fails_tells_no_path(
    tmp_path: Path, settings: Any, script: str, error: type[Exception]
) -> None:
    settings.KERNEL_PYTHON = program(tmp_path, f"#!/bin/sh\n{script}\n")
    with pytest.raises(error) as raised:
        conversions.convert_notebook(b"{}", target="html", name="a")
    assert "secret" not in str(raised.value)


def test_without_a_kernel_environment_the_answer_says_so(
    carol: Server, cast: Cast, settings: Any, tmp_path: Path
) -> None:
    write_file(cast, notebook_json(), "a.ipynb")
    settings.KERNEL_PYTHON = tmp_path / "absent"
    assert carol.call("GET", "nbconvert/html/a.ipynb").status_code == 503
