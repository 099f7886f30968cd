"""Sentences for a person about why a kernel ended. Pure."""

from __future__ import annotations

import re
import signal

from kernels_app.node.folding_payloads import clean_text

# An absolute path with folders: `/srv/hub/run/kernel-1.json`, but not `/`, `n/a` or the path of an address.
_PATH = re.compile(r"(?<![\w./~-])/(?:[^\s/:;,'\"“”()\[\]<>]+/)+([^\s/:;,'\"“”()\[\]<>]*)")

# The hub keeps this much.
MAX_REASON_CHARS = 480


def exit_reason(code: int | None, last_words: str, *, is_ready: bool, display_name: str) -> str:
    """Of a process that ended by itself. `code` is minus the signal's number when one ended it."""
    when = "" if is_ready else " while it was starting"
    if code is not None and code < 0:
        name = _signal_name(-code)
        text = f"The kernel “{display_name}” was killed by {name}{when}."
        if -code == signal.SIGKILL:
            text += " The machine may have run out of memory."
    else:
        text = f"The kernel “{display_name}” ended by itself{when} (exit code {code})."
    if last_words:
        text += f" Its last words: {without_folders(last_words)}"
    return short(text)


def launch_reason(error: OSError, *, program: str, display_name: str) -> str:
    """Of a process that could not be started."""
    match error:
        case FileNotFoundError() if error.filename in (program, None) or str(error.filename) == program:
            return short(
                f"The program of the kernel “{display_name}” is not installed: {without_folders(program)}."
            )
        case FileNotFoundError() | NotADirectoryError():
            return "The notebook's folder does not exist any more."
        case PermissionError():
            return short(
                f"The kernel “{display_name}” may not be started: no permission for {without_folders(program)}."
            )
        case _:
            return short(f"The kernel “{display_name}” could not be started: {error.strerror or error}.")


def memory_reason(used_bytes: int, limit_bytes: int) -> str:
    """`Killed at 512 MiB of 512 MiB.` and what to do."""
    used = max(used_bytes, limit_bytes)
    return f"Killed at {size(used)} of {size(limit_bytes)}. Free memory in the notebook, or ask for more."


def processes_reason(used: int, limit: int) -> str:
    return f"Killed at {used} of {limit} processes. Start fewer at once, or ask for more."


def without_folders(text: str) -> str:
    """The text with `…/name` for each absolute path: where things are on the server is nobody's business."""
    return _PATH.sub(r"…/\1", text)


def size(count: int) -> str:
    """`512 MiB`, `2.0 GiB`."""
    if count >= 1 << 30:
        return f"{count / (1 << 30):.1f} GiB"
    return f"{count / (1 << 20):.0f} MiB"


def short(text: str) -> str:
    """Of a length and with letters that the hub keeps."""
    text = clean_text(text)
    return text if len(text) <= MAX_REASON_CHARS else f"{text[: MAX_REASON_CHARS - 1]}…"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
