"""How long and how often a scenario measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`seconds` of one load, `repeats` of each, in alternation; of several loads `only_bars` those that have a bar."""

    seconds: float = 10
    repeats: int = 3
    only_bars: bool = False
