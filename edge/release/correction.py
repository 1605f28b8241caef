"""Corrected shares beside the counts of `today`: computed from what is released, so they reveal no more.

The same counts give the same shares in every run. An estimate takes about 0.2 s of one core and is kept as
long as the counts do not change; they change at the release moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge.correct import LEVEL, METHOD, Calibration, Estimate, Observed, estimate
from edge.release.books.day import Day
from edge.release.messages import CalibrationOf, Corrected, Figures, Interval, Model
from edge.release.rule import Rule

KEPT = 128
"""Estimates that are kept: more than a box has zones."""

_SEED = 0

Names = tuple[str, ...]
Numbers = tuple[int, ...]


class Correction:
    """Corrects for the confusions of one age model."""

    def __init__(self, model: Model, confusion: NDArray[np.int64]) -> None:
        """confusion: of the model's bundle, int (101, 101); all 0 where it has none."""
        self._confusion = confusion
        self._calibration = CalibrationOf(name=model.name, version=model.version, faces=int(confusion.sum()))
        self._by_threshold = lru_cache(KEPT)(self._estimate_by_threshold)
        self._by_noise = lru_cache(KEPT)(self._estimate_by_noise)

    def of(self, total: Figures, days: Sequence[Sequence[Day]], rule: Rule) -> Corrected:
        """The shares behind the total of some days so far. days: by camera, of its zones."""
        found = self._estimate(total, [day for zones in days for day in zones], rule)
        return Corrected(
            method=METHOD,
            level=LEVEL,
            calibration=self._calibration,
            visits=found.visits,
            shares=_intervals(found),
            reason=found.reason,
        )

    def _estimate(self, total: Figures, days: Sequence[Day], rule: Rule) -> Estimate:
        """A group and `other` hold visits of brackets that wait; they are not divided over brackets."""
        cells, counts = tuple(total.counts), tuple(n or 0 for n in total.counts.values())
        brackets = rule.share_brackets or cells
        if any(day.brackets != cells for day in days):
            return Estimate(max(sum(counts), 0), reason="the brackets have changed")
        if variance := sum(hour.variance for day in days for hour in day.hours):
            return self._by_noise(brackets, cells, counts, variance)
        waiting = tuple(sum(cell in day.waits for day in days) for cell in cells)
        return self._by_threshold(brackets, cells, counts, waiting, rule.minimum)

    def _estimate_by_threshold(
        self, brackets: Names, cells: Names, counts: Numbers, waiting: Numbers, minimum: int
    ) -> Estimate:
        seen = Observed.released_with(counts, waiting, minimum)
        return estimate(seen, Calibration.of(brackets, self._confusion, cells), _SEED)

    def _estimate_by_noise(self, brackets: Names, cells: Names, counts: Numbers, variance: float) -> Estimate:
        seen = Observed.with_noise(counts, variance)
        return estimate(seen, Calibration.of(brackets, self._confusion, cells), _SEED)


def _intervals(found: Estimate) -> dict[str, Interval] | None:
    if found.shares is None:
        return None
    return {
        bracket: Interval(share=one.share, low=one.low, high=one.high)
        for bracket, one in found.shares.items()
    }
