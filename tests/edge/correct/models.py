"""Age models that err in a known way, as calibrations and as crowds that they have counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.correct import Calibration
from edge.types import AGES

BRACKETS = ("0-12", "13-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+")

YEARS = np.arange(AGES)


def table(spread: float, faces: int = 20, bias: float = 0.0) -> NDArray[np.int64]:
    """The confusion of a model whose errors are normal: so many validation faces of each year of age."""
    errors = np.exp(-((YEARS[None] - YEARS[:, None] - bias) ** 2) / (2 * spread**2))
    return np.asarray(np.round(faces * errors / errors.sum(axis=1, keepdims=True)), np.int64)


def calibration(spread: float = 6.0, brackets: Sequence[str] = BRACKETS, faces: int = 20) -> Calibration:
    return Calibration.of(brackets, table(spread, faces))


def count(
    rng: np.random.Generator, mix: Sequence[float] | NDArray, people: int, rows: NDArray
) -> NDArray[np.int64]:
    """Estimated brackets of a crowd with this mix of true ones."""
    true = rng.multinomial(people, mix)
    return np.array([rng.multinomial(n, row) for n, row in zip(true, rows, strict=True)]).sum(axis=0)
