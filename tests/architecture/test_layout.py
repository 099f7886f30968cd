"""The folders are where docs/architecture/map.md says, and the programs load what they may."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from zasper_hub.settings.environment import BASE_DIR

FIXED_TOP_LEVEL = (
    "manage.py",
    "zasper_hub",
    "notebooks_app",
    "kernels_app",
    "deploy",
    "tests",
    "requirements.txt",
    "frontend",
    "docs",
    "bench",
)
PACKAGES = ("zasper_hub", "notebooks_app", "kernels_app")


def python_files() -> list[Path]:
    return [
        path
        for package in PACKAGES
        for path in sorted((BASE_DIR / package).rglob("*.py"))
        if "migrations" not in path.parts
    ]


def test_top_level_names_are_there() -> None:
    missing = [name for name in FIXED_TOP_LEVEL if not (BASE_DIR / name).exists()]
    assert missing == []


def test_the_kernels_package_does_nothing_when_it_is_imported() -> None:
    assert (BASE_DIR / "kernels_app" / "__init__.py").read_text(encoding="utf-8").strip() == ""


@pytest.mark.parametrize("forbidden", ["django", "channels", "celery", "docker", "pycrdt"])
def test_the_node_loads_no(forbidden: str) -> None:
    script = f"import sys, kernels_app.node.main; sys.exit({forbidden!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=BASE_DIR, check=False).returncode == 0


def test_the_parent_of_the_embedded_hub_loads_no_django() -> None:
    script = "import sys, zasper_hub.embedded.main; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=BASE_DIR, check=False).returncode == 0


def test_modules_are_not_drawers() -> None:
    drawers = {"utils", "helpers", "common", "manager", "misc"}
    assert [str(path) for path in python_files() if path.stem in drawers] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(BASE_DIR))
        for path in python_files()
        if path.read_text(encoding="utf-8").strip()
        and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


def test_nothing_a_person_writes_is_marked_safe() -> None:
    found = [
        f"{path.relative_to(BASE_DIR)}: {mark}"
        for path in python_files()
        for mark in ("mark_safe", "SafeString", "|safe")
        if mark in path.read_text(encoding="utf-8")
    ]
    found += [
        str(path.relative_to(BASE_DIR))
        for path in BASE_DIR.glob("*/templates/**/*.html")
        if "|safe" in path.read_text(encoding="utf-8")
    ]
    assert found == []
