"""Where a kernel starts: as Jupyter Server finds the folder of a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from kernels_app.bus.envelopes import StartKernel
from kernels_app.bus.memory_store import MemoryStore
from kernels_app.models import Kernel
from kernels_app.services.kernels import start_kernel
from notebooks_app.storage.project_files import content_store, project_folder
from tests.cast import Cast
from tests.kernels_app.documents import make_document
from tests.kernels_app.scripted_node import ScriptedNode
from tests.notebooks_app.jupyter.server import Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def node(hub_wire: MemoryStore) -> ScriptedNode:
    return ScriptedNode(hub_wire)


@pytest.fixture
def bob(cast: Cast, node: ScriptedNode) -> Server:
    store = content_store(cast.project)
    store.make_folder("work/deep.ipynb")
    store.write("work/a.ipynb", [b"{}"])
    return Server(cast, cast.bob)


@pytest.mark.parametrize("path", ["..", "work/../..", "../work", "work/..", "a\0b", "x" * 1001])
def test_a_path_that_may_lead_out_of_the_project_starts_nothing(bob: Server, path: str) -> None:
    assert bob.call("POST", "api/kernels", {"path": path}).status_code == 400
    assert bob.call("POST", "api/sessions", {"path": path, "type": "notebook"}).status_code == 400
    assert not Kernel.objects.exists()


def test_a_link_out_of_the_project_is_no_folder(
    cast: Cast, bob: Server, node: ScriptedNode, tmp_path: Path
) -> None:
    outside = Path(settings.DATA_DIR) / project_folder(cast.project.pk) / "work" / "outside"
    outside.symlink_to(tmp_path)
    bob.call("POST", "api/kernels", {"path": "work/outside"})
    assert node.command(StartKernel).cwd == "work"


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("", ""),
        ("/", ""),
        ("work", "work"),
        ("/work/", "work"),
        ("work//./deep.ipynb", "work/deep.ipynb"),
        ("work/a.ipynb", "work"),
        ("work/gone/b.ipynb", "work"),
        ("work/a.ipynb/c", "work"),
        ("gone/work", ""),
        ("c:\\work\\a.ipynb", ""),
        ("/home/bob/a.ipynb", ""),
    ],
)
def test_the_nearest_folder_there_is(bob: Server, node: ScriptedNode, path: str, folder: str) -> None:
    assert bob.call("POST", "api/kernels", {"path": path}).status_code == 201
    assert node.command(StartKernel).cwd == folder
    if path.strip("/"):
        made = bob.call("POST", "api/sessions", {"path": path, "type": "console"})
        assert (made.status_code, made.json()["path"]) == (201, path)
        assert node.command(StartKernel).cwd == folder


@pytest.mark.parametrize(
    ("asked", "session_file"),
    [
        ({"path": "work/a.ipynb", "name": "a.ipynb"}, "work/a.ipynb"),
        ({"path": "work/5c2b3c1e", "name": "a.ipynb"}, "work/a.ipynb"),
        ({"path": "a.ipynb", "name": "a.ipynb"}, "a.ipynb"),
        ({"path": "gone/a.ipynb", "name": "a.ipynb"}, "a.ipynb"),
        ({"path": "work/a.ipynb"}, "work/a.ipynb"),
        ({"path": "work/a.ipynb", "name": "/home/bob/a.ipynb"}, "/home/bob/a.ipynb"),
    ],
)
def test_the_kernel_of_a_session_is_told_its_file(
    bob: Server, node: ScriptedNode, asked: dict[str, str], session_file: str
) -> None:
    made = bob.call("POST", "api/sessions", {"type": "console", **asked}).json()
    assert node.command(StartKernel).session_file == session_file
    bob.call("PATCH", f"api/sessions/{made['id']}", {"path": "b", "name": "b", "kernel": {"name": "deno"}})
    [start] = [command for command in node.commands() if isinstance(command, StartKernel)]
    assert start.session_file == "b"


def test_the_kernel_of_a_document_is_told_its_path(cast: Cast, node: ScriptedNode) -> None:
    document = make_document(cast, "1", path="deep/b.ipynb")
    start_kernel(user=cast.bob, document=document)
    assert node.command(StartKernel).session_file == "deep/b.ipynb"


def test_a_kernel_without_a_session_is_told_none(bob: Server, node: ScriptedNode) -> None:
    bob.call("POST", "api/kernels", {"path": "work"})
    assert node.command(StartKernel).session_file == ""
