"""Outputs between a file and the hub's own form."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import nbformat
import pytest

from notebooks_app.notebook_format import (
    INLINE_LIMIT_BYTES,
    Cell,
    Notebook,
    blobs_in,
    fold_outputs,
    read_notebook,
    unfold_outputs,
    write_notebook,
)
from tests.notebooks_app.notebook_format.test_round_trip import MemoryBlobs


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


def display(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}, **more}


def valid(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs, after nbformat found them valid in a notebook."""
    data = write_notebook(Notebook(cells=(Cell(cell_type="code", source="", outputs=outputs),)))
    nbformat.validate(json.loads(data))
    return list(read_notebook(data).cells[0].outputs)


def test_a_large_picture_becomes_a_blob_of_its_own_bytes_and_comes_back(blobs: MemoryBlobs) -> None:
    picture = os.urandom(INLINE_LIMIT_BYTES)
    text = base64.b64encode(picture).decode()
    [folded] = fold_outputs([display({"image/png": text + "\n", "text/plain": "<Figure>"})], blobs.store)
    assert folded["data"] == {"text/plain": "<Figure>"}
    assert blobs.kept == {folded["blobs"]["image/png"]["sha256"]: picture}
    [output] = unfold_outputs([folded], blobs.load)
    assert output["data"] == {"image/png": text, "text/plain": "<Figure>"}


@pytest.mark.parametrize(
    ("mime", "value"),
    [
        ("text/html", "é" * INLINE_LIMIT_BYTES),
        ("image/svg+xml", "<svg/>" * INLINE_LIMIT_BYTES),
        ("application/vnd.plotly.v1+json", {"data": list(range(20_000))}),
        ("application/json", "text as JSON" * INLINE_LIMIT_BYTES),
        ("image/png", "this is not base64!" * INLINE_LIMIT_BYTES),
    ],
)
def test_a_large_payload_of_any_type_comes_back_as_it_was(mime: str, value: Any, blobs: MemoryBlobs) -> None:
    [folded] = fold_outputs([display({mime: value})], blobs.store)
    assert unfold_outputs([folded], blobs.load) == [display({mime: value})]


def test_a_payload_at_the_limit_stays_inline(blobs: MemoryBlobs) -> None:
    [folded] = fold_outputs([display({"text/plain": "x" * INLINE_LIMIT_BYTES})], blobs.store)
    assert "blobs" not in folded
    [folded] = fold_outputs([display({"text/plain": "x" * (INLINE_LIMIT_BYTES + 1)})], blobs.store)
    assert folded["data"] == {}


def test_a_long_text_of_a_file_is_shown_short_and_written_whole(blobs: MemoryBlobs) -> None:
    text = "".join(f"line {number} …\n" for number in range(200_000))
    output = {"output_type": "stream", "name": "stderr", "text": text}
    [folded] = fold_outputs([output], blobs.store)
    assert len(folded["text"]) == len(folded["tail"]) == 256 * 1024
    assert folded["omitted"] == len(text) - 512 * 1024
    assert sum(chunk["size_bytes"] for chunk in folded["chunks"]) == len(text.encode())
    assert unfold_outputs([folded], blobs.load) == [output]
    blobs.kept.clear()
    [rest] = unfold_outputs([folded], blobs.load)
    assert "characters omitted" in rest["text"]


def test_a_long_text_of_a_run_is_written_as_head_marker_and_tail(blobs: MemoryBlobs) -> None:
    folded = {"output_type": "stream", "name": "stdout", "text": "head", "tail": "tail\n", "omitted": 1234567}
    [output] = valid(unfold_outputs([folded], blobs.load))
    assert output["text"] == "head\n… 1,234,567 characters omitted …\ntail\n"


def test_a_notice_is_valid_nbformat_and_is_known_again(blobs: MemoryBlobs) -> None:
    notice = {"output_type": "notice", "code": "too_many_outputs", "text": "Only 1,000 are shown."}
    written = valid(unfold_outputs([notice], blobs.load))
    assert written[0]["data"] == {"text/plain": "Only 1,000 are shown."}
    assert fold_outputs(written, blobs.store) == [notice]


def test_a_lost_blob_leaves_a_line_and_a_valid_notebook(blobs: MemoryBlobs) -> None:
    folded = {
        "output_type": "execute_result",
        "data": {},
        "metadata": {},
        "execution_count": 3,
        "blobs": {"image/png": {"sha256": "0" * 64, "size_bytes": 123456}},
    }
    [output] = valid(unfold_outputs([folded], blobs.load))
    assert output["data"] == {"text/plain": "[image/png, 123,456 bytes: not kept any more]"}
    assert output["execution_count"] == 3


def test_the_display_id_stays_out_of_the_file(blobs: MemoryBlobs) -> None:
    folded = display({"text/plain": "x"}, display_id="d1")
    assert valid(unfold_outputs([folded], blobs.load)) == [display({"text/plain": "x"})]


def test_unknown_fields_and_types_come_back(blobs: MemoryBlobs) -> None:
    outputs = [
        display({"text/plain": "x"}, transient={"display_id": "d"}),
        {"output_type": "stream", "name": "stdout", "text": "x", "metadata": {"a": 1}},
        {"output_type": "from_the_future", "value": [1, 2], "blobs": [1], "chunks": 3},
        {"output_type": "notice", "blobs": {"image/png": "x"}},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [], "more": True},
    ]
    folded = fold_outputs(outputs, blobs.store)
    assert unfold_outputs(folded, blobs.load) == outputs
    assert blobs_in(folded) == set()


def test_nul_is_replaced_for_the_database(blobs: MemoryBlobs) -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a\0b"},
        display({"application/json": {"k\0": ["\0"]}}),
    ]
    assert "\\u0000" not in repr(fold_outputs(outputs, blobs.store)).replace("\\x00", "\\u0000")
