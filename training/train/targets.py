"""From labels (a year or an interval of years) to target distributions over ages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.types import AGES

Floats = NDArray[np.float32]

BORDER = 3.0
"""Standard deviations of a label distribution that lie inside -1..101, so that no border moves its mean."""


def age_distributions(sigma: float) -> NDArray[np.float64]:
    """The distribution that stands for each single age: (101, 101), row = age, each row sums to 1.

    A normal one with `sigma` years (Gao et al. 2017, arXiv 1611.01731, "label distribution learning"),
    narrower near 0 and 100: cut off there, it would teach that infants are two years old.
    """
    ages = np.arange(AGES, dtype=np.float64)
    room = np.minimum(ages + 1, AGES - ages)
    width = np.minimum(sigma, room / BORDER)[:, None]
    rows = np.exp(-0.5 * ((ages[None] - ages[:, None]) / width) ** 2)
    return np.asarray(rows / rows.sum(1, keepdims=True), np.float64)


def interval_ages(low: Floats, high: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and last whole age of each interval, (N,) each, within 0..100."""
    first = np.clip(np.floor(low), 0, AGES - 1).astype(np.int64)
    last = np.clip(np.floor(high), 0, AGES - 1).astype(np.int64)
    return first, np.maximum(first, last)


def interval_means(rows: NDArray[np.float64], low: Floats, high: Floats) -> NDArray[np.float64]:
    """The mean of `rows` (101, ...) over the ages of each interval: (N, ...)."""
    first, last = interval_ages(low, high)
    sums = np.concatenate([np.zeros_like(rows[:1]), np.cumsum(rows, 0)])
    count = (last - first + 1).reshape(-1, *(1,) * (rows.ndim - 1))
    return np.asarray((sums[last + 1] - sums[first]) / count, np.float64)


def targets(low: Floats, high: Floats, sigma: float) -> Floats:
    """The targets, (N, 103): the distribution over ages 0..100, then `low` and `high`.

    low, high: (N,) years, equal where the age is known. An interval is uniform, smoothed with `sigma`.
    """
    distributions = interval_means(age_distributions(sigma), low, high)
    return np.column_stack([distributions, np.clip(low, 0, AGES - 1), np.clip(high, 0, AGES - 1)]).astype(
        np.float32
    )


def draw_weights(low: Floats, high: Floats, power: float, smoothing: float) -> NDArray[np.float64]:
    """How often each picture is drawn, (N,), mean 1: 1 / frequency of its age ** power.

    The frequency is smoothed over years with a normal kernel of `smoothing` years; the weight of an interval
    is the mean over its ages.
    """
    kernel = np.exp(-0.5 * ((np.arange(AGES)[None] - np.arange(AGES)[:, None]) / smoothing) ** 2)
    own = interval_means(np.eye(AGES), low, high).sum(0)
    frequency = kernel @ own / kernel.sum(1)
    rate = np.maximum(frequency, 1e-9) ** -power
    weights = interval_means(rate, low, high)
    return np.asarray(weights / weights.mean(), np.float64)
