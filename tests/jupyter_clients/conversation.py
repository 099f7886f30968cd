"""A conversation with a server's contents, config and files addresses, and how its answers are compared.

Recorded once from a real Jupyter Server (`record.py` → tests/vectors/jupyter_server.json) and held with ours in
tests/notebooks_app/jupyter/test_conversation.py. Where the two differ on purpose, nothing is here: those are tests.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a1",
            "source": "print(1)\n1+1",
            "metadata": {"trusted": True},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "1\n"}],
            "execution_count": 1,
        },
        {"cell_type": "markdown", "id": "b1", "source": "# hi", "metadata": {}},
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
TEXT = {"type": "file", "format": "text", "content": "hello\n"}
PICTURE = {"type": "file", "format": "base64", "content": "iVBORw0KGgoA/w=="}


class Step(NamedTuple):
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}


C = "api/contents"
STEPS: list[Step] = [
    Step("GET", C),
    Step("GET", f"{C}/"),
    Step("PUT", f"{C}/a.txt", TEXT),
    Step("PUT", f"{C}/a.txt", {**TEXT, "content": "hello 2\n"}),
    Step("PUT", f"{C}/b.txt", {"format": "text", "content": "x"}),
    Step("PUT", f"{C}/c.txt", {"type": "file", "format": "text"}),
    Step("PUT", f"{C}/a.txt", {"type": "file", "format": "text"}),
    Step("PUT", f"{C}/d.txt"),
    Step("PUT", f"{C}/e.txt", {}),
    Step("PUT", f"{C}/e.txt", "{nope"),
    Step("PUT", f"{C}/e.txt", {"type": "file", "format": "zip", "content": "x"}),
    Step("PUT", f"{C}/e.txt", {"type": "file", "content": "x"}),
    Step("PUT", f"{C}/e.txt", {"copy_from": "a.txt"}),
    Step("PUT", f"{C}/u.txt", {"type": "blob", "format": "text", "content": "x"}),
    Step("PUT", f"{C}/img.png", PICTURE),
    Step("PUT", f"{C}/data.json", {**TEXT, "content": '{"a": "é😀"}'}),
    Step("PUT", f"{C}/sub", {"type": "directory"}),
    Step("PUT", f"{C}/sub", {"type": "directory"}),
    Step("PUT", f"{C}/n.ipynb", {"type": "notebook", "format": "json", "content": NOTEBOOK}),
    Step("PUT", f"{C}/empty.ipynb", {"type": "notebook"}),
    Step("GET", f"{C}?content=0"),
    Step("GET", f"{C}/a.txt"),
    Step("GET", f"{C}/a.txt?content=0"),
    Step("GET", f"{C}/a.txt?hash=1"),
    Step("GET", f"{C}/a.txt?hash=1&content=0"),
    Step("GET", f"{C}/a.txt?type=zzz"),
    Step("GET", f"{C}/a.txt?format=base64"),
    Step("GET", f"{C}/a.txt?type=directory"),
    Step("GET", f"{C}/a.txt?format=zip"),
    Step("GET", f"{C}/a.txt?content=2"),
    Step("GET", f"{C}/a.txt?hash=x"),
    Step("GET", f"{C}/img.png"),
    Step("GET", f"{C}/img.png?type=file&content=0"),
    Step("GET", f"{C}/data.json"),
    Step("GET", f"{C}/n.ipynb"),
    Step("GET", f"{C}/n.ipynb?content=0"),
    Step("GET", f"{C}/n.ipynb?hash=1"),
    Step("GET", f"{C}/n.ipynb?type=file"),
    Step("GET", f"{C}/n.ipynb?type=directory"),
    Step("GET", f"{C}/sub"),
    Step("GET", f"{C}/sub?type=file"),
    Step("GET", f"{C}/sub?type=notebook"),
    Step("POST", C, {"type": "notebook"}),
    Step("POST", C, {"type": "notebook"}),
    Step("POST", C, {"type": "file", "ext": ".md"}),
    Step("POST", f"{C}/sub", {"type": "file"}),
    Step("POST", C, {"type": "directory"}),
    Step("POST", C, {"type": "directory"}),
    Step("POST", f"{C}/sub"),
    Step("POST", f"{C}/sub", {"ext": ".ipynb"}),
    Step("POST", f"{C}/sub", {"ext": ".py"}),
    Step("POST", f"{C}/a.txt", {"type": "file"}),
    Step("POST", f"{C}/nowhere", {"type": "file"}),
    Step("POST", C, {"copy_from": "a.txt"}),
    Step("POST", C, {"copy_from": "a.txt"}),
    Step("POST", f"{C}/sub", {"copy_from": "a.txt"}),
    Step("POST", C, {"copy_from": "a-Copy1.txt"}),
    Step("POST", C, {"copy_from": "n.ipynb"}),
    Step("POST", C, {"copy_from": "absent"}),
    Step("POST", C, {"copy_from": "sub"}),
    Step("PATCH", f"{C}/b.txt", {"path": "b2.txt"}),
    Step("PATCH", f"{C}/b.txt", {"path": "b3.txt"}),
    Step("PATCH", f"{C}/b2.txt", {"path": "a.txt"}),
    Step("PATCH", f"{C}/b2.txt", {"path": "b2.txt"}),
    Step("PATCH", f"{C}/b2.txt", {}),
    Step("PATCH", f"{C}/b2.txt"),
    Step("PATCH", f"{C}/sub", {"path": "sub 2"}),
    Step("PATCH", f"{C}/b2.txt", {"path": "sub 2/b#?%.txt"}),
    Step("POST", f"{C}/a.txt/checkpoints"),
    Step("GET", f"{C}/a.txt/checkpoints"),
    Step("PUT", f"{C}/a.txt", {**TEXT, "content": "worse"}),
    Step("POST", f"{C}/a.txt/checkpoints/checkpoint"),
    Step("GET", f"{C}/a.txt"),
    Step("PATCH", f"{C}/a.txt", {"path": "moved.txt"}),
    Step("GET", f"{C}/moved.txt/checkpoints"),
    Step("DELETE", f"{C}/moved.txt/checkpoints/checkpoint"),
    Step("DELETE", f"{C}/moved.txt/checkpoints/checkpoint"),
    Step("GET", f"{C}/moved.txt/checkpoints"),
    Step("GET", f"{C}/absent.ipynb/checkpoints"),
    Step("PUT", f"{C}/n.ipynb/checkpoints"),
    Step("PUT", f"{C}/big.bin", {"type": "file", "format": "text", "content": "aa", "chunk": 1}),
    Step("PUT", f"{C}/big.bin", {"type": "file", "format": "text", "content": "bb", "chunk": 2}),
    Step("PUT", f"{C}/big.bin", {"type": "file", "format": "base64", "content": "Y2M=", "chunk": -1}),
    Step("GET", f"{C}/big.bin"),
    Step("PUT", f"{C}/big.ipynb", {"type": "notebook", "format": "json", "content": "aa", "chunk": 1}),
    Step("PUT", f"{C}/big.bin", {"type": "file", "format": "text", "chunk": 1}),
    Step("PUT", f"{C}/big.bin", {"type": "file", "format": "json", "content": "x", "chunk": 1}),
    Step("PUT", f"{C}/big.bin", {"format": "text", "content": "x", "chunk": 1}),
    Step("GET", "files/moved.txt"),
    Step("GET", "files/moved.txt", headers={"Range": "bytes=0-2"}),
    Step("GET", "files/moved.txt", headers={"Range": "bytes=-3"}),
    Step("GET", "files/moved.txt", headers={"Range": "bytes=100-200"}),
    Step("HEAD", "files/moved.txt"),
    Step("GET", "files/n.ipynb"),
    Step("DELETE", f"{C}/big.bin"),
    Step("DELETE", f"{C}/big.bin"),
    Step("DELETE", f"{C}/sub%202"),
    Step("DELETE", C),
    Step("GET", "api/config/notebook"),
    Step("PUT", "api/config/notebook", {"a": {"b": 1}}),
    Step("PATCH", "api/config/notebook", {"a": {"c": 2}, "d": None}),
    Step("GET", "api/config/notebook"),
    Step("PATCH", "api/config/notebook", {"a": {"b": None, "c": None}}),
    Step("PUT", "api/config/notebook", "x"),
    Step("GET", "api/me?permissions=%5B1%5D"),
    Step("DELETE", "api/me"),
    Step("PUT", "api/status"),
]

_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_BASE = re.compile(r"/jupyter/[\w-]+/[\w-]+/")
_FOLDER = re.compile(r"(/[\w. -]+)+/(?=[\w.-]+)")
_HEADERS = ("Location", "Content-Range", "Content-Type")


def answer_of(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """An answer in the form that is recorded: times, the server's address and its folders left out."""
    found = {name.lower(): value for name, value in headers.items()}
    text = body.decode("utf-8", "replace")
    try:
        shown: Any = json.loads(text)
    except ValueError:
        shown = text
    if isinstance(shown, dict) and isinstance(shown.get("message"), str):
        shown["message"] = _FOLDER.sub("", shown["message"])
    if isinstance(shown, dict) and shown.get("format") == "base64":
        shown["content"] = str(shown["content"]).replace("\n", "")
    if isinstance(shown, dict) and isinstance(shown.get("content"), list):
        shown["content"].sort(key=lambda model: str(model["name"]))
    return {
        "status": status,
        "headers": {
            name: _BASE.sub("<base>/", found[name.lower()]).replace("UTF-8", "utf-8")
            for name in _HEADERS
            if name.lower() in found
        },
        "has_last_modified": "last-modified" in found,
        "body": json.loads(_TIME.sub("<time>", json.dumps(shown))),
    }
