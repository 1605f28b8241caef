"""Age brackets such as `25-34` and `65+`: how they are read, and which one an age is in."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_BRACKETS = ("0-12", "13-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+")
OLDEST = 120
"""The highest age that a bracket may name, in years."""

_CLOSED = re.compile(r"([0-9]{1,3})-([0-9]{1,3})")
_OPEN = re.compile(r"([0-9]{1,3})\+")


@dataclass(frozen=True, slots=True)
class Bracket:
    """The ages low..high in whole years, both included; `high` is None for the open one at the top."""

    label: str
    low: int
    high: int | None


def parse_bracket(text: str) -> Bracket:
    """Read `25-34` or `65+`; ValueError says what is allowed."""
    if found := _OPEN.fullmatch(text):
        low, high = int(found[1]), None
    elif found := _CLOSED.fullmatch(text):
        low, high = int(found[1]), int(found[2])
    else:
        raise ValueError(
            f"bracket {text!r}: not a bracket; allowed: years such as '25-34', or '65+' for the last one"
        )
    if max(low, high or 0) > OLDEST:
        raise ValueError(f"bracket {text!r}: age above {OLDEST}; allowed: 0 to {OLDEST}")
    if high is not None and high < low:
        raise ValueError(f"bracket {text!r}: ends before it begins; allowed: the lower age first")
    return Bracket(text, low, high)


def parse_brackets(texts: Sequence[str]) -> tuple[Bracket, ...]:
    """Read the brackets in order; ValueError unless each age from 0 up is in exactly one of them."""
    brackets = tuple(parse_bracket(text) for text in texts)
    expected: int | None = 0
    for bracket in brackets:
        if expected is None:
            raise ValueError(f"bracket {bracket.label!r} comes after an open one: only the last may be open")
        if bracket.low > expected:
            raise ValueError(f"gap before bracket {bracket.label!r}: age {expected} is in no bracket")
        if bracket.low < expected:
            raise ValueError(f"overlap at bracket {bracket.label!r}: age {bracket.low} is in two brackets")
        expected = None if bracket.high is None else bracket.high + 1
    if expected is not None:
        raise ValueError(f"age {expected} is in no bracket: the last one must be open, such as '{expected}+'")
    return brackets


def bracket_of(age: float, brackets: Sequence[Bracket]) -> Bracket:
    """The bracket of an expected age in years, by the nearest whole year.

    The model's classes are completed years, so 34.6 lies nearer to those who are 35 than to those who are 34.
    """
    year = math.floor(age + 0.5)
    return next(b for b in reversed(brackets) if year >= b.low)
