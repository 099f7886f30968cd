"""What a new person finds, and that it works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from django.conf import settings

from notebooks_app.example import FILE_NAMES, example_files
from notebooks_app.models import Project, ProjectMembership, Role
from notebooks_app.notebook_format import read_notebook, write_notebook
from notebooks_app.services.example import EXAMPLE_NAME
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.services import create_person

NOTEBOOKS = [name for name in FILE_NAMES if name.endswith(".ipynb")]


@pytest.mark.django_db(transaction=True)
def test_a_new_account_finds_the_example_project() -> None:
    person = create_person(username="newcomer", password="correct horse battery")
    project = Project.objects.get(team=person.personal_team)
    assert project.name == EXAMPLE_NAME
    assert ProjectMembership.objects.get(project=project, user=person).role == Role.OWNER
    entries = content_store(project).list_folder("")
    assert sorted(entry.name for entry in entries) == sorted(FILE_NAMES)


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_does_not_keep_anybody_from_signing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr("notebooks_app.storage.local.LocalFiles.mv", full)
    assert create_person(username="unlucky", password="correct horse battery").pk is not None


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_example_notebook_is_valid_without_outputs_and_written_as_jupyter_does(name: str) -> None:
    data = example_files()[name]
    nbformat.validate(json.loads(data))
    notebook = read_notebook(data)
    assert write_notebook(notebook) == data
    assert not any(cell.outputs or cell.execution_count for cell in notebook.cells)
    assert notebook.kernelspec_name == "python3"


def test_the_analysis_has_about_25_cells() -> None:
    assert 22 <= len(read_notebook(example_files()["Diabetes study.ipynb"]).cells) <= 30


@pytest.mark.integration
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_example_notebook_runs_offline_in_the_kernels_environment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = settings.ENV.hub_kernel_python
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # whatever it would download fails
    work = tmp_path / "project"
    work.mkdir()
    notebook = nbformat.v4.to_notebook(json.loads(example_files()[name]))  # type: ignore[no-untyped-call]  # nbformat has none
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(work)}}
    )
    client.execute()
    outputs: list[dict[str, Any]] = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert not any("Warning" in output.get("text", "") for output in outputs)
    kinds = {mime for output in outputs for mime in output.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
    assert [path.suffix for path in work.iterdir()] == [".csv"]
