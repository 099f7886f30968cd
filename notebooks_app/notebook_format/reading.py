"""Bytes of an `.ipynb` file to a `Notebook`. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any, cast

from notebooks_app.notebook_format.contents import CELL_ID, Cell, CellType, Notebook, NotebookError

MAX_NOTEBOOK_BYTES = 50 * 1024 * 1024  # beyond it, neither the browser nor a merge stays usable
MAX_DEPTH = 200  # far above any real notebook, far below the interpreter's recursion limit
_CELL_FIELDS = frozenset({"cell_type", "source", "id", "metadata", "attachments"})
_CODE_FIELDS = _CELL_FIELDS | {"outputs", "execution_count"}
_NOTEBOOK_FIELDS = frozenset({"cells", "metadata", "nbformat", "nbformat_minor"})
# What nbformat leaves out whenever it reads or writes: state of the reader, not of the notebook.
_TRANSIENT_METADATA = ("orig_nbformat", "orig_nbformat_minor", "signature")
_TRANSIENT_CELL_METADATA = "trusted"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89abAB-F]")
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_INT64 = 2**63


def read_notebook(data: bytes, max_bytes: int = MAX_NOTEBOOK_BYTES) -> Notebook:
    """The notebook in `data`.

    Numbers JSON does not have (NaN, Infinity) become null, integers beyond 64 bits floats, and
    unpaired surrogates U+FFFD: neither browsers nor databases could hold them. A cell id that is
    no valid one, or that an earlier cell has, becomes None.

    Raises:
        NotebookError: too large, not JSON, not nbformat, of an old major version.
    """
    if len(data) > max_bytes:
        raise NotebookError(
            "notebook_too_large",
            f"This notebook has {len(data) / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB can be opened. "
            "Clear its outputs in another program, or download it.",
        )
    document = _parsed(data)
    if not isinstance(document, dict):
        raise _not_a_notebook("its JSON is not an object")
    minor = _checked_version(document)
    cells = document.get("cells")
    if not isinstance(cells, list):
        raise _not_a_notebook("it has no list of cells")
    metadata = _object(document.get("metadata"), "its metadata")
    for name in _TRANSIENT_METADATA:
        metadata.pop(name, None)
    seen: set[str] = set()
    return Notebook(
        cells=tuple(_cell(cell, number, seen) for number, cell in enumerate(cells, start=1)),
        metadata=metadata,
        nbformat=4,
        nbformat_minor=minor,
        extra={key: value for key, value in document.items() if key not in _NOTEBOOK_FIELDS},
    )


def _parsed(data: bytes) -> Any:
    long_numbers = _LONG_NUMBER.search(data) is not None
    try:
        document = json.loads(
            data,
            parse_constant=lambda _: None,
            parse_float=_finite,
            parse_int=_bounded if long_numbers else None,
        )
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise _not_a_notebook(f"it is not valid JSON{where}") from error
    if _is_deeper_than(document, MAX_DEPTH):
        raise _not_a_notebook("its JSON is nested too deeply")
    if _SURROGATE_ESCAPE.search(data) is not None:
        document = _with_paired_surrogates(document)
    return document


def _checked_version(document: dict[str, Any]) -> int:
    """The minor version of a notebook of nbformat 4."""
    major = _version(document.get("nbformat"))
    minor = _version(document.get("nbformat_minor", 0))
    if major is None:
        raise _not_a_notebook("it does not say which notebook format it has")
    if major < 4:
        raise NotebookError(
            "notebook_too_old",
            f"This notebook has the old format {major}. Convert it first, for example with "
            "`jupyter nbconvert --to notebook`, and upload the result.",
        )
    if major > 4 or minor is None:
        raise _not_a_notebook("it has a format this hub does not know")
    return minor


def _version(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _cell(raw: Any, number: int, seen: set[str]) -> Cell:
    if not isinstance(raw, dict):
        raise _not_a_notebook(f"cell {number} is not an object")
    cell_type = raw.get("cell_type")
    if cell_type not in ("code", "markdown", "raw"):
        raise _not_a_notebook(f"cell {number} has an unknown type")
    source = _joined(raw.get("source", ""))
    if not isinstance(source, str):
        raise _not_a_notebook(f"the source of cell {number} is not text")
    metadata = _object(raw.get("metadata"), f"the metadata of cell {number}")
    metadata.pop(_TRANSIENT_CELL_METADATA, None)
    cell_id = raw.get("id")
    if not isinstance(cell_id, str) or CELL_ID.fullmatch(cell_id) is None or cell_id in seen:
        cell_id = None
    else:
        seen.add(cell_id)
    attachments = raw.get("attachments")
    if attachments is not None:
        attachments = _object(attachments, f"the attachments of cell {number}")
        for bundle in attachments.values():
            _rejoin_bundle(bundle)
    is_code = cell_type == "code"
    return Cell(
        cell_type=cast("CellType", cell_type),
        source=source,
        id=cell_id,
        metadata=metadata,
        attachments=attachments,
        outputs=_outputs(raw.get("outputs"), number) if is_code else [],
        execution_count=_version(raw.get("execution_count")) if is_code else None,
        extra={
            key: value for key, value in raw.items() if key not in (_CODE_FIELDS if is_code else _CELL_FIELDS)
        },
    )


def _outputs(raw: Any, number: int) -> list[dict[str, Any]]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise _not_a_notebook(f"the outputs of cell {number} are not a list")
    for output in raw:
        if not isinstance(output, dict) or not isinstance(output.get("output_type"), str):
            raise _not_a_notebook(f"an output of cell {number} is none")
        if output["output_type"] in ("execute_result", "display_data"):
            output["data"] = _object(output.get("data"), f"the data of an output of cell {number}")
            output["metadata"] = _object(output.get("metadata"), f"an output's metadata in cell {number}")
            _rejoin_bundle(output["data"])
        elif "text" in output:
            output["text"] = _joined(output["text"])
        if output["output_type"] == "stream" and not isinstance(output.get("text"), str):
            raise _not_a_notebook(f"a stream output of cell {number} has no text")
    return raw


def _rejoin_bundle(bundle: Any) -> None:
    if isinstance(bundle, dict):
        for mime, value in bundle.items():
            if not _is_json_mime(mime):
                bundle[mime] = _joined(value)


def _is_json_mime(mime: str) -> bool:
    # nbformat's rule, whose bytes we write; the hub's own is in kernels_app.bus.payloads.
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def _joined(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _not_a_notebook(f"{what} should be an object")
    return value


def _not_a_notebook(reason: str) -> NotebookError:
    return NotebookError("not_a_notebook", f"This file is not a notebook: {reason}.")


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _bounded(text: str) -> int | float | None:
    # The length first: turning a long text into an integer costs the square of its length.
    if len(text) <= 20 and -_INT64 <= (value := int(text)) < _INT64:
        return value
    return _finite(text)


def _is_deeper_than(document: Any, limit: int) -> bool:
    level: list[Any] = [document] if isinstance(document, dict | list) else []
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _with_paired_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_with_paired_surrogates(item) for item in value]
        case dict():
            return {
                _with_paired_surrogates(key): _with_paired_surrogates(item) for key, item in value.items()
            }
        case _:
            return value
