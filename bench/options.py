"""How long and how often a scenario measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`seconds` of one load, `repeats` of each, in alternation."""

    seconds: float = 10
    repeats: int = 3
