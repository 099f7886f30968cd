"""Serving the browser client: the app page for every address it routes, and the sandboxed output frame."""

from __future__ import annotations

import functools
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from zasper_hub.accounts.permissions import Need, view_needs

# Output scripts run, but as a foreign origin (`sandbox` without allow-same-origin) that reaches no network.
FRAME_CSP = (
    "sandbox allow-scripts allow-downloads; "
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: {origin}; "
    "style-src 'unsafe-inline' {origin}; img-src data: blob:; media-src data: blob:; font-src data:; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


# Vite's name of the part of the app that shows notebooks.
NOTEBOOK_MODULE = "src/pages/tabs/NotebookTab.tsx"
Manifest = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Assets:
    """Static addresses of the app's entry: its script, the modules it needs at once, its styles.

    `notebook` are the modules and styles of the part that shows a notebook, which the app itself loads when one is
    opened: a page that opens one need not wait for the app to find that out.
    """

    script: str
    preloads: tuple[str, ...]
    styles: tuple[str, ...]
    notebook: tuple[str, ...]
    notebook_styles: tuple[str, ...]


class FrontendNotBuilt(Exception):
    """The browser client is not there: `make setup` builds it."""


@functools.cache
def entry_assets() -> Assets:
    """What the app page loads, from Vite's manifest.

    Raises:
        FrontendNotBuilt: there is no manifest.
    """
    path = Path(settings.FRONTEND_DIST) / "app" / ".vite" / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FrontendNotBuilt("The browser client is not built. Run: make setup") from error
    entry = next(name for name, chunk in manifest.items() if chunk.get("isEntry"))
    needed = _with_imports(manifest, entry)
    late = [name for name in _with_imports(manifest, NOTEBOOK_MODULE) if name not in needed]
    return Assets(
        script=static(f"app/{manifest[entry]['file']}"),
        preloads=_files(manifest, needed[1:]),
        styles=_styles(manifest, needed),
        notebook=_files(manifest, late),
        notebook_styles=_styles(manifest, late),
    )


def _with_imports(manifest: Manifest, name: str) -> list[str]:
    """A chunk and all that it imports, however deep."""
    found = [name]
    for known in found:
        found += [other for other in manifest[known].get("imports", []) if other not in found]
    return found


def _files(manifest: Manifest, names: list[str]) -> tuple[str, ...]:
    return tuple(static(f"app/{manifest[name]['file']}") for name in names)


def _styles(manifest: Manifest, names: list[str]) -> tuple[str, ...]:
    return tuple(static(f"app/{css}") for name in names for css in manifest[name].get("css", []))


@functools.cache
def frame_hash() -> str:
    """Names the build of the output frame, so that its address can be cached for ever."""
    found = hashlib.sha256()
    folder = Path(settings.FRONTEND_DIST) / "frame"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(folder).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


@require_safe
@view_needs(Need.ANYONE)
@ensure_csrf_cookie
def app_page(request: HttpRequest, path: str = "") -> HttpResponse:
    """The app; an anonymous person is sent to sign in and comes back to this address."""
    if not request.user.is_authenticated:
        from django.contrib.auth.views import redirect_to_login

        return redirect_to_login(request.get_full_path())
    try:
        assets = entry_assets()
    except FrontendNotBuilt as error:
        return HttpResponse(str(error), status=503, content_type="text/plain")
    is_project = path.startswith("p/")
    context = {
        "assets": assets,
        "opens_notebook": is_project and path.endswith(".ipynb"),
        # What the app asks for first, whatever it shows: asked for while its scripts are on their way.
        "first_requests": ["me", "projects"] if is_project or not path else ["me"],
        "base_path": settings.BASE_PATH,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "frame_url": reverse("output-frame", args=[frame_hash(), "index.html"]),
    }
    response = render(request, "app.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@view_needs(Need.ANYONE)
def output_frame(request: HttpRequest, build: str, name: str) -> HttpResponseBase:
    """A file of the sandboxed output page. Public: it holds nothing of anybody."""
    folder = Path(settings.FRONTEND_DIST) / "frame"
    known = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if build != frame_hash() or name not in known:
        raise Http404
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    response = FileResponse(known[name].open("rb"), content_type=content_type)
    # A path that ends in / is a prefix: an output reaches its own folder, no other address of the hub.
    own_folder = f"{request.scheme}://{request.get_host()}{settings.BASE_PATH}/frame/{build}/"
    response["Content-Security-Policy"] = FRAME_CSP.format(origin=own_folder)
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    return response
