"""Confidence intervals by the bootstrap (Efron & Tibshirani 1993, chapter 13).

Each draw takes as many faces as there are, with replacement; the interval of a figure is the middle 95 % of
its values over many draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.scores import CLOSE, Judged

DRAWS = 1000
COVERAGE = 0.95

Interval = tuple[float, float]


def resamples(n: int, seed: int, draws: int = DRAWS) -> Iterator[NDArray[np.intp]]:
    """Indices (n,) of faces drawn again, `draws` times; the same for the same n and seed."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield rng.integers(0, n, n, dtype=np.intp)


def interval(values: NDArray[Any] | list[float], coverage: float = COVERAGE) -> Interval:
    """The interval of a figure that holds this share of its values over the draws."""
    low, high = np.quantile(values, ((1 - coverage) / 2, (1 + coverage) / 2))
    return float(low), float(high)


def intervals(judged: Judged, seed: int) -> dict[str, Interval]:
    """95 % intervals of mae (years), cs5, accuracy and within_one."""
    each = np.column_stack([judged.error, judged.error <= CLOSE, judged.right, judged.near])
    means = np.array([each[index].mean(axis=0) for index in resamples(len(judged), seed)])
    names = ("mae", "cs5", "accuracy", "within_one")
    return {name: interval(column) for name, column in zip(names, means.T, strict=True)}
