"""The environment of the peers: made on demand below `bench/.peers`, never in the hub's own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "bench" / "requirements-peers.txt"
NPM_FILES = [ROOT / "bench" / "peers" / name for name in ("package.json", "package-lock.json")]
FOLDER = ROOT / "bench" / ".peers"


class PeerMissing(Exception):
    """A peer cannot be found or installed: the scenario fails rather than measure the hub alone."""


@dataclass(frozen=True)
class PeerCommands:
    python: Path  # has jupyter_server and jupyterhub
    node: str
    proxy: Path  # configurable-http-proxy's script


@cache
def peer_commands() -> PeerCommands:
    """Installs what is missing or of another version. Raises PeerMissing with what failed."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise PeerMissing("JupyterHub's proxy needs Node.js and npm on PATH.")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (REQUIREMENTS, *NPM_FILES))).hexdigest()
    stamp = FOLDER / "stamp"
    commands = PeerCommands(
        python=FOLDER / "venv" / "bin" / "python",
        node=node,
        proxy=FOLDER / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy",
    )
    if not stamp.exists() or stamp.read_text() != digest:
        print("installing the peers into bench/.peers …", flush=True)
        FOLDER.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        _run([sys.executable, "-m", "venv", str(FOLDER / "venv")])
        _run([str(commands.python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])
        for path in NPM_FILES:
            shutil.copy(path, FOLDER / path.name)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--silent"])
        stamp.write_text(digest)
    for path in (commands.python, commands.proxy):
        if not path.exists():
            raise PeerMissing(f"{path} is missing; remove {FOLDER} and start again.")
    return commands


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise PeerMissing(f"The peers cannot be installed ({command[0]}):\n{words}")
