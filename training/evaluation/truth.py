"""The labels of faces: an interval of years each; of one year where the age is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.brackets import Bracket, bracket_of
from edge.errors import ConfigurationError
from edge.types import AGES, require_array

Index = NDArray[np.intp] | NDArray[np.bool_] | slice


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True ages, low..high in years, both included: float32 (N,) each, 0..100; older people count as 100."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def __post_init__(self) -> None:
        require_array("Truth.low", self.low, (None,), np.float32)
        require_array("Truth.high", self.high, (len(self.low),), np.float32)

    @classmethod
    def of(cls, low: Sequence[float] | NDArray[Any], high: Sequence[float] | NDArray[Any]) -> Truth:
        """From any numbers of years; ages over 100 become 100."""
        oldest = AGES - 1
        return cls(np.minimum(low, oldest).astype(np.float32), np.minimum(high, oldest).astype(np.float32))

    def __len__(self) -> int:
        return len(self.low)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the year is known, and not only a group of years."""
        return np.asarray(self.low == self.high, np.bool_)

    def select(self, index: Index) -> Truth:
        """Those at these indices, or where the mask is true."""
        return Truth(self.low[index], self.high[index])

    def nearest(self, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        """The age of each interval that is nearest to the given one, (N,) in years."""
        return np.clip(ages, self.low, self.high).astype(np.float64)


def own_brackets(truth: Truth, default: Sequence[Bracket]) -> tuple[Bracket, ...]:
    """The brackets of the labels: the data's groups, or `default` where all labels are years.

    Groups that leave years out between them are joined by brackets that hold those. Raises
    ConfigurationError that names two groups which overlap.
    """
    groups = sorted({(int(low), int(high)) for low, high in _pairs(truth.select(~truth.known))})
    if not groups:
        return tuple(default)
    for (low, high), (next_low, next_high) in pairwise(groups):
        if next_low <= high:
            raise ConfigurationError(
                f"the data's age groups {low}-{high} and {next_low}-{next_high} overlap; name brackets that "
                "hold each of them whole (--brackets), or evaluate them as two data sets"
            )
    edges = sorted({0} | {low for low, _ in groups} | {high + 1 for _, high in groups if high < AGES - 1})
    closed = [Bracket(f"{low}-{end - 1}", low, end - 1) for low, end in pairwise(edges)]
    return (*closed, Bracket(f"{edges[-1]}+", edges[-1], None))


def true_ranks(truth: Truth, brackets: Sequence[Bracket]) -> NDArray[np.intp]:
    """The place in `brackets` of each face's own one, (N,); ConfigurationError where a group is in two."""
    # Labels are completed years: 34.9 is 34, unlike an estimate, which goes to the nearest year.
    low, high = ranks(np.floor(truth.low), brackets), ranks(np.floor(truth.high), brackets)
    if (torn := np.flatnonzero(low != high)).size:
        first = torn[0]
        raise ConfigurationError(
            f"the data's age group {truth.low[first]:g}-{truth.high[first]:g} lies in the brackets "
            f"{brackets[low[first]].label} and {brackets[high[first]].label}; each group must lie in one"
        )
    return low


def ranks(ages: NDArray[Any], brackets: Sequence[Bracket]) -> NDArray[np.intp]:
    """The place in `brackets` of each expected age's one, (N,)."""
    places = {bracket: place for place, bracket in enumerate(brackets)}
    return np.array([places[bracket_of(float(age), brackets)] for age in ages], np.intp)


def _pairs(truth: Truth) -> list[tuple[float, float]]:
    return list(zip(truth.low.tolist(), truth.high.tolist(), strict=True))
