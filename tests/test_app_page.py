"""The app's page: what it makes the browser load at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.test import Client

from tests.cast import Cast
from zasper_hub import frontend

MANIFEST = {
    "src/main.tsx": {
        "file": "assets/main.js",
        "isEntry": True,
        "imports": ["_shared.js"],
        "css": ["assets/main.css"],
    },
    "_shared.js": {"file": "assets/shared.js", "imports": ["_deep.js"]},
    "_deep.js": {"file": "assets/deep.js"},
    "src/pages/tabs/NotebookTab.tsx": {
        "file": "assets/notebook.js",
        "imports": ["src/main.tsx", "_editor.js"],
        "css": ["assets/notebook.css"],
    },
    "_editor.js": {"file": "assets/editor.js", "imports": ["_shared.js"]},
}
NOTEBOOK = "/p/alice/analysis/f/a%20folder/study.ipynb"


@pytest.fixture
def page(
    cast: Cast, settings: object, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> Client:
    built = tmp_path / "app" / ".vite"
    built.mkdir(parents=True)
    (built / "manifest.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "frame").mkdir()
    monkeypatch.setattr("django.conf.settings.FRONTEND_DIST", tmp_path)
    frontend.entry_assets.cache_clear()
    frontend.frame_hash.cache_clear()
    client.force_login(cast.alice)
    return client


@pytest.fixture(autouse=True)
def other_assets() -> object:
    yield
    frontend.entry_assets.cache_clear()
    frontend.frame_hash.cache_clear()


def linked(client: Client, address: str, kind: str) -> list[str]:
    """What the page names in links whose attributes begin with this."""
    found = re.findall(rf'<link {kind}[^>]*href="([^"]*)"', client.get(address).content.decode())
    return [name.removeprefix("/static/app/") for name in found]


def test_the_modules_that_the_app_imports_are_loaded_beside_it_however_deep(page: Client) -> None:
    assert linked(page, "/", 'rel="modulepreload"') == ["assets/shared.js", "assets/deep.js"]
    assert linked(page, "/", 'rel="stylesheet"') == ["assets/main.css"]


def test_the_address_of_a_notebook_has_the_editor_loaded_beside_the_app(page: Client) -> None:
    wanted = ["assets/shared.js", "assets/deep.js", "assets/notebook.js", "assets/editor.js"]
    assert linked(page, NOTEBOOK, 'rel="modulepreload"') == wanted
    assert linked(page, NOTEBOOK, 'rel="preload" as="style"') == ["assets/notebook.css"]


@pytest.mark.parametrize(
    "address", ["/", "/p/alice/analysis", "/p/alice/analysis/f/data.csv", "/teams/x.ipynb"]
)
def test_other_pages_do_not_load_the_editor(page: Client, address: str) -> None:
    assert "assets/editor.js" not in linked(page, address, 'rel="modulepreload"')


def test_what_a_page_asks_for_first_is_asked_for_at_once(page: Client) -> None:
    projects, me = "/api/hub/v1/projects", "/api/hub/v1/me"
    assert linked(page, NOTEBOOK, 'rel="preload" as="fetch"') == [me, projects]
    assert linked(page, "/", 'rel="preload" as="fetch"') == [me, projects]
    assert linked(page, "/admin/people", 'rel="preload" as="fetch"') == [me]
    for address in (me, projects):
        assert page.get(address).status_code == 200
