"""Answers that carry people's bytes: as attachments, sandboxed, never as something the app's page could run."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from typing import BinaryIO

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

CHUNK_BYTES = 256 * 1024
# What `<img>` draws. In a tab of its own it is in a sandbox and runs nothing, SVG too.
IMAGE_TYPES = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"}
)
# Served by name. HTML, JavaScript and style sheets are not among them: as those, our page's policy would let them run.
_NAMED_TYPES = IMAGE_TYPES | {
    "application/json",
    "application/pdf",
    "text/csv",
    "text/plain",
    "text/markdown",
    "text/tab-separated-values",
    "application/gzip",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-tar",
    "application/x-xz",
    "application/zip",
}
_COMPRESSED_TYPES = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
# What a browser would run or draw: not as text either, so that what is saved from there is taken for nothing else.
_ACTIVE_TYPES = frozenset({"text/html", "text/xml", "text/javascript", "text/ecmascript", "text/x-component"})
# Text by its suffix, whatever the machine's table of types says.
_TEXT_SUFFIXES = frozenset(
    {
        "bib", "c", "cfg", "conf", "cpp", "css", "diff", "go", "h", "hpp", "ini", "ipy", "java", "jl", "log", "patch",
        "py", "pyi", "r", "rmd", "rs", "rst", "sh", "sql", "tex", "toml", "yaml", "yml",
    }
)  # fmt: skip
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


def type_of_name(name: str) -> str:
    """The MIME type to serve a file of this name as."""
    if name.endswith(".ipynb"):
        return "application/json"
    _, dot, suffix = name.rpartition(".")
    if dot and suffix.lower() in _TEXT_SUFFIXES:
        return "text/plain"
    guessed, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return _COMPRESSED_TYPES.get(encoding, "application/octet-stream")
    if guessed is None or guessed in _ACTIVE_TYPES:
        return "application/octet-stream"
    if guessed in _NAMED_TYPES or guessed.startswith(("audio/", "video/")):
        return guessed
    return "text/plain" if guessed.startswith("text/") else "application/octet-stream"


async def chunks_of(stream: BinaryIO, byte_count: int) -> AsyncIterator[bytes]:
    """The next `byte_count` bytes of an open file, read in a thread; closes it at the end."""
    try:
        while byte_count > 0:
            chunk = await asyncio.to_thread(stream.read, min(CHUNK_BYTES, byte_count))
            if not chunk:
                return
            byte_count -= len(chunk)
            yield chunk
    finally:
        stream.close()


class BytesResponse(StreamingHttpResponse):
    """Closes what it sends from, also when the client goes away before the first byte."""

    source: BinaryIO | None = None

    def close(self) -> None:
        super().close()
        if self.source is not None:
            self.source.close()


def bytes_response(
    chunks: AsyncIterator[bytes],
    *,
    content_type: str,
    name: str,
    as_attachment: bool,
    size_bytes: int | None,
    status: int = 200,
) -> BytesResponse:
    """An answer with these bytes, with all the headers that keep a browser from running them."""
    response = BytesResponse(chunks, status=status, content_type=content_type)
    if content_type.startswith("text/"):
        response["Content-Type"] = f"{content_type}; charset=utf-8"
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    disposition = content_disposition_header(as_attachment, name)
    if disposition:
        response["Content-Disposition"] = disposition
    if size_bytes is not None:
        response["Content-Length"] = str(size_bytes)
    return response
