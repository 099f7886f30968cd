"""The kernelspecs a node offers: those of the kernel environment, found as Jupyter finds them.

`python -m kernels_app.node.kernelspecs` writes the kernelspec of the Deno kernel when its program is
installed there: the `deno` package brings only the program.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from kernels_app.bus.envelopes import KernelSpecInfo

logger = logging.getLogger(__name__)

# argv[0] of kernelspecs that mean "the Python of the environment this spec belongs to".
_PYTHON_NAMES = frozenset({"python", "python3", f"python3.{sys.version_info[1]}"})
# In a kernelspec's metadata: {"zasper": {"transport": "ipc" | "tcp"}} overrules the guess.
_METADATA_KEY = "zasper"
# What a kernelspec's folder may have for others to see: Jupyter's logos.
_LOGO_NAME = re.compile(r"logo-[A-Za-z0-9_-]{1,40}\.(?:png|svg|jpg|jpeg|gif|webp)")
MAX_LOGO_BYTES = 256 * 1024  # the usual ones have 1 to 10 kB
MAX_LOGOS = 8
MAX_METADATA_CHARS = 4_000  # it goes out with every renewal of the node's lease


class UnknownKernelspec(Exception):
    """No usable kernelspec of this name; says which there are."""


class Kernelspecs:
    """Reads kernelspecs of the folders given, and of no others."""

    def __init__(self, folders: Sequence[Path], kernel_python: Path) -> None:
        self.kernel_python = kernel_python
        self._source = KernelSpecManager(
            kernel_dirs=[str(folder) for folder in folders], ensure_native_kernel=False
        )

    def all(self) -> list[KernelSpecInfo]:
        """Every readable kernelspec, by name. Broken ones are left out and logged."""
        found: list[KernelSpecInfo] = []
        for name in sorted(self._source.find_kernel_specs()):
            try:
                spec = self.spec(name)
            except UnknownKernelspec as error:
                logger.warning("%s", error)
                continue
            found.append(_shown(name, spec))
        return found

    def logo(self, name: str, file_name: str) -> bytes | None:
        """A logo's bytes; None when it is not there (any more) or too large. Raises UnknownKernelspec."""
        if _LOGO_NAME.fullmatch(file_name) is None:
            return None
        path = Path(self.spec(name).resource_dir) / file_name
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_LOGO_BYTES + 1)
        except OSError:
            return None
        return data if len(data) <= MAX_LOGO_BYTES else None

    def spec(self, name: str) -> Any:
        """jupyter_client's KernelSpec. Raises UnknownKernelspec."""
        try:
            spec: KernelSpec = self._source.get_kernel_spec(name)
        except (NoSuchKernel, KeyError) as error:
            names = ", ".join(sorted(self._source.find_kernel_specs())) or "none"
            raise UnknownKernelspec(f"There is no kernel “{name}” here. Installed: {names}.") from error
        except OSError as error:
            raise UnknownKernelspec(f"The kernelspec “{name}” cannot be read: {error.strerror}.") from error
        except (ValueError, TypeError) as error:
            raise UnknownKernelspec(f"The kernelspec “{name}” cannot be read: {error}") from error
        if not spec.argv or not all(isinstance(argument, str) for argument in spec.argv):
            raise UnknownKernelspec(f"The kernelspec “{name}” names no program.")
        return spec

    def command(self, spec: Any, connection_file: Path) -> list[str]:
        """The command line, with the kernel environment's Python where the spec says `python`."""
        replacements = {
            "{connection_file}": str(connection_file),
            "{resource_dir}": str(spec.resource_dir),
            "{prefix}": str(self.kernel_python.parent.parent),
        }
        command = [_replaced(argument, replacements) for argument in spec.argv]
        if command[0] in _PYTHON_NAMES:
            command[0] = str(self.kernel_python)
        return command


def _shown(name: str, spec: Any) -> KernelSpecInfo:
    """What clients may see: no folder of this machine, nothing large."""
    metadata = spec.metadata if isinstance(spec.metadata, dict) else {}
    return KernelSpecInfo(
        name,
        spec.display_name or name,
        spec.language,
        argv=[_without_folder(argument) for argument in spec.argv],
        interrupt_mode=spec.interrupt_mode or "signal",
        metadata=metadata if len(json.dumps(metadata, default=str)) <= MAX_METADATA_CHARS else {},
        resources=_logo_names(Path(spec.resource_dir)),
    )


def _without_folder(argument: str) -> str:
    return argument.rpartition("/")[2] if argument.startswith("/") else argument


def _logo_names(folder: Path) -> list[str]:
    try:
        names = sorted(path.name for path in folder.iterdir() if _LOGO_NAME.fullmatch(path.name))
    except OSError:
        return []
    return names[:MAX_LOGOS]


def _replaced(argument: str, replacements: Mapping[str, str]) -> str:
    for name, value in replacements.items():
        argument = argument.replace(name, value)
    return argument


def kernel_transport(spec: Any) -> Literal["ipc", "tcp"]:
    """Unix sockets for kernels known to listen on them (quicker, and closed to other users); the
    loopback interface for all others, which every kernel must support."""
    wish = (spec.metadata or {}).get(_METADATA_KEY)
    if isinstance(wish, dict) and wish.get("transport") in ("ipc", "tcp"):
        return "ipc" if wish["transport"] == "ipc" else "tcp"
    return "ipc" if any(argument.startswith("ipykernel") for argument in spec.argv) else "tcp"


def kernelspec_folders(kernel_python: Path, further: Sequence[Path] = ()) -> list[Path]:
    """Where to look: the further folders first, then the kernel environment."""
    return [*further, kernel_python.parent.parent / "share" / "jupyter" / "kernels"]


def write_deno_kernelspec(kernel_python: Path) -> Path | None:
    """The kernelspec file for the Deno kernel; None when Deno is not installed there.

    What `deno jupyter --install` writes, into the kernel environment rather than the home folder, and how it
    is interrupted.
    """
    prefix = kernel_python.parent.parent
    program = prefix / "bin" / "deno"
    if not program.exists():
        return None
    folder = prefix / "share" / "jupyter" / "kernels" / "deno"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "kernel.json"
    content = json.dumps(
        {
            "argv": [str(program), "jupyter", "--kernel", "--conn", "{connection_file}"],
            "display_name": "Deno",
            "language": "typescript",
            # A signal would end it; the message stops the cell.
            "interrupt_mode": "message",
            "env": {"DENO_NO_UPDATE_CHECK": "1"},
        },
        indent=1,
    )
    written = path.with_suffix(".new")
    written.write_text(content)
    written.replace(path)
    return path


if __name__ == "__main__":
    # Not resolved: in a virtual environment the Python is a link out of it.
    made = write_deno_kernelspec(Path(os.environ.get("NODE_KERNEL_PYTHON", sys.executable)).absolute())
    sys.stdout.write(f"{made}\n" if made else "Deno is not installed: no kernelspec written.\n")
