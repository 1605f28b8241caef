"""The mix that explains confused counts best, by expectation and maximisation.

    mix  ~ Dirichlet(1 + EVEN + LIKE * counted)       the shares of the true brackets, B of them
    n_j  ~ Poisson(visits * (mix @ row)_j)            counted in cell j of C; known as `Observed` has it

This is the mode of the posterior of the mix (Dempster, Laird & Rubin 1977; for confused classes Saerens et
al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities"). The confusion is never
quite that of the visitors, and more visits do not cure that, so n visits weigh as n / (1 + n / COARSE) of
them: the likelihood is raised to a power (Miller & Dunson 2019, "Robust Bayesian inference via
coarsening"). A prior that is stronger by 1 + n / COARSE has the same mode.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.correct.observed import Observed

Floats = NDArray[np.float64]

EVEN = 0.3
"""Visits of each bracket that the prior is worth."""

LIKE = 0.5
"""Visits, divided as the counts are, that it is worth besides: with faces of another origin than the model's
the counts themselves are often nearer to the truth."""

COARSE = 75.0
"""Visits that any number of visits weighs as, at most."""

_ROUNDS = 200
"""After them no share of 30 to 30,000 visits changes by more than 1e-5."""


def mode(observed: Observed, rows: Floats, homes: Floats) -> Floats:
    """The mix, (B,). rows: (B, C), the expected confusion; each sums to 1. homes: (C, B), what part of each
    cell lies in each bracket.
    """
    counts = observed.likeliest.astype(np.float64)
    prior = EVEN + LIKE * (counts @ homes) / max(counts.sum(), 1)
    mix = np.full(len(rows), 1 / len(rows))
    for _ in range(_ROUNDS):
        counted = mix @ rows
        counts = _expected(observed, counts.sum() * counted)
        mix = step(mix, counts, rows, prior * (1 + counts.sum() / COARSE))
    return mix


def step(mix: Floats, counts: Floats, rows: Floats, prior: Floats | float) -> Floats:
    """One round of expectation and maximisation: the next mix, (B,), which sums to 1.

    mix: (B,), the mix so far. counts: visits in each cell, (C,). rows: (B, C), as what visitors of each
    bracket are counted. prior: visits in each bracket, (B,) or the same for all, that are added to the
    counted ones.
    """
    explained = mix * (rows @ (counts / np.maximum(mix @ rows, 1e-12))) + prior
    return np.asarray(explained / explained.sum(), np.float64)


def _expected(observed: Observed, means: Floats) -> Floats:
    """Visits counted in each cell, (C,), where `means` are expected before anything is observed."""
    likely = observed.likely(np.maximum(means, 1e-12))
    return np.asarray((likely * observed.possible).sum(axis=1) / likely.sum(axis=1), np.float64)
