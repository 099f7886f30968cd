"""A document with code cells, made through the front door, for the tests of runs."""

from __future__ import annotations

import json
from typing import Any

from notebooks_app.models import Document
from notebooks_app.services.documents import open_document
from notebooks_app.storage.project_files import content_store
from tests.cast import Cast


def make_document(
    cast: Cast, *sources: str, path: str = "work/notebook.ipynb", metadata: dict[str, Any] | None = None
) -> Document:
    """Code cells `c1`, `c2`, … with these sources, and a Markdown cell `text` before them."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "text", "metadata": {}, "source": "# Title"}
    ]
    cells += [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources, start=1)
    ]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata
        if metadata is not None
        else {"kernelspec": {"name": "python3", "display_name": "P"}},
        "cells": cells,
    }
    store = content_store(cast.project)
    if "/" in path:
        store.make_folder(path.rpartition("/")[0])
    store.write(path, [json.dumps(notebook).encode()])
    return open_document(user=cast.alice, project=cast.project, path=path)
