"""The addresses of a project's Jupyter-compatible server that have to do with files, below `addresses.PROJECT`."""

from __future__ import annotations

from django.urls import URLPattern, path

from notebooks_app.jupyter import checkpoints, files, nbconvert, server
from notebooks_app.jupyter.contents import contents

_FILE = "api/contents/<path:path>"

patterns: list[URLPattern] = [
    path("", server.root),
    path("api", server.version),
    path("api/", server.version),
    path("api/me", server.me),
    path("api/config/<str:section>", server.config),
    path("api/contents", contents),
    path("api/contents/", contents),
    path(f"{_FILE}/checkpoints/<str:checkpoint_id>", checkpoints.checkpoint),
    path(f"{_FILE}/checkpoints", checkpoints.checkpoints),
    path(_FILE, contents),
    path("files/<path:path>", files.files),
    path("view/<path:path>", files.view),
    path("api/nbconvert", nbconvert.formats),
    path("nbconvert/<str:target>/<path:path>", nbconvert.converted_file),
    path("nbconvert/<str:target>", nbconvert.converted_body),
]
