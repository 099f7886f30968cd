"""A Python of a live hub for tests: `manage.py shell`, started once and kept, for each start costs seconds of CPU."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class HubConsole:
    """A process with the hub's settings and database; started at the first script."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, script: str, environment: dict[str, str]) -> str:
        """What the script prints. Raises AssertionError with its traceback when it fails."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hub_console"],
                cwd=ROOT,
                env={"DJANGO_SETTINGS_MODULE": "zasper_hub.settings.production", **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(script) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the hub's console ended"
        printed, error = json.loads(answer)
        assert error is None, error
        return str(printed)

    def close(self) -> None:
        if self._process is not None:
            with self._process as process:  # waits, and closes its pipes
                assert process.stdin is not None
                process.stdin.close()
            self._process = None


def serve() -> None:
    """Runs a script a line of input; each answer is a line: what was printed, and the traceback or null."""
    import django

    answers, sys.stdout = sys.stdout, sys.stderr  # what is logged is no answer
    django.setup()
    from django.db import close_old_connections

    for line in sys.stdin:
        printed, error = io.StringIO(), None
        close_old_connections()
        try:
            with contextlib.redirect_stdout(printed):
                exec(json.loads(line), {"__name__": "__console__"})
        except Exception:
            error = traceback.format_exc()
        finally:
            close_old_connections()
        print(json.dumps([printed.getvalue().strip(), error]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
