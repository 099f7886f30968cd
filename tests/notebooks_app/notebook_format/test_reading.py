"""What is refused, and what is mended, when a notebook file is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notebooks_app.notebook_format import NotebookError, read_notebook, with_cell_ids, write_notebook


def notebook(*cells: Any, minor: int = 5, **more: Any) -> bytes:
    document = {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": minor, **more}
    return json.dumps(document).encode()


def code(source: Any = "1", **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"outputs": [], "execution_count": None, "metadata": {}}
    return {"cell_type": "code", "source": source, **empty, **more}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"\x89PNG\r\n\x1a\n",
        b"hello",
        b"3",
        b"null",
        b'"text"',
        b"[]",
        b"{}",
        b'{"nbformat": 4}',
        b'{"nbformat": true, "cells": []}',
        b'{"nbformat": "4", "cells": []}',
        b'{"nbformat": 4, "nbformat_minor": "x", "cells": []}',
        b'{"nbformat": 4, "nbformat_minor": -1, "cells": []}',
        b'{"nbformat": 5, "nbformat_minor": 0, "cells": []}',
        b'{"nbformat": 4, "nbformat_minor": 5, "cells": {}}',
        b'{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": []}',
        b'{"nbformat": 4, "nbformat_minor": 5, "cells": []',
        b"[" * 100_000,
        b"[" * 500 + b"]" * 500,
        b'{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {"n": '
        + b"[" * 300
        + b"]" * 300
        + b"}}",
        notebook("text"),
        notebook({"source": "x"}),
        notebook({"cell_type": "heading", "source": "x"}),
        notebook(code(source={"a": 1})),
        notebook(code(source=["a", 1])),
        notebook(code(metadata="x")),
        notebook(code(outputs={})),
        notebook(code(outputs=["x"])),
        notebook(code(outputs=[{"data": {}}])),
        notebook(code(outputs=[{"output_type": "stream", "name": "stdout", "text": 3}])),
        notebook(code(outputs=[{"output_type": "display_data", "data": ["x"]}])),
        notebook({"cell_type": "markdown", "source": "", "attachments": []}),
    ],
)
def test_what_is_no_notebook_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(NotebookError) as caught:
        read_notebook(data)
    assert caught.value.code == "not_a_notebook"
    assert str(caught.value).startswith("This file is not a notebook: ")


@pytest.mark.parametrize("major", [1, 2, 3])
def test_an_old_format_is_refused_with_the_way_out(major: int) -> None:
    data = json.dumps({"nbformat": major, "nbformat_minor": 0, "worksheets": [{"cells": []}]}).encode()
    with pytest.raises(NotebookError, match="nbconvert") as caught:
        read_notebook(data)
    assert caught.value.code == "notebook_too_old"


def test_a_notebook_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(NotebookError, match=r"at most 1\.0 MB") as caught:
        read_notebook(b"[" * 1_000_001, max_bytes=1_000_000)
    assert caught.value.code == "notebook_too_large"


def test_ids_that_are_invalid_or_taken_are_made_anew_the_same_way_each_time() -> None:
    data = notebook(
        code("a", id="one"),
        code("b", id="one"),
        code("c", id="not valid"),
        code("d", id=7),
        code("e"),
        code("e"),
    )
    read = read_notebook(data)
    assert [cell.id for cell in read.cells] == ["one", None, None, None, None, None]
    mended = with_cell_ids(read)
    ids = [cell.id for cell in mended.cells]
    assert len(set(ids)) == 6
    assert None not in ids
    assert with_cell_ids(read_notebook(data)) == mended
    assert [cell.id for cell in read_notebook(write_notebook(read)).cells] == ids


def test_what_browsers_and_databases_cannot_hold_is_mended() -> None:
    data = notebook(code("PLACE", metadata={"x": "HERE"}))
    data = data.replace(
        b'"HERE"', b"[NaN, Infinity, 1e999, 123456789012345678901234567890, 9007199254740993]"
    )
    data = data.replace(b"PLACE", rb"\ud800 \ud83d\ude00 \udc00")
    cell = read_notebook(data).cells[0]
    assert cell.metadata["x"] == [None, None, None, 1.2345678901234568e29, 9007199254740993]
    assert cell.source == "\ufffd \U0001f600 \ufffd"
    json.loads(write_notebook(read_notebook(data)), parse_constant=pytest.fail)


def test_a_number_of_a_million_digits_is_no_way_to_stop_the_hub() -> None:
    data = notebook(code("x", metadata={"x": "HERE"})).replace(b'"HERE"', b"9" * 1_000_000)
    assert read_notebook(data).cells[0].metadata["x"] is None


def test_state_of_another_reader_is_left_out() -> None:
    data = json.dumps(
        {
            "cells": [code(metadata={"trusted": True, "kept": 1})],
            "metadata": {"signature": "x", "orig_nbformat": 3, "kept": 2, "kernelspec": {"name": "deno"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
    ).encode()
    read = read_notebook(data)
    assert read.cells[0].metadata == {"kept": 1}
    assert read.metadata == {"kept": 2, "kernelspec": {"name": "deno"}}
    assert read.kernelspec_name == "deno"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_unicode_encodings_of_json_are_read(encoding: str) -> None:
    data = notebook(code("é")).decode().encode(encoding)
    assert read_notebook(data).cells[0].source == "é"
