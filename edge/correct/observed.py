"""What readers know of the visits of each cell: the released number, and how many more there may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DEVIATIONS = 4.0
"""Standard deviations of the noise round a number that are considered."""

_POINTS = 65
"""Numbers of visits in that range that are considered, at most: much noise needs no finer steps."""


@dataclass(frozen=True, eq=False)
class Observed:
    """The visits that may have been counted in each of C cells.

    least: int (C,), 0 or more. weights: float (C, L); weights[j, k] is the likelihood of
    `least[j] + k * step` visits in cell j, up to a factor. released: what is published, summed; below 0
    where noise makes it so.
    """

    least: NDArray[np.int64]
    weights: Floats
    released: int
    step: int = 1

    @cached_property
    def possible(self) -> NDArray[np.int64]:
        """The numbers of visits that the weights are of, (C, L)."""
        return np.asarray(self.least[:, None] + self.step * np.arange(self.weights.shape[1]), np.int64)

    @cached_property
    def chances(self) -> Floats:
        """The logarithm of each weight over n!, (C, L), n being its number of visits: what a Poisson
        distribution needs beside its mean."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.weights) - _log_factorials(self.possible), np.float64)

    @property
    def likeliest(self) -> NDArray[np.int64]:
        """The number of visits in each cell with the greatest weight, (C,); of several the least."""
        return np.asarray(self.least + self.step * self.weights.argmax(axis=1), np.int64)

    def likely(self, means: Floats) -> Floats:
        """How likely each possible number is, (..., C, L), 1 for the likeliest, if the visits counted in a
        cell are Poisson with these `means`, (..., C), above 0.
        """
        logs = self.possible * np.log(means)[..., None] + self.chances
        return np.asarray(np.exp(logs - logs.max(axis=-1, keepdims=True)), np.float64)

    @classmethod
    def exact(cls, counts: Sequence[int]) -> Observed:
        """Every visit is released."""
        return cls.released_with(counts, [0] * len(counts), 1)

    @classmethod
    def released_with(cls, counts: Sequence[int], cells_waiting: Sequence[int], minimum: int) -> Observed:
        """Released numbers by cell, and of how many places each cell waits: with 0..minimum - 1 visits.

        Any number in such a place is as likely as any other; several add up.
        """
        one = np.full(minimum, 1.0 / minimum)
        chances = [reduce(np.convolve, [one] * cells, np.ones(1)) for cells in cells_waiting]
        weights = np.zeros((len(counts), max(map(len, chances))))
        for row, own in zip(weights, chances, strict=True):
            row[: len(own)] = own
        return cls(np.array(counts, np.int64), weights, sum(counts))

    @classmethod
    def with_noise(cls, counts: Sequence[int], variance: float) -> Observed:
        """Numbers by cell that carry noise of this variance, in visits squared, each.

        Sums of many draws of discrete Laplace noise are near a normal distribution.
        """
        reach = int(np.ceil(_DEVIATIONS * np.sqrt(variance)))
        step = -(-(2 * reach + 1) // _POINTS)
        least = np.maximum(np.array(counts, np.int64) - reach, 0)
        seen = cls(least, np.zeros((len(counts), -(-(2 * reach + 1) // step))), sum(counts), step)
        distances = seen.possible - np.array(counts)[:, None]
        exponents = -(distances**2) / (2 * max(variance, 1e-9))
        return replace(seen, weights=np.exp(exponents - exponents.max(axis=1, keepdims=True)))


def _log_factorials(numbers: NDArray[np.int64]) -> Floats:
    """The logarithm of n! of each number, which is 0 or more."""
    logs = np.log(np.maximum(np.arange(int(numbers.max()) + 1), 1))
    return np.asarray(logs.cumsum()[numbers], np.float64)
