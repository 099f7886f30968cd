"""`make test`, `make lint` …: each check is one command; this runs those asked for and sums up.

The Python tests come last, so that the closing lines are pytest's own: all but the browser's, then the browser's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
sys.path.insert(0, str(ROOT))

CODE = ["zasper_hub", "notebooks_app", "kernels_app", "tests", "bench", "deploy", "manage.py"]


def npm(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "deploy" / "bootstrap.py"), "--dev", "--npm", *words]


def pytest(marked: str, *, workers: int) -> list[str]:
    """Most tests wait rather than compute, so that more of them than there are cores pass beside each other."""
    parallel = ["-n", str(workers), "--dist", "loadgroup", "--no-loadscope-reorder", "--durations=30"]
    return [str(BIN / "python"), "-m", "pytest", *parallel, "-m", marked]


OPENAPI = [
    str(BIN / "python"), "manage.py", "openapi", "--settings", "zasper_hub.settings.test",
    "--output", "frontend/openapi.json",
]  # fmt: skip

CHECKS: dict[str, list[tuple[str, list[str]]]] = {
    "lint": [
        ("ruff", [str(BIN / "ruff"), "check", *CODE]),
        ("ruff format", [str(BIN / "ruff"), "format", "--check", *CODE]),
        ("eslint", npm("run", "lint")),
    ],
    "types": [
        ("mypy --strict", [str(BIN / "mypy")]),
        ("tsc", npm("run", "typecheck")),
        ("openapi", OPENAPI),
        ("schema.d.ts is what the API says", npm("run", "api-types-check")),
    ],
    "imports": [("import-linter", [str(BIN / "lint-imports")])],
    "frontend": [("vitest", npm("test")), ("size of the first load", npm("run", "check-size"))],
    "python": [("pytest", pytest("not e2e", workers=3))],
    "browser": [("pytest in a browser", pytest("e2e", workers=3))],
    "api-types": [
        ("openapi", OPENAPI),
        ("schema.d.ts", npm("run", "api-types")),
    ],
}
LIMIT_S = 3600  # a check that hangs is a check that fails
ALL = ("lint", "types", "imports", "frontend", "python", "browser")


def install_system_programs() -> None:
    """Debian's Chromium and bubblewrap for the tests, when they are missing and we may install them."""
    browsers = ("chromium", "chromium-browser", "google-chrome")
    missing: list[str] = []
    if not any(shutil.which(name) for name in browsers):
        missing += ["chromium", "fonts-dejavu-core"]
    if not shutil.which("bwrap"):
        missing.append("bubblewrap")
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        print(f"installing {' '.join(missing)} for the tests …", flush=True)
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", *words], env=environment, check=False, stdout=subprocess.DEVNULL)
    if not any(shutil.which(name) for name in browsers):
        sys.exit("The browser tests need Chromium: apt-get install chromium")
    if not shutil.which("bwrap"):
        print("Without bubblewrap the tests of sandboxes are skipped: apt-get install bubblewrap", flush=True)


def main(names: list[str]) -> int:
    wanted = list(ALL) if names == ["all"] else names
    unknown = [name for name in wanted if name not in CHECKS]
    if unknown or not wanted:
        print(f"which check? one or more of: all {' '.join(CHECKS)}", file=sys.stderr)
        return 2
    if {"python", "browser"}.intersection(wanted):
        install_system_programs()
    failed = []
    for name in wanted:
        for title, command in CHECKS[name]:
            started = time.monotonic()
            print(f"== {title}", flush=True)
            try:
                code = subprocess.run(command, cwd=ROOT, check=False, timeout=LIMIT_S).returncode
            except subprocess.TimeoutExpired:
                print(f"== {title}: stopped after {LIMIT_S} s", flush=True)
                code = 1
            print(
                f"== {title}: {'ok' if code == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
            if code != 0:
                failed.append(title)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
