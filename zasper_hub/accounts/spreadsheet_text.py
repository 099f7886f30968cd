"""Lines of a CSV file that a spreadsheet may open without running anything. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

# What makes a cell a formula in Excel, LibreOffice or Google Sheets, the full-width forms too (OWASP, CSV Injection).
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> str:
    """The value as text; one that would be taken for a formula gets an apostrophe before it."""
    text = "" if value is None else str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS) else text


def csv_lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows, with line ends as RFC 4180 has them."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
    return out.getvalue()
