"""The corrected share of each bracket and its interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.correct.calibration import Calibration
from edge.correct.mode import mode
from edge.correct.observed import Observed
from edge.correct.sampler import sample

Floats = NDArray[np.float64]

METHOD: Final = "mode/2"
"""The mode, the sampler and their constants: another number stands for other estimates of the same counts."""

LEVEL: Final = 0.95
"""The probability of an interval."""

FEWEST = 30
"""Released visits below which there is no estimate: an interval would hold almost everything."""

_FAR = np.array([(np.cos(angle), np.sin(angle)) for angle in np.arange(8) * np.pi / 4]) * np.sqrt(2)
"""Moves of variance 1 in every direction: the origins that an interval has to cover."""

_STILL = np.zeros((1, 2))
"""The confusion as it was measured, which the share itself is made by."""

_STEPS = 540
"""Of each chain: with another seed an end of an interval at 300 visits moves by 0.006 in the mean."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of one bracket, 0..1: the posterior mode, and the ends of the interval."""

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
    shares = mode(observed, calibration.rows(_STILL)[0], calibration.homes)
    rng, far = np.random.default_rng(seed), calibration.rows(_FAR)
    mixes = sample(observed, far, calibration.weights, steps=_STEPS, rng=rng)
    low, high = _whole_visits(shares, mixes, visits)
    by_bracket = zip(calibration.brackets, shares, low, high, strict=True)
    return Estimate(visits, {name: Share(*map(float, of_one)) for name, *of_one in by_bracket})


def _whole_visits(shares: Floats, mixes: Floats, visits: int) -> tuple[Floats, Floats]:
    """The ends of the intervals, (B,) each, moved outwards to whole visits: a bracket may be empty."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(mixes, (tail, 1 - tail), axis=(0, 1))
    low, high = np.floor(np.minimum(low, shares) * visits), np.ceil(np.maximum(high, shares) * visits)
    return low / visits, np.minimum(high / visits, 1.0)
