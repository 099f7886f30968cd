"""Names that people give to things: cleaned, bounded, and turned into slugs. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from django.utils.text import slugify

from zasper_hub.accounts.errors import Invalid

MAX_NAME_LENGTH = 100
MAX_SLUG_LENGTH = 64
# VS Code takes an address with /user/ in it for a JupyterHub's, and asks for a password.
_MISTAKEN_SLUGS = frozenset({"user"})


def clean_name(value: str, what: str, *, max_length: int = MAX_NAME_LENGTH) -> str:
    """The name with white space at its ends and repeated white space within removed.

    Raises:
        Invalid: nothing visible is left, it is too long, or it has control or text-direction characters.
    """
    name = " ".join(unicodedata.normalize("NFC", value).split())
    if not name:
        raise Invalid(f"The {what}'s name is empty.", field="name")
    if len(name) > max_length:
        raise Invalid(f"The {what}'s name is longer than {max_length} characters.", field="name")
    # Cc and Cf: also what turns the direction of text and so makes a name look like another one.
    # Cs and Cn: not characters at all.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn") for character in name):
        raise Invalid(f"The {what}'s name has characters that cannot be shown.", field="name")
    return name


def is_plain_text(value: str) -> bool:
    """Whether it has no control characters and no halves of characters: no name has them, no database takes all."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def slugs_for(name: str, fallback: str) -> Iterator[str]:
    """Slugs to try for a name, best first: `name`, `name-2`, `name-3` … without end."""
    base = slugify(name)[: MAX_SLUG_LENGTH - 8].strip("-_") or fallback
    if base not in _MISTAKEN_SLUGS:
        yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1
