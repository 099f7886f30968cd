"""A file as an HTTP answer: conditions, ranges, memory flat."""

from __future__ import annotations

from typing import BinaryIO

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date, parse_http_date_safe

from notebooks_app.api.conditions import ANY, requested_range, tags_in
from notebooks_app.api.downloads import BytesResponse, bytes_response, chunks_of, type_of_name
from notebooks_app.storage.content_store import ContentStore, Entry


class NoSuchRange(Exception):
    """The file has none of the bytes asked for: 416, with these headers."""

    def __init__(self, size_bytes: int, headers: dict[str, str]) -> None:
        super().__init__("The file has no such bytes.")
        self.size_bytes = size_bytes
        self.headers = {**headers, "Content-Range": f"bytes */{size_bytes}"}


def stored_file_response(
    request: HttpRequest, store: ContentStore, path: str, *, content_type: str | None, as_attachment: bool
) -> HttpResponseBase:
    """The file at `path`, or the part of it that the request asks for, or 304.

    `content_type` None: by its name, as far as that is harmless. Raises NotFound, NoSuchRange, Invalid for a folder.
    """
    entry, stream = store.open_stream(path)
    try:
        response = _response(request, entry, stream, content_type, as_attachment)
    except BaseException:
        stream.close()
        raise
    if not isinstance(response, BytesResponse):
        stream.close()
    return response


def _response(
    request: HttpRequest, entry: Entry, stream: BinaryIO, content_type: str | None, as_attachment: bool
) -> HttpResponseBase:
    assert entry.etag is not None
    etag = f'"{entry.etag}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if entry.modified_at is not None:
        headers["Last-Modified"] = http_date(entry.modified_at.timestamp())
    known = tags_in(request.headers.get("If-None-Match"))
    if entry.etag in known or ANY in known or (not known and _is_unmodified(request, entry)):
        return HttpResponse(status=304, headers=headers)
    first, last, status = 0, entry.size_bytes - 1, 200
    if request.headers.get("If-Range", etag) == etag:
        try:
            wanted = requested_range(request.headers.get("Range"), entry.size_bytes)
        except ValueError as error:
            raise NoSuchRange(entry.size_bytes, headers) from error
        if wanted is not None:
            (first, last), status = wanted, 206
            headers["Content-Range"] = f"bytes {first}-{last}/{entry.size_bytes}"
    stream.seek(first)
    response = bytes_response(
        chunks_of(stream, last - first + 1 if request.method == "GET" else 0),
        content_type=type_of_name(entry.name) if content_type is None else content_type,
        name=entry.name,
        as_attachment=as_attachment,
        size_bytes=last - first + 1,
        status=status,
    )
    response.source = stream
    for name, value in headers.items():
        response[name] = value
    return response


def _is_unmodified(request: HttpRequest, entry: Entry) -> bool:
    """Since the time of `If-Modified-Since`, to the second; false without one, or for what is no time."""
    since_s = parse_http_date_safe(request.headers.get("If-Modified-Since", ""))
    return (
        since_s is not None
        and entry.modified_at is not None
        and int(entry.modified_at.timestamp()) <= since_s
    )
