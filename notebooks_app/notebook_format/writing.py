"""A `Notebook` to the bytes of an `.ipynb` file, as Jupyter itself formats them. Pure."""

from __future__ import annotations

import json
from typing import Any

from notebooks_app.notebook_format.contents import FIRST_MINOR_WITH_IDS, Cell, Notebook, with_cell_ids

# nbformat.v4.rwbase: types whose text is split into lines, beside `text/*`.
_SPLIT_TYPES = frozenset({"application/javascript", "image/svg+xml"})


def write_notebook(notebook: Notebook) -> bytes:
    """nbformat JSON of the minor version the notebook came with; the same notebook, the same bytes.

    Cell ids are written from nbformat 4.5 on, made where they are missing, and left out below it.
    """
    has_ids = notebook.nbformat_minor >= FIRST_MINOR_WITH_IDS
    if has_ids:
        notebook = with_cell_ids(notebook)
    document = {
        **notebook.extra,
        "cells": [_cell(cell, has_ids) for cell in notebook.cells],
        "metadata": notebook.metadata,
        "nbformat": notebook.nbformat,
        "nbformat_minor": notebook.nbformat_minor,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))
    return text.encode("utf-8", "replace") + b"\n"


def _cell(cell: Cell, has_ids: bool) -> dict[str, Any]:
    raw: dict[str, Any] = {
        **cell.extra,
        "cell_type": cell.cell_type,
        "metadata": cell.metadata,
        "source": cell.source.splitlines(keepends=True),
    }
    if has_ids:
        raw["id"] = cell.id
    if cell.attachments is not None:
        raw["attachments"] = {
            name: _split_bundle(bundle) if isinstance(bundle, dict) else bundle
            for name, bundle in cell.attachments.items()
        }
    if cell.cell_type == "code":
        raw["execution_count"] = cell.execution_count
        raw["outputs"] = [_output(output) for output in cell.outputs]
    return raw


def _output(output: dict[str, Any]) -> dict[str, Any]:
    kind = output["output_type"]
    if kind in ("execute_result", "display_data"):
        return {**output, "data": _split_bundle(output["data"])}
    if kind == "stream":
        return {**output, "text": output["text"].splitlines(keepends=True)}
    return output


def _split_bundle(bundle: dict[str, Any]) -> dict[str, Any]:
    return {
        mime: value.splitlines(keepends=True)
        if isinstance(value, str) and (mime.startswith("text/") or mime in _SPLIT_TYPES)
        else value
        for mime, value in bundle.items()
    }
