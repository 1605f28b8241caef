"""Ways to estimate the age mix of a crowd from its classified faces, compared where the mix is known.

A crowd is drawn from the judged faces, with replacement, for a mix of brackets. Its counts are released as on
a box: a bracket of fewer than `MINIMUM` visits waits.

    counted     the shares as they are counted
    em          the mix that explains the counts best under the bundle's confusion, with a prior
                (Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities")
    corrected   what a box publishes (`edge.correct`)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.brackets import DEFAULT_BRACKETS, Bracket
from edge.correct import Calibration, Observed, estimate
from edge.correct.mode import step
from training.evaluation.scores import Judged, confusion_table

PEOPLE = 300
"""In a crowd: a day of a small store."""

MINIMUM = 5
"""The default of `privacy.minimum`."""

ANY = "any mix"

STORES: Mapping[str, Sequence[float]] = {
    "supermarket": (0.08, 0.05, 0.10, 0.20, 0.18, 0.15, 0.12, 0.12),
    "toy shop": (0.35, 0.05, 0.03, 0.25, 0.22, 0.05, 0.02, 0.03),
    "teenagers": (0.06, 0.45, 0.24, 0.09, 0.06, 0.05, 0.03, 0.02),
}
"""Assumed mixes of the default brackets."""

CROWDS = 30
"""Of any mix; a third as many of each store."""

FEWEST_FACES = 200
"""Judged faces below which crowds would be of the same few people."""

_PRIOR = 2.0
"""Visits of each bracket that EM assumes."""

_ROUNDS = 300
"""Of EM; the mix of 300 people changes by less than 1e-4 after them."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mix:
    """Errors over the crowds of a kind.

    counted, em, corrected: mean total variation between estimated and true shares, 0..1. covered: share of
    the true shares that lie in the corrected 95 % interval. width: mean width of the intervals.
    """

    counted: float
    em: float
    corrected: float
    covered: float
    width: float


def compare_methods(
    judged: Judged, brackets: Sequence[Bracket], calibration: Calibration, seed: int, crowds: int = CROWDS
) -> dict[str, Mix]:
    """By kind of mix; empty where the bundle has no confusion or the faces are too few."""
    if calibration.is_empty or len(judged) < FEWEST_FACES:
        return {}
    crowd = _Crowds(confusion_table(judged, len(brackets)), calibration, seed)
    found = {ANY: crowd.judge(crowd.any_mix() for _ in range(crowds))}
    if [bracket.label for bracket in brackets] == list(DEFAULT_BRACKETS):
        few = max(1, crowds // 3)
        found |= {name: crowd.judge([np.array(mix)] * few) for name, mix in STORES.items()}
    return found


def by_expectation(counts: NDArray[np.int64], rows: Floats, prior: float = _PRIOR) -> Floats:
    """The mix, (B,), by expectation and maximisation. counts: (B,). rows: (B, B), each sums to 1."""
    mix = np.full(len(counts), 1 / len(counts))
    for _ in range(_ROUNDS):
        mix = step(mix, counts.astype(np.float64), rows, prior)
    return mix


class _Crowds:
    """Draws crowds from a table of judged faces and estimates their mixes."""

    def __init__(self, table: NDArray[np.int64], calibration: Calibration, seed: int) -> None:
        self._table = table
        self._occupied = table.sum(axis=1) > 0
        self._calibration = calibration
        self._rows = calibration.rows(np.zeros((1, 2)))[0]
        self._rng = np.random.default_rng(seed)

    def any_mix(self) -> Floats:
        """Every mix is as likely as any other."""
        return self._rng.dirichlet(np.ones(len(self._table)))

    def judge(self, mixes: Iterator[Floats] | Sequence[Floats]) -> Mix:
        """The mean figures of a crowd of each of these mixes."""
        return Mix(*map(float, np.mean([self._judge(mix) for mix in mixes], axis=0)))

    def _judge(self, mix: Floats) -> tuple[float, ...]:
        crowd = self._rng.multinomial(PEOPLE, mix * self._occupied / (mix * self._occupied).sum())
        true, counts = crowd / PEOPLE, self._count(crowd)
        seen = self._release(counts)
        shares = (estimate(seen, self._calibration, int(self._rng.integers(1 << 32))).shares or {}).values()
        low, middle, high = np.array([(one.low, one.share, one.high) for one in shares]).T
        return (
            variation(counts / PEOPLE, true),
            variation(by_expectation(counts, self._rows), true),
            variation(middle, true),
            float(((low <= true) & (true <= high)).mean()),
            float((high - low).mean()),
        )

    def _count(self, crowd: NDArray[np.int64]) -> NDArray[np.int64]:
        """The crowd's true brackets, (B,), as they are counted."""
        rows = self._table / np.maximum(self._table.sum(axis=1, keepdims=True), 1)
        places = np.flatnonzero(self._occupied)
        drawn = [self._rng.multinomial(crowd[place], rows[place]) for place in places]
        return np.asarray(np.sum(drawn, axis=0), np.int64)

    def _release(self, counts: NDArray[np.int64]) -> Observed:
        """As after some hours: what came since a bracket's last release, below the minimum, waits."""
        waits = self._rng.integers(0, np.minimum(counts, MINIMUM - 1), endpoint=True)
        return Observed.released_with((counts - waits).tolist(), [1] * len(counts), MINIMUM)


def variation(one: Floats, other: Floats) -> float:
    """The total variation of two mixes, 0..1."""
    return float(np.abs(one - other).sum() / 2)
