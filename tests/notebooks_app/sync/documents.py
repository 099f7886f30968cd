"""Live documents for tests: a notebook file in the cast's project, opened."""

from __future__ import annotations

import json
from typing import Any

from notebooks_app.models import Document
from notebooks_app.notebook_format import Notebook, read_notebook
from notebooks_app.services.documents import open_document
from notebooks_app.storage.project_files import content_store
from tests.cast import Cast

PATH = "work/study.ipynb"


def cell(cell_id: str, source: str, kind: str = "code", **fields: Any) -> dict[str, Any]:
    """A cell as it is in a file."""
    made: dict[str, Any] = {"cell_type": kind, "id": cell_id, "metadata": {}, "source": source, **fields}
    if kind == "code":
        made = {"outputs": [], "execution_count": None, **made}
    return made


def notebook_json(*cells: dict[str, Any], minor: int = 5, **metadata: Any) -> bytes:
    """Formatted as Jupyter does, so that an export of the same notebook is the same bytes."""
    document = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
    for one in cells:
        one["source"] = one["source"].splitlines(keepends=True)
        if minor < 5:
            one.pop("id")
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))
    return text.encode() + b"\n"


def write_file(cast: Cast, data: bytes, path: str = PATH) -> None:
    """As a kernel or another program does: without asking the hub."""
    content_store(cast.project).write(path, [data])


def read_file(cast: Cast, path: str = PATH) -> bytes:
    return content_store(cast.project).read(path, max_bytes=10**9)[1]


def file_notebook(cast: Cast, path: str = PATH) -> Notebook:
    return read_notebook(read_file(cast, path))


def file_sources(cast: Cast, path: str = PATH) -> list[str]:
    return [one.source for one in file_notebook(cast, path).cells]


def names_beside(cast: Cast, folder: str = "work") -> list[str]:
    return sorted(entry.name for entry in content_store(cast.project).list_folder(folder))


def open_it(cast: Cast, path: str = PATH) -> Document:
    return open_document(user=cast.alice, project=cast.project, path=path)


def make_document(cast: Cast, *cells: dict[str, Any], path: str = PATH, minor: int = 5) -> Document:
    write_file(cast, notebook_json(*(cells or (cell("a", "x = 1\n"), cell("b", "y = 2"))), minor=minor), path)
    return open_it(cast, path)
