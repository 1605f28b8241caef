"""Quality of estimated ages: errors in years, correct brackets, and confusions between brackets.

A face is first judged by itself (`Judged`); every figure is a function of that, over all faces or some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.brackets import Bracket
from edge.bundle import Confusion, Probabilities
from edge.types import AGES
from training.evaluation.truth import Index, Truth, ranks, true_ranks

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

TINY = 1e-6
"""The least probability that counts in a likelihood."""

CLOSE = 5.0
"""Years: the k of the cumulative score CS@k, the share of faces whose error is at most that."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Each face by itself, (N,) each.

    error: distance in years from the expected age to the true interval, 0 inside; `offset` is the same with
    its sign, above 0 where the estimate is too old. true, estimated: places of the brackets. confidence:
    probability of the estimated bracket. likelihood: probability of the true interval.
    """

    offset: Floats
    true: Places
    estimated: Places
    confidence: Floats
    likelihood: Floats

    def __len__(self) -> int:
        return len(self.offset)

    @property
    def error(self) -> Floats:
        return np.abs(self.offset)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where the estimated bracket is the true one."""
        return np.asarray(self.true == self.estimated, np.bool_)

    @property
    def near(self) -> NDArray[np.bool_]:
        """Where it is the true one or the next."""
        return np.asarray(np.abs(self.true - self.estimated) <= 1, np.bool_)

    def select(self, index: Index) -> Judged:
        """The faces at these indices, or where the mask is true."""
        return Judged(*(getattr(self, part.name)[index] for part in fields(self)))


def expected_ages(probs: Probabilities) -> Floats:
    """Expected ages in years, (N,), of the distributions (N, 101)."""
    return np.asarray(probs.astype(np.float64) @ np.arange(AGES), np.float64)


def judge(probs: Probabilities, truth: Truth, brackets: Sequence[Bracket]) -> Judged:
    """Judge calibrated distributions (N, 101) against what is known of the same faces."""
    estimates = expected_ages(probs)
    estimated = ranks(estimates, brackets)
    lows = np.array([bracket.low for bracket in brackets])
    highs = np.array([AGES - 1 if bracket.high is None else bracket.high for bracket in brackets])
    return Judged(
        offset=estimates - truth.nearest(estimates),
        true=true_ranks(truth, brackets),
        estimated=estimated,
        confidence=mass(probs, lows[estimated], highs[estimated]),
        likelihood=mass(probs, truth.low, truth.high),
    )


def mass(probs: Probabilities, low: NDArray[Any], high: NDArray[Any]) -> Floats:
    """The probability, (N,), that each of the distributions (N, 101) gives to its ages low..high."""
    below = np.pad(np.cumsum(probs, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    rows = np.arange(len(probs))
    return np.asarray(below[rows, high.astype(int) + 1] - below[rows, low.astype(int)], np.float64)


def summary(judged: Judged) -> dict[str, float]:
    """The figures of at least one face.

    mae, median_ae, bias: in years; bias > 0 means too old. cs5: share of faces within 5 years. accuracy,
    within_one: share in the right bracket, and in it or the next. nll: mean of -ln of the likelihood, in
    nats; a probability below `TINY` counts as `TINY`.
    """
    return {
        "n": len(judged),
        "mae": float(judged.error.mean()),
        "median_ae": float(np.median(judged.error)),
        "bias": float(judged.offset.mean()),
        "cs5": float((judged.error <= CLOSE).mean()),
        "accuracy": float(judged.right.mean()),
        "within_one": float(judged.near.mean()),
        "nll": float(-np.log(np.maximum(judged.likelihood, TINY)).mean()),
    }


def by_bracket(judged: Judged, brackets: Sequence[Bracket]) -> dict[str, dict[str, float | None]]:
    """n, mae, precision, recall and f1 of each bracket; None where they are undefined.

    precision: of the faces estimated to be in it, the share that is. recall: of those that are, the share
    estimated so. f1: their harmonic mean, 2 tp / (2 tp + fp + fn).
    """
    table = confusion_table(judged, len(brackets))
    hits, true, estimated = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return {
        bracket.label: {
            "n": int(true[place]),
            "mae": float(judged.error[judged.true == place].mean()) if true[place] else None,
            "precision": _ratio(hits[place], estimated[place]),
            "recall": _ratio(hits[place], true[place]),
            "f1": _ratio(2 * hits[place], true[place] + estimated[place]),
        }
        for place, bracket in enumerate(brackets)
    }


def confusion_table(judged: Judged, brackets: int) -> NDArray[np.int64]:
    """Counts of faces, (brackets, brackets): rows are true brackets, columns estimated ones."""
    cells = np.bincount(judged.true * brackets + judged.estimated, minlength=brackets**2)
    return cells.reshape(brackets, brackets).astype(np.int64)


def year_confusion(probs: Probabilities, truth: Truth) -> Confusion:
    """Counts by true and estimated year, as a bundle keeps them, of the faces whose year is known."""
    years = np.floor(truth.low[truth.known]).astype(int).tolist()
    estimates = np.floor(expected_ages(probs[truth.known]) + 0.5).astype(int).tolist()
    pairs = Counter(zip(years, estimates, strict=True))
    return Confusion(counts=[(true, estimated, n) for (true, estimated), n in sorted(pairs.items())])


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
