"""Small notebooks for tests, as bytes of `.ipynb` files; and what a notebook's outputs say."""

from __future__ import annotations

import json
from typing import Any


def notebook_file(*sources: str, kernelspec_name: str = "python3") -> bytes:
    """Code cells `cell-0`, `cell-1` … with these sources."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": kernelspec_name, "display_name": kernelspec_name}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def stream_text(cell: dict[str, Any], name: str = "stdout") -> str:
    """All text the cell printed to `name`, from an nbformat cell."""
    return "".join(
        "".join(output["text"])
        for output in cell["outputs"]
        if output["output_type"] == "stream" and output["name"] == name
    )
