"""How good age distributions are: errors in years, brackets, histograms, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.brackets import DEFAULT_BRACKETS, Bracket, bracket_of, parse_brackets
from edge.bundle import Confusion, Probabilities, calibrate
from edge.types import AGES

Ages = NDArray[np.int64]
"""True ages in whole years, (N,) in 0..100."""

TINY = 1e-6
"""The least probability that counts in a likelihood."""

TEMPERATURES = np.geomspace(0.5, 4, 61)
"""Those that are tried: 1 is among them, each 3.5 % above the one before."""

WORTHWHILE = 0.1
"""Years of mean absolute error: less than this on one data set did not carry over to another."""


def expected_ages(probs: Probabilities) -> NDArray[np.float64]:
    """Expected ages in years, (N,), of the distributions (N, 101)."""
    return np.asarray(probs.astype(np.float64) @ np.arange(AGES), np.float64)


def negative_log_likelihood(probs: Probabilities, ages: Ages) -> float:
    """Mean of -ln p(true age), in nats; p below `TINY` counts as `TINY`."""
    own = probs[np.arange(len(ages)), ages]
    return float(-np.log(np.maximum(own, TINY)).mean())


def fit_temperature(probs: Probabilities, ages: Ages) -> float:
    """The temperature nearest 1 whose mean absolute error is within `WORTHWHILE` of the least.

    Judged by the expected age, from which brackets are taken, and not by likelihood: the likeliest
    temperature of an overconfident model moves the estimates of children and old people to the middle.
    """
    errors = [np.abs(expected_ages(calibrate(probs, t)) - ages).mean() for t in TEMPERATURES]
    good = TEMPERATURES[np.array(errors) <= min(errors) + WORTHWHILE]
    return float(min(good, key=lambda t: abs(np.log(t))))


def score_years(probs: Probabilities, ages: Ages) -> dict[str, float]:
    """Figures on faces whose age is known.

    mae, median_ae, bias: of the expected age, in years; bias > 0 means too old. cs5: share of faces within 5
    years. accuracy, within_one: share in the right default bracket, and in it or the next. histogram_tv:
    total variation between estimated and true bracket histogram, 0..1. nll: in nats.
    """
    estimates = expected_ages(probs)
    error = np.abs(estimates - ages)
    brackets = parse_brackets(DEFAULT_BRACKETS)
    estimated, true = _ranks(estimates, brackets), _ranks(ages, brackets)
    return {
        "n": len(ages),
        "mae": float(error.mean()),
        "median_ae": float(np.median(error)),
        "bias": float((estimates - ages).mean()),
        "cs5": float((error <= 5).mean()),
        **_agreement(estimated, true),
        "histogram_tv": float(np.abs(_shares(estimated) - _shares(true)).sum() / 2),
        "nll": negative_log_likelihood(probs, ages),
    }


def score_brackets(probs: Probabilities, ages: Ages) -> dict[str, dict[str, float]]:
    """n, mae in years and recall (share in the right bracket) of the faces of each default bracket."""
    estimates = expected_ages(probs)
    brackets = parse_brackets(DEFAULT_BRACKETS)
    estimated, true = _ranks(estimates, brackets), _ranks(ages, brackets)
    return {
        bracket.label: {
            "n": int(own.sum()),
            "mae": float(np.abs(estimates - ages)[own].mean()),
            "recall": float((estimated[own] == rank).mean()),
        }
        for rank, bracket in enumerate(brackets)
        if (own := true == rank).any()
    }


def score_groups(probs: Probabilities, groups: Sequence[Bracket]) -> dict[str, float]:
    """Figures on faces of which only the age group is known, one group a face.

    mae: distance in years from the expected age to the group's interval, 0 inside. accuracy, within_one:
    share in the right group, and in it or the next of the groups that occur.
    """
    estimates = expected_ages(probs)
    order = sorted(set(groups), key=lambda group: group.low)
    low = np.array([group.low for group in groups])
    end = np.array([np.inf if group.high is None else group.high + 1 for group in groups])
    inside = (low <= estimates) & (estimates < end)
    apart = np.abs(_ranks(estimates, order) - [order.index(group) for group in groups])
    return {
        "n": len(groups),
        "mae": float(np.maximum(np.maximum(low - estimates, estimates - end), 0).mean()),
        "accuracy": float(inside.mean()),
        "within_one": float((inside | (apart <= 1)).mean()),
    }


def confusion(probs: Probabilities, ages: Ages) -> Confusion:
    """Counts by true and estimated year, as a bundle keeps them."""
    pairs = Counter(zip(ages.tolist(), expected_ages(probs).astype(int).tolist(), strict=True))
    return Confusion(counts=[(true, estimated, n) for (true, estimated), n in sorted(pairs.items())])


def _ranks(ages: NDArray[np.float64] | Ages, brackets: Sequence[Bracket]) -> NDArray[np.int64]:
    return np.array([brackets.index(bracket_of(float(age), brackets)) for age in ages])


def _agreement(estimated: NDArray[np.int64], true: NDArray[np.int64]) -> dict[str, float]:
    apart = np.abs(estimated - true)
    return {"accuracy": float((apart == 0).mean()), "within_one": float((apart <= 1).mean())}


def _shares(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.bincount(ranks, minlength=len(DEFAULT_BRACKETS)) / len(ranks)
