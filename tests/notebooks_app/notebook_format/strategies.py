"""Notebooks as other programs may write them, for property tests."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

text = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
lines = st.one_of(text, text.map(lambda value: value.splitlines(keepends=True)))
numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=6,
)
# Fields nbformat drops ("trusted", "signature", …) are tested on their own.
_DROPPED = {"trusted", "signature", "orig_nbformat", "orig_nbformat_minor", "zasper"}
unknown = st.dictionaries(text.filter(lambda key: key not in _DROPPED), json_values, max_size=3)
metadata = st.builds(
    lambda extra, tags: {**{f"x{key}": value for key, value in extra.items()}, **tags},
    unknown,
    st.one_of(
        st.just({}),
        st.builds(
            lambda names: {"tags": names}, st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), unique=True)
        ),
    ),
)
mime_bundles = st.fixed_dictionaries(
    {},
    optional={
        "text/plain": lines,
        "text/html": lines,
        "image/png": st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
        "image/svg+xml": lines,
        "application/json": json_values,
        "application/vnd.x+json": st.dictionaries(text, json_values, max_size=2),
    },
)
counts = st.one_of(st.none(), st.integers(0, 999))
outputs = st.one_of(
    st.fixed_dictionaries(
        {"output_type": st.just("stream"), "name": st.sampled_from(["stdout", "stderr"]), "text": lines}
    ),
    st.fixed_dictionaries(
        {"output_type": st.just("display_data"), "data": mime_bundles, "metadata": metadata}
    ),
    st.fixed_dictionaries(
        {
            "output_type": st.just("execute_result"),
            "data": mime_bundles,
            "metadata": metadata,
            "execution_count": counts,
        }
    ),
    st.fixed_dictionaries(
        {
            "output_type": st.just("error"),
            "ename": text,
            "evalue": text,
            "traceback": st.lists(text, max_size=2),
        }
    ),
)
attachments = st.dictionaries(text, st.dictionaries(st.just("image/png"), text, max_size=1), max_size=2)


@st.composite
def cells(draw: st.DrawFn, cell_id: str | None, with_unknown: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(["code", "markdown", "raw"]))
    cell: dict[str, Any] = {"cell_type": kind, "source": draw(lines), "metadata": draw(metadata)}
    if kind == "code":
        cell |= {"outputs": draw(st.lists(outputs, max_size=3)), "execution_count": draw(counts)}
    elif draw(st.booleans()):
        cell["attachments"] = draw(attachments)
    if cell_id is not None:
        cell["id"] = cell_id
    if with_unknown:
        cell |= {f"unknown_{key}": value for key, value in draw(unknown).items()}
    return cell


@st.composite
def notebooks(draw: st.DrawFn, with_unknown: bool = False) -> dict[str, Any]:
    """nbformat JSON of minor versions 0 to 5; valid unless it has unknown fields."""
    minor = draw(st.integers(0, 5))
    ids: list[str | None] = list(
        draw(st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True), max_size=4, unique=True))
    )
    if minor < 5:
        ids = [None] * len(ids)
    document = {
        "cells": [draw(cells(cell_id, with_unknown)) for cell_id in ids],
        "metadata": draw(metadata),
        "nbformat": 4,
        "nbformat_minor": minor,
    }
    if with_unknown:
        document |= {f"unknown_{key}": value for key, value in draw(unknown).items()}
    return document
