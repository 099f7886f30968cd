"""The environment of a kernel: built up from nothing, so that none of the node's gets in. Pure."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

from kernels_app.node import kernel_profile

# Of the node's own environment: what describes the machine and its user, and no more.
_KEPT = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_KEPT_IN_SANDBOX = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# In a container or sandbox: in memory, like all of the home folder there.
IPYTHON_FOLDER = "/home/kernel/.ipython"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ONE_LINE = re.compile(r"[^\0\r\n]*\Z")
# What would change which program or library is run: never from a request.
_REFUSED_NAMES = frozenset(
    {
        "PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP",
        "PYTHONEXECUTABLE", "PYTHONINSPECT", "NODE_OPTIONS", "IPYTHONDIR", "JUPYTER_CONFIG_DIR",
    }
)  # fmt: skip
_REFUSED_PREFIXES = ("LD_", "DYLD_", "ZASPER_", "BASH_FUNC_")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


SESSION_FILE = "JPY_SESSION_NAME"


class RefusedVariable(Exception):
    """A variable that a request may not set."""


def kernel_environment(
    *,
    node_environment: Mapping[str, str],
    requested: Mapping[str, str],
    kernel_python: Path,
    ipython_folder: Path,
    cpu_cores: float | None,
) -> dict[str, str]:
    """All variables a kernel gets, but for its kernelspec's. Raises RefusedVariable."""
    _check(requested)
    made = {name: node_environment[name] for name in _KEPT if name in node_environment}
    made["PATH"] = os.pathsep.join([str(kernel_python.parent), _SYSTEM_PATH])
    made.setdefault("LANG", "C.UTF-8")
    if (kernel_python.parent.parent / "pyvenv.cfg").exists():
        made["VIRTUAL_ENV"] = str(kernel_python.parent.parent)
    made["IPYTHONDIR"] = str(ipython_folder)
    return {**made, **_thread_counts(cpu_cores), **requested}


def sandbox_environment(
    *,
    node_environment: Mapping[str, str],
    requested: Mapping[str, str],
    kernel_python: Path,
    cpu_cores: float | None,
) -> dict[str, str]:
    """The same for a kernel in a sandbox: of the node's machine only the language. Raises RefusedVariable."""
    _check(requested)
    made = {name: node_environment[name] for name in _KEPT_IN_SANDBOX if name in node_environment}
    made |= {"HOME": "/home/kernel", "USER": "kernel", "LOGNAME": "kernel", "SHELL": "/bin/bash"}
    made["PATH"] = os.pathsep.join([str(kernel_python.parent), _SYSTEM_PATH])
    made.setdefault("LANG", "C.UTF-8")
    if (kernel_python.parent.parent / "pyvenv.cfg").exists():
        made["VIRTUAL_ENV"] = str(kernel_python.parent.parent)
    made["IPYTHONDIR"] = IPYTHON_FOLDER
    return {**made, **_thread_counts(cpu_cores), **requested}


def container_environment(*, requested: Mapping[str, str], cpu_cores: float | None) -> dict[str, str]:
    """The same for a kernel in a container: nothing of the node's machine. Raises RefusedVariable."""
    _check(requested)
    made = {"HOME": "/home/kernel", "LANG": "C.UTF-8", "PATH": f"/opt/kernel/bin:{_SYSTEM_PATH}"}
    made["IPYTHONDIR"] = IPYTHON_FOLDER
    return {**made, **_thread_counts(cpu_cores), **requested}


def with_session_file(requested: Mapping[str, str], session_file: str, project: Path) -> Mapping[str, str]:
    """With the path of the kernel's notebook, as Jupyter Server gives it. `project`: its folder as the kernel sees it.

    A value that was asked for stays. A name that no variable can have is left out.
    """
    if not session_file or SESSION_FILE in requested or not _ONE_LINE.match(session_file):
        return requested
    return {**requested, SESSION_FILE: str(project / session_file)}


def _check(requested: Mapping[str, str]) -> None:
    for name, value in requested.items():
        if (
            not _NAME.match(name)
            or not _ONE_LINE.match(value)
            or name.upper() in _REFUSED_NAMES
            or name.upper().startswith(_REFUSED_PREFIXES)
        ):
            raise RefusedVariable(f"The environment variable {name[:60]!r} cannot be set for a kernel.")


def _thread_counts(cpu_cores: float | None) -> dict[str, str]:
    if cpu_cores is None:
        return {}
    return {name: str(max(1, math.ceil(cpu_cores))) for name in _THREAD_VARIABLES}


# Read by IPython kernels before they make their sockets; lies in their IPYTHONDIR.
IPYTHON_CONFIG = Path(kernel_profile.__file__).read_text(encoding="utf-8") + "\n\nconfigure(get_config())\n"
