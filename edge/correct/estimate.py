"""The corrected share of each bracket and its interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.correct.calibration import Calibration
from edge.correct.observed import Observed
from edge.correct.sampler import sample

Floats = NDArray[np.float64]

METHOD: Final = "gibbs/2"
"""The sampler and its constants: another number stands for other estimates of the same counts."""

LEVEL: Final = 0.95
"""The probability of an interval."""

FEWEST = 30
"""Released visits below which there is no estimate: an interval would hold almost everything."""

_FAR = np.array([(np.cos(angle), np.sin(angle)) for angle in np.arange(8) * np.pi / 4]) * np.sqrt(2)
"""Moves of variance 1 in every direction: the origins that an interval has to cover."""

_NEAR = _FAR / 3.5
"""Smaller moves for the estimate itself, which is at its best where the origin is the model's own."""

SEEN = 10.0
"""Visits' weight of the mix as it was counted, in the prior of the estimate: where the confusion does not
hold, a correction errs, and most where it moves the counts far. The interval does not rely on it."""

_STEPS = 360
"""Of each chain. The means of two seeds differ by a total variation of about 0.02."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of one bracket, 0..1: the posterior mean, and the ends of the interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Shares by bracket, or the reason why there are none. visits: those released that it was made of."""

    visits: int
    shares: dict[str, Share] | None = None
    reason: str | None = None


def estimate(observed: Observed, calibration: Calibration, seed: int) -> Estimate:
    """The mix behind the counts; the same for the same arguments, in every run."""
    visits = max(observed.released, 0)
    if calibration.is_empty:
        return Estimate(visits, reason="the model bundle has no confusion")
    if visits < FEWEST:
        return Estimate(visits, reason=f"fewer than {FEWEST} visits with a bracket are released")
    rows = calibration.rows(np.concatenate([_NEAR, _FAR]))
    seen = np.repeat([SEEN, 0.0], [len(_NEAR), len(_FAR)])
    mixes = sample(observed, rows, calibration.weights, seen, steps=_STEPS, rng=np.random.default_rng(seed))
    near, far = np.split(mixes, [len(_NEAR)], axis=1)
    means, tail = near.mean(axis=(0, 1)), (1 - LEVEL) / 2
    ends = np.quantile(far, (tail, 1 - tail), axis=(0, 1))
    low, high = np.minimum(ends[0], means), np.maximum(ends[1], means)
    shares = zip(calibration.brackets, means, low, high, strict=True)
    return Estimate(visits, {name: Share(*map(float, of_one)) for name, *of_one in shares})
