"""Notebooks as HTML, script or Markdown: made by nbconvert in a process of its own, without any rights of the hub's.

The process gets the notebook and an empty folder; none of the hub's environment, no project file, bounded time and
memory. No code of the notebook runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import structlog
from django.conf import settings

from notebooks_app.errors import Invalid, Unavailable
from zasper_hub.accounts.errors import TooMany

log = structlog.get_logger(__name__)

FORMATS: Final = ("html", "markdown", "script")
TIME_LIMIT_S: Final = 60  # a notebook of 50 MB takes about ten
MEMORY_LIMIT_BYTES: Final = 2 * 1024**3
AT_ONCE: Final = 2
WAIT_FOR_TURN_S: Final = 20
PROGRAM: Final = Path(__file__).resolve().parent.parent / "conversion" / "nbconvert_program.py"

_turns = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Converted:
    """`stream` is open at its start, with nothing else left of it on the disk: the caller closes it."""

    stream: BinaryIO
    size_bytes: int
    mimetype: str
    extension: str


def convert_notebook(data: bytes, *, target: str, name: str, is_sanitized: bool = False) -> Converted:
    """The notebook (nbformat JSON) in another format; `name` is its title, without suffix.

    `is_sanitized`: HTML without the scripts of its Markdown and outputs.

    Raises:
        Invalid: nbconvert cannot convert it, or not within the limits.
        TooMany: others are being converted.
        Unavailable: there is no nbconvert here.
    """
    python = Path(settings.KERNEL_PYTHON)
    if not python.exists():
        raise Unavailable("This hub cannot convert notebooks: it has no kernel environment at hand.")
    if not _turns.acquire(timeout=WAIT_FOR_TURN_S):
        raise TooMany("Other notebooks are being converted. Try again in a moment.")
    try:
        with tempfile.TemporaryDirectory(prefix="convert-") as folder:
            _run(python, Path(folder), data, target, name, is_sanitized)
            described: dict[str, Any] = json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
            stream: BinaryIO = Path(folder, "result").open("rb")  # noqa: SIM115  # the caller closes it
        return Converted(
            stream, os.fstat(stream.fileno()).st_size, described["mimetype"], described["extension"]
        )
    finally:
        _turns.release()


def _run(python: Path, folder: Path, data: bytes, target: str, name: str, is_sanitized: bool) -> None:
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "JUPYTER_NO_CONFIG": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(python), "-I", str(PROGRAM), target, name, str(MEMORY_LIMIT_BYTES), str(TIME_LIMIT_S)]
    command += ["sanitize"] if is_sanitized else []
    try:
        done = subprocess.run(
            command,
            input=data,
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIME_LIMIT_S,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Invalid(
            "Converting this notebook takes too long. Clear large outputs and try again."
        ) from error
    except OSError as error:
        raise Unavailable("This hub cannot convert notebooks right now.") from error
    if done.returncode == 0 and (folder / "result.json").exists():
        return
    last_line = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
    kind = last_line.partition(":")[0]
    log.warning("conversion_failed", target=target, exit_code=done.returncode, kind=kind[:80])
    if kind == "ModuleNotFoundError":
        raise Unavailable("This hub's kernel environment has no nbconvert. Ask your admin to install it.")
    if kind == "MemoryError":
        raise Invalid("Converting this notebook takes too much memory. Clear large outputs and try again.")
    raise Invalid("This notebook cannot be converted.")
