"""Where a visitor's age is decided: the age distributions of their crops are averaged, and a vague one is
refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.types import AGES

_YEARS = np.arange(AGES, dtype=np.float32)


class VisitorAge:
    """What is known of the age of one visitor, from the crops of their track so far.

    The distributions of the crops are averaged, each weighted by the quality of its crop.
    """

    def __init__(self) -> None:
        self._weighted = np.zeros(AGES)
        self._weight = 0.0

    def add(self, probs: NDArray[np.float32], quality: float) -> None:
        """Take the age distribution of one crop, float32 (101,), and the crop's quality, 0..1."""
        self._weighted += quality * probs
        self._weight += quality

    def decide(self, max_spread: float) -> float | None:
        """The expected age in years; None (unclassified) without a crop, or where the age is too uncertain.

        max_spread: the largest standard deviation of the averaged distribution, in years, that gives an age.
        """
        if self._weight <= 0:
            return None
        probs = (self._weighted / self._weight).astype(np.float32)
        mean = float(probs @ _YEARS)
        spread = float(np.sqrt(probs @ (_YEARS - mean) ** 2))
        # A NaN from the model fails this comparison as well.
        return mean if spread <= max_spread else None
