"""What the node asks an image for before it starts a kernel of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any


def kernelspecs(prefix: Path) -> dict[str, Any]:
    """The kernelspecs of this image: name to what its kernel.json says, and its folder."""
    found: dict[str, Any] = {}
    for path in sorted((prefix / "share" / "jupyter" / "kernels").glob("*/kernel.json")):
        with contextlib.suppress(OSError, ValueError):
            spec = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(spec, dict):
                found[path.parent.name] = {**spec, "resource_dir": str(path.parent)}
    return found
