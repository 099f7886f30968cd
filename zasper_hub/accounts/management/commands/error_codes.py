"""`manage.py error_codes --output FILE`: the table of error codes as TypeScript, for the frontend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from zasper_hub.accounts.errors import CODES


def as_typescript() -> str:
    """The table as a TypeScript module."""
    lines = [
        "// Made by `manage.py error_codes` from zasper_hub/accounts/errors.py.",
        "",
        "export const errorCodes = {",
        *(
            f"  {code}: {{ status: {meaning.status}, closeCode: {meaning.close_code} }},"
            for code, meaning in CODES.items()
        ),
        "} as const;",
        "",
        "export type ErrorCode = keyof typeof errorCodes;",
    ]
    return "\n".join(lines) + "\n"


class Command(BaseCommand):
    help = "Write the table of error codes as a TypeScript module."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        options["output"].write_text(as_typescript(), encoding="utf-8")
