"""A visitor's estimates fused by the quality of the pictures that they were made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.types import AGES


@dataclass(slots=True, eq=False)
class Evidence:
    """The weighted sum of a track's estimates so far."""

    weighted: NDArray[np.float64] = field(default_factory=lambda: np.zeros(AGES))
    weight: float = 0.0
    crops: int = 0

    def add(self, probs: NDArray[np.float32], quality: float) -> None:
        self.weighted += quality * probs
        self.weight += quality
        self.crops += 1
