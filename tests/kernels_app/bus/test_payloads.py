"""MIME values to blobs and back."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kernels_app.bus.payloads import decode_payload, encode_payload, is_binary_mime, is_json_mime

PNG = base64.b64encode(b"\x89PNG" + bytes(range(256))).decode()


@pytest.mark.parametrize("value", ["not base64!", "abc", 5, {"a": 1}, None])
def test_a_picture_that_is_no_base64_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="no base64"):
        encode_payload("image/png", value)


@pytest.mark.parametrize(
    ("mime", "value"),
    [
        ("image/png", PNG),
        ("application/pdf", PNG),
        ("image/svg+xml", "<svg>é😀</svg>"),
        ("text/html", "<p>é</p>\n"),
        ("application/javascript", "alert(1)"),
        ("application/json", {"a": [1, None, "é"]}),
        ("application/vnd.vegalite.v5+json", {"mark": "bar"}),
        ("application/geo+json", "a string"),
        ("application/x-unknown", "text"),
    ],
)
def test_a_value_comes_back_as_it_was(mime: str, value: Any) -> None:
    assert decode_payload(mime, encode_payload(mime, value)) == value


def test_lines_are_joined_and_line_ends_in_base64_are_nothing() -> None:
    assert encode_payload("text/plain", ["a\n", "b"]) == b"a\nb"
    assert encode_payload("image/png", [PNG[:40] + "\n", PNG[40:] + "\n"]) == base64.b64decode(PNG)


def test_json_that_cannot_be_read_comes_back_as_text() -> None:
    assert decode_payload("application/json", b"{broken") == "{broken"


def test_kinds_of_types() -> None:
    mimes = ("image/png", "image/svg+xml", "audio/wav", "text/csv", "application/pdf")
    assert [mime for mime in mimes if is_binary_mime(mime)] == ["image/png", "audio/wav", "application/pdf"]
    assert is_json_mime("application/vnd.plotly.v1+json")
    assert not is_json_mime("text/json-like")
