"""docs/reference/settings.md has a row for every setting, with its default, and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from zasper_hub.settings.environment import BASE_DIR, SECRET_NAMES, Environment

PAGE = BASE_DIR / "docs" / "reference" / "settings.md"
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)


def documented() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8").split("## The hub")[1].split("\n## ")[0]
    return {name: default.strip() for name, default in ROW.findall(text)}


def shown_default(value: object) -> str:
    match value:
        case None | "":
            return "–"
        case Path():
            return f"`./{value.relative_to(BASE_DIR)}`"
        case bool():
            return "`1`" if value else "`0`"
        case SecretStr():
            raise AssertionError("a secret has a default")
        case _:
            return f"`{value}`"


def test_every_setting_has_its_row_with_its_default() -> None:
    expected = {
        name.upper(): shown_default(field.default) for name, field in Environment.model_fields.items()
    }
    assert documented() == expected


def test_secrets_say_that_they_may_be_files() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in SECRET_NAMES:
        assert f"`{name}_FILE`" in text
