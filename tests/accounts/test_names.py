"""Names and slugs."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zasper_hub.accounts.errors import Invalid
from zasper_hub.accounts.names import MAX_NAME_LENGTH, MAX_SLUG_LENGTH, clean_name, slugs_for


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "\u200b",
        "a\x00b",
        "a\u202egpj.exe",
        "x" * (MAX_NAME_LENGTH + 1),
        "\ud800",
        "\x7f",
        "\u2066x",
    ],
)
def test_names_that_nobody_could_read_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        clean_name(name, "project")


def test_white_space_is_tidied_and_letters_of_all_scripts_stay() -> None:
    assert clean_name("  Größe \t\n 数据  ", "project") == "Größe 数据"


@given(st.text(max_size=300))
def test_slugs_are_short_distinct_and_made_of_safe_letters(name: str) -> None:
    found = list(islice(slugs_for(name, "project"), 1200))
    assert len(set(found)) == len(found)
    for slug in found:
        assert 0 < len(slug) <= MAX_SLUG_LENGTH
        assert slug.isascii()
        assert slug.replace("-", "").replace("_", "").isalnum()


def test_a_name_without_latin_letters_still_gets_a_slug() -> None:
    assert list(islice(slugs_for("数据", "project"), 2)) == ["project", "project-2"]


def test_no_address_has_the_word_that_vscode_takes_for_a_jupyterhub() -> None:
    assert list(islice(slugs_for("User", "project"), 2)) == ["user-2", "user-3"]
    assert next(slugs_for("Users", "project")) == "users"
