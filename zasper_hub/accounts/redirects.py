"""Where a page may send a browser next. Pure."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def safe_next(target: str | None, base_path: str = "") -> str | None:
    """`target` when it is a path of the hub on this host, as browsers would read it; None for anything else.

    Browsers drop tabs and line ends, take `\\` for `/`, and read `//host` as another host; so may a proxy that decodes
    once more. None of these gets through, and neither does a relative path.
    """
    if (
        not target
        or target[0] != "/"
        or len(target) > 2000
        or any(ord(character) < 0x21 for character in target)
    ):
        return None
    for form in (target, unquote(target), unquote(unquote(target))):
        flat = form.replace("\\", "/")
        if (
            not flat.startswith("/")
            or flat.startswith("//")
            or any(ord(character) < 0x20 for character in flat)
        ):
            return None
        try:
            parts = urlsplit(flat)
        except ValueError:
            return None
        if parts.scheme or parts.netloc:
            return None
        path = parts.path
        if "//" in path or any(part in (".", "..") for part in path.split("/")):
            return None
    is_ours = target.startswith(f"{base_path}/") or urlsplit(target).path == base_path
    return target if is_ours else None
