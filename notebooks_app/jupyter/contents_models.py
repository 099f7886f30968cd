"""Contents models as Jupyter Server gives them: entries, and the content of files and notebooks."""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
import mimetypes
from collections.abc import AsyncIterator, Iterator, Set
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal

from notebooks_app.notebook_format import Cell, Notebook, NotebookError, read_notebook
from notebooks_app.storage.content_store import Entry

Format = Literal["text", "base64"]
BLOCK_BYTES = 192 * 1024  # divisible by 3: each block's base64 stands for itself


def entry_model(entry: Entry, *, is_writable: bool, with_hash: bool = False) -> dict[str, Any]:
    """The model without content."""
    is_folder = entry.type == "folder"
    shown_at = moment(entry.modified_at)
    has_hash = with_hash and entry.sha256 is not None
    return {
        "name": entry.name,
        "path": entry.path,
        "last_modified": shown_at,
        "created": shown_at,  # file systems that know more do not tell it on all platforms
        "content": None,
        "format": None,
        "mimetype": mimetypes.guess_type(entry.name)[0] if entry.type == "file" else None,
        "size": None if is_folder else entry.size_bytes,
        "writable": is_writable,
        "hash": entry.sha256 if has_hash else None,
        "hash_algorithm": "sha256" if has_hash else None,
        "type": "directory" if is_folder else entry.type,
    }


def moment(value: datetime | None) -> str:
    """ISO 8601 in UTC with `Z`, as Jupyter writes times."""
    shown = (value or datetime.fromtimestamp(0, UTC)).astimezone(UTC)
    return shown.isoformat(timespec="microseconds").replace("+00:00", "Z")


def format_of(stream: BinaryIO, wanted: Format | None) -> Format | None:
    """How to send an open file: as `wanted`, else as text when it is UTF-8. None: text is wanted and it is none."""
    if wanted == "base64":
        return "base64"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := stream.read(BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "base64" if wanted is None else None
    finally:
        stream.seek(0)
    return "text"


def content_blocks(stream: BinaryIO, file_format: Format) -> Iterator[bytes]:
    """The JSON string that holds the file's content, block by block: memory stays flat whatever the size."""
    yield b'"'
    if file_format == "base64":
        # Jupyter uses lines of 76 characters; a decoder takes either.
        while block := stream.read(BLOCK_BYTES):
            yield base64.b64encode(block)
    else:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a kernel may write while we read
        while block := stream.read(BLOCK_BYTES):
            yield json.dumps(decoder.decode(block))[1:-1].encode("ascii")
        yield json.dumps(decoder.decode(b"", final=True))[1:-1].encode("ascii")
    yield b'"'


async def file_model_chunks(
    model: dict[str, Any], stream: BinaryIO, file_format: Format
) -> AsyncIterator[bytes]:
    """The model as JSON with the file's content in it. Closes the file."""
    rest = {key: value for key, value in model.items() if key != "content"}
    try:
        yield json.dumps(rest).encode()[:-1] + b', "content": '
        blocks = content_blocks(stream, file_format)
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            yield block
        yield b"}"
    finally:
        stream.close()


def notebook_content(notebook: Notebook, trusted: Set[str]) -> dict[str, Any]:
    """The notebook as nbformat JSON with every text in one piece, as Jupyter Server sends it.

    `trusted`: cells whose outputs the client has seen and trusts. Nothing else is: it comes from whoever may edit.
    """
    return {
        **notebook.extra,
        "cells": [_cell_content(cell, trusted) for cell in notebook.cells],
        "metadata": notebook.metadata,
        "nbformat": notebook.nbformat,
        "nbformat_minor": notebook.nbformat_minor,
    }


def _cell_content(cell: Cell, trusted: Set[str]) -> dict[str, Any]:
    content: dict[str, Any] = {
        **cell.extra,
        "cell_type": cell.cell_type,
        "metadata": cell.metadata,
        "source": cell.source,
    }
    if cell.id is not None:
        content["id"] = cell.id
    if cell.attachments is not None:
        content["attachments"] = cell.attachments
    if cell.cell_type == "code":
        content["metadata"] = {**cell.metadata, "trusted": not cell.outputs or cell.id in trusted}
        content["execution_count"] = cell.execution_count
        content["outputs"] = cell.outputs
    return content


def notebook_of_content(content: Any) -> Notebook:
    """The notebook that a client sent. Raises NotebookError."""
    if not isinstance(content, dict):
        raise NotebookError("not_a_notebook", "The content is not a notebook.")
    return read_notebook(json.dumps(content).encode())


def trusted_cells_in(content: Any) -> set[str]:
    """Ids of the cells that the client which sent this marks as trusted."""
    cells = content.get("cells") if isinstance(content, dict) else None
    return {
        cell["id"]
        for cell in (cells if isinstance(cells, list) else [])
        if isinstance(cell, dict)
        and isinstance(cell.get("id"), str)
        and isinstance(cell.get("metadata"), dict)
        and cell["metadata"].get("trusted") is True
    }
