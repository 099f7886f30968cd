"""The project that each new account finds: notebooks as files, to be opened and run as they are."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
FILE_NAMES = ("README.md", "Welcome.ipynb", "Diabetes study.ipynb")


def example_files() -> dict[str, bytes]:
    """Content of the example's files by their names in the project."""
    return {name: (_FOLDER / name).read_bytes() for name in FILE_NAMES}
