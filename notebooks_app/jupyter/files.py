"""`files/<path>`: a file's bytes, with ranges. `view/<path>`: a page to look at, with its scripts, without the network.

Whatever it is, it runs nothing in the hub's origin: everything is sent with a sandbox.
"""

from __future__ import annotations

import mimetypes
from typing import Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from notebooks_app.api.file_responses import NoSuchRange, stored_file_response
from notebooks_app.errors import Forbidden, NotFound
from notebooks_app.jupyter.endpoints import Call, Endpoint
from notebooks_app.services.client_notebooks import settle_notebook
from notebooks_app.storage.project_files import content_store
from zasper_hub.accounts.permissions import Need
from zasper_hub.accounts.tokens import Scope

# Scripts run, in an origin of their own: they reach no cookie, no page of the hub and no other address.
VIEW_POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

files = Endpoint()
view = Endpoint()


@files.on("HEAD", Need.VIEWER, Scope.READ)
@files.on("GET", Need.VIEWER, Scope.READ)
def get_file(call: Call, path: str) -> HttpResponseBase:
    """The file; with `download` as an attachment. HTML comes without a type that would be drawn: see `view`."""
    shown = path.strip("/")
    is_notebook = shown.endswith(".ipynb")
    as_attachment = is_notebook or call.argument("download") not in (None, "", "0", "false")
    return _sent(call, shown, "application/x-ipynb+json" if is_notebook else None, as_attachment)


@view.on("HEAD", Need.VIEWER, Scope.READ)
@view.on("GET", Need.VIEWER, Scope.READ)
def get_view(call: Call, path: str) -> HttpResponseBase:
    """The file to look at: an HTML page is drawn."""
    shown = path.strip("/")
    guessed = mimetypes.guess_type(shown)[0]
    if guessed not in _HTML_TYPES:
        return get_file(call, path)
    call.refuse_token_in_address()
    response = _sent(call, shown, "text/html", as_attachment=False)
    response["Content-Security-Policy"] = VIEW_POLICY
    return response


def _sent(call: Call, path: str, content_type: str | None, as_attachment: bool) -> HttpResponseBase:
    store = content_store(call.project)
    if path.endswith(".ipynb"):
        settle_notebook(call.project, path)
    try:
        if store.entry(path).type == "folder":
            raise Forbidden(f"{path or '/'} is a directory")
        return stored_file_response(
            call.request, store, path, content_type=content_type, as_attachment=as_attachment
        )
    except NotFound as error:
        raise NotFound(f"No such file: {path}") from error
    except NoSuchRange as refused:
        return HttpResponse(status=416, headers=refused.headers, content_type="text/plain")
