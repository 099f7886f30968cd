"""Serving the browser client: the app page for every address it routes, and the sandboxed output frame."""

from __future__ import annotations

import functools
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Assets:
    """Static addresses of the app's entry: its script, the modules it needs at once, its styles."""

    script: str
    preloads: tuple[str, ...]
    styles: tuple[str, ...]


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
    entry = next(chunk for chunk in manifest.values() if chunk.get("isEntry"))
    imported = [manifest[name] for name in entry.get("imports", [])]
    styles = [*entry.get("css", []), *(css for chunk in imported for css in chunk.get("css", []))]
    return Assets(
        script=static(f"app/{entry['file']}"),
        preloads=tuple(static(f"app/{chunk['file']}") for chunk in imported),
        styles=tuple(static(f"app/{name}") for name in styles),
    )


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
    context = {
        "assets": assets,
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
