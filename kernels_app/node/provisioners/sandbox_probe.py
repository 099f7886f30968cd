"""Whether this machine can keep kernels in sandboxes: tried out once, when the node starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kernels_app.bus.envelopes import Limits
from kernels_app.node.provisioners.bubblewrap import (
    RUN_FOLDER,
    Machine,
    SandboxSettings,
    proc_entries,
    system_links,
)
from kernels_app.node.provisioners.sandbox import Sandbox, SandboxLaunch

PROBE_S = 10.0
# Says that it runs, and stays until its input ends.
_PROBE_SCRIPT = 'echo "$1" > /run/kernel/probe && echo ready && read -r line'
_HINTS = (
    ("setting up uid map", "the system forbids user namespaces to programs (AppArmor or a setting of the kernel)"),
    ("No permissions to create", "the system forbids user namespaces (kernel.unprivileged_userns_clone, AppArmor)"),
    ("Creating new namespace failed", "the system forbids new namespaces (user.max_user_namespaces, a container)"),
    ("Operation not permitted", "the system forbids what a sandbox needs, as in most containers"),
)  # fmt: skip


class SandboxUnavailable(Exception):
    """Why this machine cannot; a sentence for an administrator."""


def find_machine(
    kernel_python: Path, settings: SandboxSettings, *, path: str | None = None, further: Sequence[Path] = ()
) -> Machine:
    """What sandboxes are made from here. `path`: where to look for bwrap; `further`: folders with kernelspecs. Takes
    about 0.1 s, blocking. Raises SandboxUnavailable."""
    if not sys.platform.startswith("linux"):
        raise SandboxUnavailable("Sandboxes need Linux.")
    program = shutil.which("bwrap", path=path)
    if program is None:
        raise SandboxUnavailable("bubblewrap is not installed (on Debian: apt-get install bubblewrap).")
    machine = Machine(
        program=program,
        links=system_links(),
        proc_entries=proc_entries(),
        kernel_folders=_kernel_folders(kernel_python, further),
        can_refuse_user_namespaces="--disable-userns" in _output([program, "--help"]),
    )
    reason = _try(machine, settings)
    if reason is None:
        return machine
    # Installed with rights of its own, or run by root: it needs no user namespace.
    without = msgspec.structs.replace(machine, has_user_namespace=False)
    if _try(without, settings) is None:
        return without
    raise SandboxUnavailable(reason)


def _kernel_folders(kernel_python: Path, further: Sequence[Path]) -> tuple[Path, ...]:
    """The environment of the kernels as it is named and as it is, and the Python it was made from."""
    prefix = kernel_python.parent.parent
    found = [prefix, prefix.resolve()]
    base = _output(
        [
            str(kernel_python),
            "-I",
            "-S",
            "-c",
            "import sys; print(sys.base_prefix); print(sys.base_exec_prefix)",
        ]
    )
    found += [Path(line) for line in base.splitlines() if line.startswith("/")]
    found += [folder.resolve() for folder in found[2:]]
    found += further
    # /usr is there already, and nobody's whole disk is meant.
    kept = [
        folder
        for folder in dict.fromkeys(found)
        if folder.is_dir()
        and folder != Path("/")
        and folder != Path("/usr")
        and Path("/usr") not in folder.parents
    ]
    return tuple(kept)


def _output(words: list[str]) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PROBE_S, env={})
        return done.stdout + done.stderr
    return ""


def _try(machine: Machine, settings: SandboxSettings) -> str | None:
    """None when it works, else why not."""
    with tempfile.TemporaryDirectory(prefix="zasper-probe-") as folder:
        project = Path(folder)
        sandbox = Sandbox(machine, settings)
        limits = Limits(memory_bytes=256 << 20, process_count=16)
        words, descriptors = sandbox.words(
            SandboxLaunch(project=project), cwd=project, limits=limits, has_process_group=False
        )
        try:
            process = subprocess.Popen(
                [*words, "/bin/sh", "-c", _PROBE_SCRIPT, "probe", "here"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=descriptors,
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )
        except OSError as error:
            return f"bubblewrap cannot be run: {error.strerror}."
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        try:
            return _verdict(sandbox, process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            sandbox.close()


def _verdict(sandbox: Sandbox, process: subprocess.Popen[bytes]) -> str | None:
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline().strip() != b"ready":
        return _reason(process.stderr.read().decode("utf-8", "replace"))
    sandbox.read_status()
    try:
        # The way to a kernel's sockets.
        if (sandbox.folder(RUN_FOLDER) / "probe").read_text().strip() != "here":
            return "The node cannot see into a sandbox."
    except OSError as error:
        return f"The node cannot see into a sandbox ({error.strerror})."
    return None


def _reason(words: str) -> str:
    said = words.strip().splitlines()[-1:] or ["it ended without a word"]
    hint = next((hint for sign, hint in _HINTS if sign in words), None)
    return f"bubblewrap does not work here: {hint or said[0]}."
