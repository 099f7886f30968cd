"""`api/contents`: the project's files as Jupyter Server shows them. Saving: `contents_saving`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from notebooks_app.errors import Exists, NotFound
from notebooks_app.jupyter.contents_models import (
    entry_model,
    file_model_chunks,
    format_of,
    notebook_content,
)
from notebooks_app.jupyter.contents_saving import content_type_of, save_body
from notebooks_app.jupyter.endpoints import Call, Endpoint, JupyterError, answer, no_content
from notebooks_app.models import Role
from notebooks_app.notebook_format import Notebook, write_notebook
from notebooks_app.services import files as services
from notebooks_app.services.client_notebooks import read_client_notebook, settle_notebook
from notebooks_app.storage.content_store import ContentStore, Entry
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.errors import BadRequest
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

# A notebook may come with its outputs: as much as the hub opens, and the escapes of JSON.
MAX_BODY_BYTES = 128 * 1024 * 1024
_COPY_MARK = re.compile(r"-Copy\d*\.")
_LAST_COPY_MARK = re.compile(r"-Copy\d*$")

contents = Endpoint()


@contents.on("GET", Need.VIEWER, Scope.READ)
def get_contents(call: Call, path: str = "") -> HttpResponseBase:
    """A file or folder; with `content=0` without what is in it."""
    shown = path.strip("/")
    kind = content_type_of(call.argument("type"))
    file_format = call.argument("format")
    if file_format not in (None, "text", "base64"):
        raise BadRequest(f"Format {file_format!r} is invalid")
    wants_content = _flag(call, "content", "1", "Content {!r} is invalid")
    with_hash = _flag(call, "hash", "0", "Hash argument {!r} is invalid. It must be '0' or '1'.")
    store = content_store(call.project)
    try:
        return _found(call, store, shown, kind, file_format, wants_content, with_hash)
    except NotFound as error:
        raise NotFound(f"file or directory {shown!r} does not exist") from error


def _found(
    call: Call,
    store: ContentStore,
    path: str,
    kind: str | None,
    file_format: Any,
    wants_content: bool,
    with_hash: bool,
) -> HttpResponseBase:
    if path.endswith(".ipynb"):
        settle_notebook(call.project, path)
    entry = store.entry(path)
    if entry.type == "folder":
        if kind not in (None, "directory"):
            raise JupyterError(400, f"{path} is a directory, not a {kind}", "bad type")
        return _folder(call, store, entry, wants_content)
    if kind == "directory":
        raise JupyterError(400, f"{path} is not a directory", "bad type")
    is_notebook = kind == "notebook" or (kind is None and entry.type == "notebook")
    model = _model(call, entry, with_hash=with_hash)
    if not wants_content:
        return answer(model, modified_at_s=_seconds(entry))
    if is_notebook:
        entry, notebook, trusted = read_client_notebook(call.project, path, client=call.client)
        model = {
            **_model(call, entry, with_hash=with_hash),
            "type": "notebook",
            "mimetype": None,
            "content": notebook_content(notebook, trusted),
            "format": "json",
        }
        return answer(model, modified_at_s=_seconds(entry))
    return _file(call, store, path, file_format, with_hash)


def _folder(call: Call, store: ContentStore, entry: Entry, wants_content: bool) -> HttpResponseBase:
    model = _model(call, entry)
    if wants_content:
        model["content"] = [_model(call, child) for child in store.list_folder(entry.path)]
        model["format"] = "json"
    return answer(model, modified_at_s=_seconds(entry))


def _file(call: Call, store: ContentStore, path: str, wanted: Any, with_hash: bool) -> HttpResponseBase:
    entry, stream = store.open_stream(path)
    try:
        file_format = format_of(stream, wanted)
        if file_format is None:
            raise JupyterError(400, f"{path} is not UTF-8 encoded", "bad format")
        model = {**_model(call, entry, with_hash=with_hash), "type": "file", "format": file_format}
        if model["mimetype"] is None:
            model["mimetype"] = "text/plain" if file_format == "text" else "application/octet-stream"
        response = StreamingHttpResponse(
            file_model_chunks(model, stream, file_format), content_type="application/json"
        )
    except BaseException:
        stream.close()
        raise
    modified_at_s = _seconds(entry)
    if modified_at_s is not None:
        response["Last-Modified"] = http_date(modified_at_s)
    # Closed also when the client goes away before the first byte.
    response._resource_closers.append(stream.close)  # type: ignore[attr-defined]  # Django's own list
    return response


@contents.on("POST", Need.EDITOR, Scope.WRITE)
def create(call: Call, path: str = "") -> HttpResponseBase:
    """A new file, notebook or folder, or a copy of one, in the folder `path`; the hub names it.

    A copy may also have a name of its own: `path`, if nothing is there.
    """
    return create_in(call, path.strip("/"), call.json_body())


def create_in(call: Call, folder: str, body: dict[str, Any]) -> HttpResponseBase:
    copied = body.get("copy_from")
    try:
        entry = content_store(call.project).entry(folder)
    except NotFound as error:
        if copied:
            return _saved(call, _copy_as(call, _text(copied, "copy_from").strip("/"), folder), status=201)
        raise NotFound(f"No such directory: {folder}") from error
    if entry.type != "folder":
        raise BadRequest("Cannot POST to files, use PUT instead.")
    if copied:
        made = _copy(call, _text(copied, "copy_from").strip("/"), entry.path)
    else:
        made = _new_untitled(call, entry.path, content_type_of(body.get("type")), body.get("ext"))
    return _saved(call, made, status=201)


@contents.on("PUT", Need.EDITOR, Scope.WRITE)
def save(call: Call, path: str = "") -> HttpResponseBase:
    """Saves a file, a notebook or a part of an upload; makes a folder."""
    shown = path.strip("/")
    body = call.optional_json_body(max_bytes=MAX_BODY_BYTES)
    if not body:
        return create_in(call, shown, {})
    if body.get("copy_from"):
        raise BadRequest("Cannot copy with PUT, only POST")
    entry, is_new = save_body(call, shown, body)
    return _saved(call, entry, status=201 if is_new else 200)


@contents.on("PATCH", Need.EDITOR, Scope.WRITE)
def rename(call: Call, path: str = "") -> HttpResponseBase:
    """Moves a file or folder to the `path` of the body."""
    body = call.optional_json_body()
    if body is None:
        raise BadRequest("JSON body missing")
    source = path.strip("/")
    target = _text(body.get("path") or source, "path").strip("/")
    try:
        entry = content_store(call.project).entry(source)
        if target != source:
            entry = services.move_file(call.project, source, target, user=call.user)
    except NotFound as error:
        raise NotFound(f"File or directory does not exist: {source}") from error
    except Exists as error:
        raise Exists(f"File already exists: {target}") from error
    return _saved(call, entry, status=200)


@contents.on("DELETE", Need.EDITOR, Scope.WRITE)
def delete(call: Call, path: str = "") -> HttpResponseBase:
    """Moves a file or folder to the trash."""
    shown = path.strip("/")
    if not shown:
        raise BadRequest("Can't delete root")
    try:
        services.delete_file(call.project, shown, user=call.user)
    except NotFound as error:
        raise NotFound(f"File or directory does not exist: {shown}") from error
    return no_content()


def _new_untitled(call: Call, folder: str, kind: str | None, ext: Any) -> Entry:
    extension = _text(ext or "", "ext")
    if kind is None:
        kind = "notebook" if extension == ".ipynb" else "file"
    if kind == "directory":
        return _first_free("Untitled Folder", " ", folder, lambda at: services.make_folder(call.project, at))
    is_notebook = kind == "notebook"
    name = "Untitled.ipynb" if is_notebook else f"untitled{extension}"
    data = write_notebook(Notebook()) if is_notebook else b""
    return _first_free(
        name,
        "",
        folder,
        lambda at: services.write_file(call.project, at, [data], if_absent=True).entry,
    )


def _copy(call: Call, source: str, folder: str) -> Entry:
    store = content_store(call.project)
    try:
        name = store.entry(source).name
    except NotFound as error:
        raise NotFound(f"No such file or directory: {source}") from error
    if not name:
        raise BadRequest("Can't copy the project into itself")
    plain = _COPY_MARK.sub(".", name)
    if plain == name and "." not in name:
        plain = _LAST_COPY_MARK.sub("", name)
    return _first_free(
        plain, "-Copy", folder, lambda at: services.copy_file(call.project, source, at, user=call.user)
    )


def _copy_as(call: Call, source: str, target: str) -> Entry:
    """A copy of this name, in a folder that is there."""
    store = content_store(call.project)
    parent = target.rpartition("/")[0]
    try:
        store.entry(source)
    except NotFound as error:
        raise NotFound(f"No such file or directory: {source}") from error
    if not store.is_folder(parent):
        raise NotFound(f"No such parent directory: {parent} to copy file in")
    return services.copy_file(call.project, source, target, user=call.user)


def _first_free(name: str, insert: str, folder: str, make: Any) -> Entry:
    """What `make` makes under the first of `name`, `name<insert>1` … that is free."""
    for candidate in _names(name, insert):
        try:
            entry: Entry = make(f"{folder}/{candidate}" if folder else candidate)
        except Exists:
            continue
        return entry
    raise Exists("There are too many files of that name.")


def _names(name: str, insert: str) -> Iterator[str]:
    stem, dot, suffix = name.rpartition(".") if name.endswith(".ipynb") else name.partition(".")
    if not stem:  # a hidden file: all of it is its name
        stem, dot, suffix = name, "", ""
    yield name
    for number in count(1):
        if number > 10_000:
            return
        yield f"{stem}{insert}{number}{dot}{suffix}"


def _saved(call: Call, entry: Entry, *, status: int) -> HttpResponseBase:
    return answer(
        _model(call, entry),
        status=status,
        location=f"{call.base_path}api/contents/{entry.path}",
        modified_at_s=_seconds(entry),
    )


def _model(call: Call, entry: Entry, *, with_hash: bool = False) -> dict[str, Any]:
    return entry_model(entry, is_writable=call.role.rank >= Role.EDITOR.rank, with_hash=with_hash)


def _seconds(entry: Entry) -> float | None:
    return entry.modified_at.timestamp() if entry.modified_at is not None else None


def _flag(call: Call, name: str, default: str, message: str) -> bool:
    value = call.argument(name) or default
    if value not in ("0", "1"):
        raise BadRequest(message.format(value))
    return value == "1"


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"`{name}` must be text")
    return value
