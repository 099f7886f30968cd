"""A list of people to invite, as somebody exported it from a spreadsheet. Pure."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace

from zasper_hub.accounts.errors import Invalid, TooLarge
from zasper_hub.accounts.names import is_plain_text

MAX_LINES = 10_000
MAX_BYTES = 2 * 1024 * 1024
COLUMNS = ("username", "email", "display_name", "team", "role")
ROLES = ("member", "admin")
_USERNAME = re.compile(r"[\w.@+-]{1,150}\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, `number` as an editor counts them. `problem`: why it cannot be used; empty when it can."""

    number: int
    username: str
    email: str = ""
    display_name: str = ""
    team: str = ""
    role: str = "member"
    problem: str = ""


def parse_list(data: bytes) -> list[Line]:
    """The lines of a CSV file with a header; commas, semicolons or tabs between the columns.

    Raises:
        TooLarge: more than `MAX_BYTES` or `MAX_LINES`. Invalid: it is no such file.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"The list is larger than {MAX_BYTES // 1024 // 1024} MiB.", limit=MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("The list is not UTF-8 text. Save it as CSV UTF-8.", field="list") from error
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, strict=False)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        _check_header(header)
        lines: list[Line] = []
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(lines) >= MAX_LINES:
                raise TooLarge(
                    f"The list has more than {MAX_LINES} lines: send it in parts.", limit=MAX_LINES
                )
            lines.append(_line(rows.line_num, dict(zip(header, row, strict=False)), len(row) > len(header)))
    except csv.Error as error:
        raise Invalid("The list is not a CSV file.", field="list") from error
    if not lines:
        raise Invalid("The list has no lines but its header.", field="list")
    return _without_doubles(lines)


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if "username" not in header or unknown or len(set(header)) != len(header):
        raise Invalid(
            f"The first line must name the columns: {', '.join(COLUMNS)}; only username is needed.",
            field="list",
            unknown=[name[:50] for name in unknown[:10]],
        )


def _line(number: int, cells: dict[str, str], has_more: bool) -> Line:
    values = {name: " ".join(cells.get(name, "").split(" ")).strip() for name in COLUMNS}
    role = values["role"].lower() or "member"
    problem = ""
    if has_more:
        problem = "The line has more columns than the first."
    elif not all(is_plain_text(value) for value in values.values()):
        problem = "The line has control characters."
    elif not values["username"]:
        problem = "The username is missing."
    elif not _USERNAME.match(values["username"]):
        problem = "A username has letters, digits and @ . + - _ only, at most 150."
    elif values["email"] and (len(values["email"]) > 254 or not _EMAIL.match(values["email"])):
        problem = "That is not an e-mail address."
    elif len(values["display_name"]) > 100:
        problem = "The display name is longer than 100 characters."
    elif role not in ROLES:
        problem = "The role is member or admin."
    elif role == "admin" and not values["team"]:
        problem = "A role needs a team."
    shown = {name: value[:254] for name, value in values.items() if name != "role"}
    return Line(number, role=role[:20], problem=problem, **shown)


def _without_doubles(lines: list[Line]) -> list[Line]:
    """The lines, each that names a person and team of an earlier one with a problem."""
    seen: dict[tuple[str, str], int] = {}
    checked: list[Line] = []
    for line in lines:
        key = (line.username.lower(), line.team)
        earlier = seen.setdefault(key, line.number)
        if earlier != line.number and not line.problem:
            checked.append(replace(line, problem=f"The same as line {earlier}."))
        else:
            checked.append(line)
    return checked
