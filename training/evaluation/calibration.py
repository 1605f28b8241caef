"""The calibration of a model, and the temperature that calibrates it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.brackets import DEFAULT_BRACKETS, parse_brackets
from edge.bundle import Probabilities, calibrate
from training.evaluation.scores import TINY, Judged, expected_ages, mass
from training.evaluation.truth import Truth, ranks

BINS = 15
"""Of equal width, as in Guo et al. 2017, arXiv 1706.04599."""

TEMPERATURES = np.geomspace(0.5, 4, 61)
"""The temperatures tried: each 3.5 % above the one before, 1 included."""

WORTHWHILE = 0.1
"""Years of mean absolute error: less than this on one data set did not carry over to another."""

DRIFT = 0.25
"""Years by which better calibration may move the mean estimate of a bracket's people."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The faces whose confidence is in (low, high]: their number, mean confidence, and accuracy."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(judged: Judged) -> list[Bin]:
    """The bins that hold a face, from the least confident up."""
    place = np.clip(np.ceil(judged.confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        Bin(
            low=i / BINS,
            high=(i + 1) / BINS,
            n=int(own.sum()),
            confidence=float(judged.confidence[own].mean()),
            accuracy=float(judged.right[own].mean()),
        )
        for i in range(BINS)
        if (own := place == i).any()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error, 0..1: mean gap of confidence and accuracy over the faces of all bins."""
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / total


def fit_temperature(probs: Probabilities, truth: Truth) -> float:
    """The temperature for distributions (N, 101) as the model gives them: first the error, then calibration.

    Of those whose mean absolute error is within `WORTHWHILE` of the least, the nearest to 1; from there to
    the likeliest that moves the people estimated to be in any of the default brackets by `DRIFT` at most.
    Counts come from expected ages: the likeliest temperature of an overconfident model alone would move
    children and old people to the middle, and did so on the photos of another data set.
    """
    tried = {float(t): calibrate(probs, float(t)) for t in TEMPERATURES}
    errors = {t: _error(scaled, truth) for t, scaled in tried.items()}
    good = [t for t in tried if errors[t] <= min(errors.values()) + WORTHWHILE]
    start = min(good, key=lambda t: abs(np.log(t)))
    steady = [t for t in tried if _drift(tried[start], tried[t]) <= DRIFT]
    return min(steady, key=lambda t: (_surprise(tried[t], truth), abs(np.log(t))))


def _drift(before: Probabilities, after: Probabilities) -> float:
    """The most by which the mean estimate of a bracket's people changes, in years."""
    estimates = expected_ages(before)
    place = ranks(estimates, parse_brackets(DEFAULT_BRACKETS))
    moved = np.bincount(place, expected_ages(after) - estimates) / np.maximum(np.bincount(place), 1)
    return float(np.abs(moved).max())


def _error(probs: Probabilities, truth: Truth) -> float:
    estimates = expected_ages(probs)
    return float(np.abs(estimates - truth.nearest(estimates)).mean())


def _surprise(probs: Probabilities, truth: Truth) -> float:
    return float(-np.log(np.maximum(mass(probs, truth.low, truth.high), TINY)).mean())
