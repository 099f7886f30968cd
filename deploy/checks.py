"""`make test`, `make lint` …: each check is one command; this runs those asked for and sums up.

Those that compute on one core run two at a time; what each prints comes when it is done. The Python tests have the
machine to themselves and come last, so that the closing lines are pytest's own: all but the browser's, then the
browser's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
sys.path.insert(0, str(ROOT))

CODE = ["zasper_hub", "notebooks_app", "kernels_app", "tests", "bench", "deploy", "manage.py"]


def npm(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "deploy" / "bootstrap.py"), "--dev", "--npm", *words]


def pytest(*words: str, workers: int) -> list[str]:
    """Most tests wait rather than compute, so that more of them than there are cores pass beside each other."""
    parallel = ["-n", str(workers), "--no-loadscope-reorder", "--durations=30"]
    return [str(BIN / "python"), "-m", "pytest", *parallel, *words]


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
    # A worker that does not read the other's test files starts ten seconds of a processor earlier.
    "python": [("pytest", pytest("--ignore=tests/e2e", workers=4))],
    "browser": [("pytest in a browser", pytest("tests/e2e", workers=3))],
    "api-types": [
        ("openapi", OPENAPI),
        ("schema.d.ts", npm("run", "api-types")),
    ],
}
LIMIT_S = 3600  # a check that hangs is a check that fails
ALL = (
    "types",
    "lint",
    "imports",
    "frontend",
    "python",
    "browser",
)  # the longest of those beside each other first
ALONE = frozenset({"python", "browser"})
AT_ONCE = 2


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


_printing = threading.Lock()


def passes(title: str, command: list[str], *, is_alone: bool) -> bool:
    """Runs a check. What it prints is shown as it comes when it `is_alone`, else in one piece at its end."""
    started = time.monotonic()
    if is_alone:
        print(f"== {title}", flush=True)
    with tempfile.TemporaryFile() as printed:
        output = None if is_alone else printed
        code, note = 1, ""
        try:
            code = subprocess.run(
                command, cwd=ROOT, check=False, timeout=LIMIT_S, stdout=output, stderr=output
            ).returncode
        except subprocess.TimeoutExpired:
            note = f"== {title}: stopped after {LIMIT_S} s\n"
        result = f"== {title}: {'ok' if code == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)"
        if is_alone:
            print(f"{note}{result}", flush=True)
            return code == 0
        printed.seek(0)
        text = printed.read().decode("utf-8", errors="replace")
        with _printing:
            print(f"== {title}\n{text.strip()}\n{note}{result}", flush=True)
    return code == 0


def failures(name: str) -> list[str]:
    """The titles of what fails of this name's checks, which run one after the other."""
    is_alone = name in ALONE
    return [title for title, command in CHECKS[name] if not passes(title, command, is_alone=is_alone)]


def main(names: list[str]) -> int:
    wanted = list(ALL) if names == ["all"] else names
    unknown = [name for name in wanted if name not in CHECKS]
    if unknown or not wanted:
        print(f"which check? one or more of: all {' '.join(CHECKS)}", file=sys.stderr)
        return 2
    if ALONE.intersection(wanted):
        install_system_programs()
    alone = [name for name in wanted if name in ALONE]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(failures, [name for name in wanted if name not in ALONE]))
    found += [failures(name) for name in alone]
    failed = [title for titles in found for title in titles]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
