"""Fractional positions of cells: strings between any two of which another fits. Pure.

The scheme of the npm package fractional-indexing, so that browser and hub make the same keys: a head
character tells how many digits the integer part has (`a` one, `b` two, …; `Z` one below zero), then
come the fraction's digits without trailing zeros. Keys compare as ASCII strings.
"""

from __future__ import annotations

import re

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
POSITION = re.compile(r"[0-9A-Za-z]{1,256}")
_SMALLEST_INTEGER = "A" + "0" * 26


def positions(count: int) -> list[str]:
    """That many positions in a row, for a notebook that has none yet: a0, a1, …"""
    keys: list[str] = []
    last: str | None = None
    for _ in range(count):
        last = position_between(last, None)
        keys.append(last)
    return keys


def position_between(before: str | None, after: str | None) -> str:
    """A position after `before` and before `after`; None is the notebook's start or end.

    Where no such position exists (a client wrote two equal ones, or some that are no keys) it is
    one after `before`.
    """
    try:
        return _between(before, after)
    except (ValueError, IndexError):
        return f"{before}V" if before else DIGITS[1]


def _between(a: str | None, b: str | None) -> str:
    if a is not None and b is not None and a >= b:
        raise ValueError("not in order")
    if a is None and b is None:
        return "a0"
    if a is None:
        assert b is not None
        integer, fraction = _split(b)
        if integer == _SMALLEST_INTEGER:
            return integer + _midpoint("", fraction)
        if fraction:
            return integer
        lower = _step(integer, -1)
        if lower is None:
            raise ValueError("nothing below")
        return lower
    integer, fraction = _split(a)
    if b is None:
        upper = _step(integer, 1)
        return upper if upper is not None else integer + _midpoint(fraction, None)
    b_integer, b_fraction = _split(b)
    if integer == b_integer:
        return integer + _midpoint(fraction, b_fraction)
    upper = _step(integer, 1)
    if upper is None:
        raise ValueError("nothing above")
    return upper if upper < b else integer + _midpoint(fraction, None)


def _split(key: str) -> tuple[str, str]:
    """Integer part and fraction. Raises ValueError when it is no key."""
    head = key[0]
    if "a" <= head <= "z":
        length = ord(head) - ord("a") + 2
    elif "A" <= head <= "Z":
        length = ord("Z") - ord(head) + 2
    else:
        raise ValueError("no head")
    if len(key) < length or (len(key) > length and key.endswith("0")) or key == _SMALLEST_INTEGER:
        raise ValueError("no key")
    return key[:length], key[length:]


def _step(integer: str, step: int) -> str | None:
    """The integer above (1) or below (-1); None past the ends of the scheme."""
    head, digits = integer[0], [DIGITS.index(digit) for digit in integer[1:]]
    for index in range(len(digits) - 1, -1, -1):
        digits[index] += step
        if 0 <= digits[index] < len(DIGITS):
            return head + "".join(DIGITS[digit] for digit in digits)
        digits[index] %= len(DIGITS)
    # All digits rolled over: one more digit away from zero, one less towards it.
    if head == ("Z" if step > 0 else "a"):
        return "a0" if step > 0 else "Z" + DIGITS[-1]
    if head == ("z" if step > 0 else "A"):
        return None
    new_head = chr(ord(head) + step)
    grows = (new_head > "a") if step > 0 else (new_head < "Z")
    rolled = DIGITS[0] if step > 0 else DIGITS[-1]
    return new_head + rolled * (len(digits) + (1 if grows else -1))


def _midpoint(a: str, b: str | None) -> str:
    """Digits of a fraction strictly between two; None is one."""
    if b is not None:
        # What both start with stays; a missing digit of `a` is a zero.
        same = 0
        while same < len(b) and (a[same] if same < len(a) else "0") == b[same]:
            same += 1
        if same:
            return b[:same] + _midpoint(a[same:], b[same:])
    low = DIGITS.index(a[0]) if a else 0
    high = DIGITS.index(b[0]) if b is not None else len(DIGITS)
    if high - low > 1:
        return DIGITS[(low + high + 1) // 2]
    if b is not None and len(b) > 1:
        return b[0]
    return DIGITS[low] + _midpoint(a[1:], None)
