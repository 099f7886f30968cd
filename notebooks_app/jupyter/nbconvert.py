"""`nbconvert/<format>/<path>`: a notebook as HTML, script or Markdown."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.http import http_date

from notebooks_app.api.downloads import bytes_response, chunks_of
from notebooks_app.errors import NotANotebook, NotFound
from notebooks_app.jupyter.contents import MAX_BODY_BYTES
from notebooks_app.jupyter.contents_models import notebook_of_content
from notebooks_app.jupyter.endpoints import Call, Endpoint, answer, escaped
from notebooks_app.jupyter.files import VIEW_POLICY
from notebooks_app.notebook_format import Notebook, NotebookError, write_notebook
from notebooks_app.services.client_notebooks import read_notebook_now
from notebooks_app.services.conversions import FORMATS, convert_notebook
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

# What a notebook may say its script is; the type comes from its metadata.
_SCRIPT_TYPES = frozenset(
    {
        "text/x-c++src", "text/x-csrc", "text/x-ipython", "text/x-java", "text/x-julia", "text/x-python",
        "text/x-r-source", "text/x-scala", "text/x-sh", "text/x-typescript",
    }
)  # fmt: skip
_MIMETYPES = {"html": "text/html", "markdown": "text/markdown", "script": "text/plain"}

formats = Endpoint()
converted_file = Endpoint()
converted_body = Endpoint()


@formats.on("GET", Need.VIEWER, Scope.READ)
def list_formats(call: Call) -> HttpResponseBase:
    return answer({name: {"output_mimetype": _MIMETYPES[name]} for name in FORMATS})


@converted_file.on("GET", Need.VIEWER, Scope.READ)
def convert_file(call: Call, target: str, path: str) -> HttpResponseBase:
    """The notebook at `path`; with `download=true` as an attachment, with `sanitize_html=true` without its scripts.

    Another file: sends to its bytes.
    """
    _check(target)
    download = _is_true(call, "download")
    if not download:
        call.refuse_token_in_address()
    shown = path.strip("/")
    try:
        entry = content_store(call.project).entry(shown)
        if entry.type != "notebook":
            return redirect(escaped(f"{call.base_path}files/{entry.path}"))
        entry, notebook = read_notebook_now(call.project, shown)
    except NotFound as error:
        raise NotFound(f"No such file: {shown}") from error
    response = _converted(
        notebook,
        target,
        entry.name,
        download=download,
        is_sanitized=_is_true(call, "sanitize_html"),
    )
    if entry.modified_at is not None:
        response["Last-Modified"] = http_date(entry.modified_at.timestamp())
    return response


@converted_body.on("POST", Need.VIEWER, Scope.READ)
def convert_body(call: Call, target: str) -> HttpResponseBase:
    """The notebook in the body: `{content, name?}`."""
    _check(target)
    body = call.json_body(max_bytes=MAX_BODY_BYTES)
    name: Any = body.get("name") or "notebook.ipynb"
    try:
        notebook = notebook_of_content(body.get("content"))
    except NotebookError as error:
        raise NotANotebook(str(error)) from error
    return _converted(notebook, target, name if isinstance(name, str) else "notebook.ipynb")


def _is_true(call: Call, name: str) -> bool:
    return (call.argument(name) or "").lower() == "true"


def _check(target: str) -> None:
    if target not in FORMATS:
        raise NotFound(f"No exporter for format: {target}")


def _converted(
    notebook: Notebook, target: str, name: str, *, download: bool = False, is_sanitized: bool = False
) -> HttpResponseBase:
    # It goes to the command line of another program: no path, and nothing that ends the text there.
    stem = name.rpartition("/")[2].removesuffix(".ipynb").replace("\0", "")[:100] or "notebook"
    made = convert_notebook(write_notebook(notebook), target=target, name=stem, is_sanitized=is_sanitized)
    is_archive = made.mimetype == "application/zip"
    is_known = is_archive or target != "script" or made.mimetype in _SCRIPT_TYPES
    content_type = made.mimetype if is_known else "text/plain"
    response = bytes_response(
        chunks_of(made.stream, made.size_bytes),
        content_type=content_type,
        name=f"{stem}{made.extension}",
        as_attachment=download or is_archive,
        size_bytes=made.size_bytes,
    )
    response.source = made.stream
    response["Content-Security-Policy"] = VIEW_POLICY
    response["Cache-Control"] = "no-store, no-cache, must-revalidate, max-age=0"
    return response
