"""The labels of a data set, and the faults in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

OLDEST = 120
"""Years: the oldest age that a label may have; the oldest person known came to 122."""

GROUP_END = 100
"""Years: where an open group such as `70+` ends, the last age that the model knows."""


class FaultKind(StrEnum):
    """The faults that a data set may have; the value is the name in reports."""

    NO_FILE = "row without a file"
    NO_ROW = "file without a row"
    SURPLUS = "row with more fields than the header"
    BAD_AGE = "age that is not a number"
    AGE_RANGE = "age out of 0 to 120"
    EMPTY = "empty file"
    UNREADABLE = "no picture"
    COPY = "identical copy"
    CONFLICT = "copies with different ages"
    NEAR_COPY = "near-copy"
    NO_FACE = "no face found"
    SEVERAL_FACES = "several faces"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its kind, the file or row that has it, and the details."""

    kind: FaultKind
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture and the age on it: between `low` and `high` years, both included.

    An age in years has low == high. traits: other labels (gender, ...); used for reports only.
    held_out: the data set's authors keep it apart, to test on.
    """

    file: Path
    low: float
    high: float
    traits: Mapping[str, str] = field(default_factory=dict)
    held_out: bool = False

    @property
    def middle(self) -> float:
        """The middle of the interval, in years."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The usable rows of a data set in their order, and the faults of the others.

    pictures: the folder below which they lie; names in reports are relative to it.
    """

    pictures: Path
    rows: Sequence[Labelled]
    faults: Sequence[Fault]


def interval(low: float, high: float) -> str:
    """An interval of ages in words: `34`, `20-29`, `70+`."""
    if low == high:
        return f"{low:g}"
    return f"{low:g}+" if high == GROUP_END else f"{low:g}-{high:g}"
