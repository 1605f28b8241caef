"""Averages of a noisy number: harmless where it is drawn once, and the end of it where it is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from edge.release.noise.sampler import discrete_laplace

EPSILON = Fraction(1, 2)
RESTARTS = 1000


def broken_by_averages(seed: int, trials: int = 100) -> Mapping[str, float]:
    """The share of trials in which the rounded mean of what a reader got is the true number.

    again: WRONG, each restart draws the number's noise again. once: the stored number is sent again.
    """
    rng = np.random.default_rng(seed)
    again = [_guessed(rng, lambda number: number + _noise(rng)) for _ in range(trials)]
    once = [_guessed(rng, _stored(_noise(rng))) for _ in range(trials)]
    return {"again": float(np.mean(again)), "once": float(np.mean(once))}


def _guessed(rng: np.random.Generator, publish: Callable[[int], int]) -> bool:
    number = int(rng.integers(0, 30))
    return round(float(np.mean([publish(number) for _ in range(RESTARTS)]))) == number


def _stored(noise: int) -> Callable[[int], int]:
    return lambda number: number + noise


def _noise(rng: np.random.Generator) -> int:
    return discrete_laplace(EPSILON, lambda n: int(rng.integers(n)))
