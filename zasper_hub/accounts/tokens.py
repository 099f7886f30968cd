"""What an API token looks like and what its scopes allow. Pure: no database."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

PREFIX_LENGTH = 11  # "zh_" and eight characters: public, names the row
_SECRET_BYTES = 32


class Scope(StrEnum):
    """What a token may be used for, within what its owner may do."""

    READ = "read"
    WRITE = "write"
    RUN = "run"
    MANAGE = "manage"
    ACCOUNT = "account"
    ADMIN = "admin"

    @property
    def allows(self) -> str:
        return _TITLES[self]


_TITLES: dict[Scope, str] = {
    Scope.READ: "See projects, files, notebooks, outputs and kernels",
    Scope.WRITE: "Change files and notebooks",
    Scope.RUN: "Run code; start, interrupt and stop kernels",
    Scope.MANAGE: "Create, change, share and delete projects and teams",
    Scope.ACCOUNT: "See and change the account: profile, password, tokens, sign-ins",
    Scope.ADMIN: "Administer the hub or one's teams (administrators only)",
}

ALL_SCOPES: frozenset[Scope] = frozenset(Scope)


class NewToken(NamedTuple):
    """The text is for the person, once; prefix and hash are for the database."""

    text: str
    prefix: str
    secret_hash: str


def new_token() -> NewToken:
    prefix = f"zh_{secrets.token_hex(4)}"
    text = f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return NewToken(text, prefix, hash_of(text))


def hash_of(text: str) -> str:
    """SHA-256, hex. No salt or stretching: the token itself has 256 random bits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def prefix_of(text: str) -> str:
    return text[:PREFIX_LENGTH]


def is_same_hash(expected: str, text: str) -> bool:
    """Whether `text` has the hash, taking the same time whatever it differs in."""
    return hmac.compare_digest(expected.encode(), hash_of(text).encode())


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names.

    Raises:
        ValueError: a name is not a scope; the message names it.
    """
    return frozenset(Scope(name) for name in names)


def token_from_header(value: str) -> str | None:
    """The token of an `Authorization: token X` or `Bearer X` header; None for any other scheme or none."""
    scheme, _, text = value.strip().partition(" ")
    if scheme.lower() not in ("token", "bearer"):
        return None
    return text.strip() or None
