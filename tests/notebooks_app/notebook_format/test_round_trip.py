"""Nothing that came with a notebook is lost, and the bytes are Jupyter's own."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import nbformat
from hypothesis import given, settings

from notebooks_app.notebook_format import (
    BlobMissing,
    fold_outputs,
    read_notebook,
    unfold_outputs,
    write_notebook,
)
from tests.notebooks_app.notebook_format.strategies import notebooks


def jupyter_bytes(document: dict[str, Any]) -> bytes:
    """What Jupyter writes for this notebook."""
    node = nbformat.v4.to_notebook(json.loads(json.dumps(document)))  # type: ignore[no-untyped-call]  # nbformat has none
    text: str = nbformat.v4.writes_json(node)  # type: ignore[no-untyped-call]  # nbformat has none
    return (text + "\n").encode()


class MemoryBlobs:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def store(self, data: bytes) -> dict[str, Any]:
        sha256 = hashlib.sha256(data).hexdigest()
        self.kept[sha256] = data
        return {"sha256": sha256, "size_bytes": len(data)}

    def load(self, sha256: str) -> bytes:
        try:
            return self.kept[sha256]
        except KeyError:
            raise BlobMissing(sha256) from None


@settings(max_examples=150, deadline=None)
@given(notebooks())
def test_a_valid_notebook_comes_out_as_jupyter_writes_it(document: dict[str, Any]) -> None:
    written = write_notebook(read_notebook(json.dumps(document).encode()))
    assert written == jupyter_bytes(document)
    nbformat.validate(json.loads(written))


@settings(max_examples=150, deadline=None)
@given(notebooks(with_unknown=True))
def test_unknown_fields_metadata_ids_attachments_and_minor_version_survive(document: dict[str, Any]) -> None:
    first = write_notebook(read_notebook(json.dumps(document).encode()))
    assert json.loads(first) == json.loads(jupyter_bytes(document))
    assert write_notebook(read_notebook(first)) == first


@settings(max_examples=150, deadline=None)
@given(notebooks())
def test_outputs_survive_folding(document: dict[str, Any]) -> None:
    blobs = MemoryBlobs()
    for cell in read_notebook(json.dumps(document).encode()).cells:
        folded = json.loads(json.dumps(fold_outputs(cell.outputs, blobs.store)))
        assert unfold_outputs(folded, blobs.load) == cell.outputs
