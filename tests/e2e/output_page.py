"""The renderers of outputs alone in a browser: their page and the output frame, with the hub's own policies."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import mimetypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from zasper_hub.accounts.middleware import APP_CSP
from zasper_hub.frontend import FRAME_CSP

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"


class _Handler(http.server.BaseHTTPRequestHandler):
    """`/` is the page under the app's policy, `/frame/` the output page under its own."""

    folder: Path
    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.requests.append(path)
        name = path.lstrip("/") or "index.html"
        file = self.folder / name
        if not file.is_file():
            self.send_error(404)
            return
        frame_origin = f"http://{self.headers['Host']}/frame/"
        body = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", mimetypes.guess_type(name)[0] or "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(
            "Content-Security-Policy",
            FRAME_CSP.format(origin=frame_origin) if name.startswith("frame/") else APP_CSP,
        )
        self.send_header("Set-Cookie", "sessionid=secret; SameSite=Lax")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # a page that is left while it loads
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at `requests`."""


def build(folder: Path) -> None:
    """Both bundles, with the frame beside the page."""
    vite = FRONTEND / "node_modules" / ".bin" / "vite"
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    for arguments in (
        ["build", "dev/outputs", "--outDir", str(folder), "--logLevel", "error"],
        [
            "build",
            "--config",
            "vite.frame.config.ts",
            "--outDir",
            str(folder / "frame"),
            "--logLevel",
            "error",
        ],
    ):
        subprocess.run([str(vite), *arguments], cwd=FRONTEND, env=environment, check=True, timeout=120)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Address of the page, and the paths that were asked for."""
    requests: list[str] = []
    handler = type("Handler", (_Handler,), {"folder": folder, "requests": requests})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def snapshot(*outputs: dict[str, Any], seq: int = 1) -> str:
    """JSON of a snapshot in which cell `a` has these outputs."""
    cells = {"a": {"state": "ok", "outputs": outputs}}
    return json.dumps({"type": "snapshot", "seq": seq, "kernel": None, "cells": cells})


def html(text: str, mime: str = "text/html") -> dict[str, Any]:
    return {"output_type": "display_data", "data": {mime: text}, "metadata": {}}
