"""The one way a path that came from outside becomes a place in a project's folder.

Whatever is wrong with a path, the answer is NotFound: it tells nothing about what is there.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from pathlib import Path, PurePosixPath

from notebooks_app.errors import Invalid, NotFound

MAX_PATH_CHARS = 1024  # Document.path and TrashedFile.path
MAX_NAME_BYTES = 255  # of ext4, xfs, btrfs, APFS
MAX_LINKS = 40  # as Linux itself follows
# `/`, `\`, `.` and NUL as a client that encodes twice would send them.
_ENCODED = re.compile(r"%(?:2f|5c|2e|00)", re.IGNORECASE)

Parts = tuple[str, ...]


def split_path(path: str, *, allows_hidden: bool = False) -> Parts:
    """The components of a path relative to the project; empty for the project's folder itself.

    One trailing slash is allowed (a folder).

    Raises:
        NotFound: absolute, `.`, `..`, an empty component, a backslash, NUL, an encoded separator, a name
            no file can have, or a hidden name where the project does not allow them.
    """
    if path in ("", "/"):
        return ()
    parts = tuple(path.removesuffix("/").split("/"))
    if len(path) > MAX_PATH_CHARS or not all(_is_plain(part) for part in parts):
        raise NotFound
    if not allows_hidden and any(part.startswith(".") for part in parts):
        raise NotFound
    return parts


def _is_plain(name: str) -> bool:
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return False
    return (
        name not in ("", ".", "..")
        and size_bytes <= MAX_NAME_BYTES
        and "\\" not in name
        and "\0" not in name
        and _ENCODED.search(name) is None
    )


def check_new_name(name: str) -> None:
    """Raises Invalid for a name that exists nowhere yet and should not: control characters, outer blanks."""
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name):
        raise Invalid("A name may not have control characters in it.", field="path")
    if name != name.strip():
        raise Invalid("A name may not begin or end with a blank.", field="path")


def resolve_parts(
    folder: Path, parts: Parts, *, allows_hidden: bool = False, follows_last: bool = True
) -> Parts:
    """Components below `folder` that lead to the same place without a symbolic link.

    Links are followed as long as they stay below the folder; `follows_last` false stops at a link that is the last
    component, to act on the link itself. A component that is not there is taken as it is, in NFC; one that is there in
    another Unicode normalisation form is taken as it is there.

    The file system may change meanwhile: act on the result only in ways that refuse links (`local.LocalFiles`).

    Raises:
        NotFound: a link leaves the folder, links form a loop, or a hidden name is met that is not allowed.
    """
    base = Path(os.path.realpath(folder))
    done: list[str] = []
    pending = list(reversed(parts))
    link_count = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":  # only link targets have it
            if not done:
                raise NotFound
            done.pop()
            continue
        if part.startswith(".") and not allows_hidden:
            raise NotFound
        place = base.joinpath(*done)
        part = _name_on_disk(place, part)
        if (not pending and not follows_last) or not _is_link(place / part):
            done.append(part)
            continue
        link_count += 1
        if link_count > MAX_LINKS:
            raise NotFound
        target = PurePosixPath(_read_link(place / part))
        if target.is_absolute():
            if target.parts[: len(base.parts)] != base.parts:
                raise NotFound
            done, target = [], PurePosixPath(*target.parts[len(base.parts) :])
        pending.extend(reversed(target.parts))
    return tuple(done)


def join_path(folder: Path, path: str, *, allows_hidden: bool = False) -> Path:
    """The place in `folder` that `path` names, links followed and checked to stay inside.

    Raises NotFound as `split_path` and `resolve_parts` do.
    """
    parts = split_path(path, allows_hidden=allows_hidden)
    return Path(os.path.realpath(folder)).joinpath(*resolve_parts(folder, parts, allows_hidden=allows_hidden))


def _is_link(place: Path) -> bool:
    try:
        return stat.S_ISLNK(place.lstat().st_mode)
    except OSError:
        return False


def _read_link(place: Path) -> str:
    try:
        return str(place.readlink())
    except OSError as error:
        raise NotFound from error


def _name_on_disk(place: Path, name: str) -> str:
    if name.isascii():
        return name
    composed = unicodedata.normalize("NFC", name)
    try:
        if os.path.lexists(place / name):
            return name
        for other in os.listdir(place):  # noqa: PTH208  # names only: no Path for each
            if unicodedata.normalize("NFC", other) == composed:
                return other
    except OSError:
        pass
    return composed


def check_apart(old: Parts, new: Parts) -> None:
    """Whether what is at `old` can be moved or copied to `new`. Raises Invalid."""
    if not old:
        raise Invalid("The project's folder itself cannot be moved or copied.", field="from")
    if new[: len(old)] == old and len(new) > len(old):
        raise Invalid("A folder cannot go into itself.", field="to")
