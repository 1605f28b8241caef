"""A Gibbs sampler of the age mix behind confused counts.

    mix     ~ Dirichlet(EVEN)                         the shares of the true brackets, B of them
    row_i   ~ Dirichlet(weight_i * rows_i)            what people of bracket i are counted as
    n_j     ~ Poisson(visits * (mix @ row)_j)         counted in cell j of C; known as `Observed` has it

Each step draws, given all else: the counts n, the true brackets of the counted (multinomial), the mix and the
rows (Dirichlet); all are conjugate (Gelman et al., "Bayesian Data Analysis", 3rd edition, 2013, sections 3.4
and 11.1; for confused classes Keith & O'Connor 2018, "Uncertainty-aware generative models for inferring
document class prevalence", and Fiksel et al. 2022, "Generalized Bayes quantification learning"). Chains
run beside each other as one more axis of every array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.correct.observed import Observed

Floats = NDArray[np.float64]

EVEN = 1.1
"""Of the Dirichlet distribution over the mix, for each bracket: 1 takes every mix for as likely as any other;
a little more keeps a bracket from vanishing by chance."""

WARM_UP = 80
"""First steps of a chain, which are left out."""

_TINY = 1e-30
"""The least probability: a product of two is still above 0."""


def sample(
    observed: Observed, rows: Floats, weights: Floats, *, steps: int, rng: np.random.Generator
) -> Floats:
    """Mixes drawn from the posterior, (steps, K, B), for K chains.

    rows: (K, B, C), the expected confusion of each chain. weights: (B,), in faces.
    """
    chains = _Chains(observed, rows, weights, rng)
    draws = [chains.step() for _ in range(WARM_UP + steps)]
    return np.array(draws[WARM_UP:])


class _Chains:
    """K chains: `mix` (K, B), `rows` (K, B, C) and `counts` (K, C) as drawn last."""

    def __init__(self, observed: Observed, rows: Floats, weights: Floats, rng: np.random.Generator) -> None:
        chains, brackets, cells = rows.shape
        self._rng = rng
        self._expected = weights[:, None] * rows
        self._observed = observed
        self.mix = np.full((chains, brackets), 1 / brackets)
        self.rows = np.maximum(rows, _TINY)
        self.counts = np.broadcast_to(observed.likeliest, (chains, cells)).astype(np.int64)

    def step(self) -> Floats:
        """Draw everything once; the mix."""
        counted = np.einsum("ki,kij->kj", self.mix, self.rows)
        self.counts = self._draw_counts(counted)
        origins = self._draw_origins(counted)
        self.mix = self._dirichlet(EVEN + origins.sum(axis=1))
        self.rows = self._dirichlet(self._expected + origins.transpose(0, 2, 1))
        return self.mix

    def _draw_counts(self, counted: Floats) -> NDArray[np.int64]:
        """How many were counted in each cell, given the share of each, (K, C)."""
        possible = self._observed.possible
        if possible.shape[1] == 1:
            return self.counts
        visits = self._rng.standard_gamma(self.counts.sum(axis=1, keepdims=True) + 1.0)
        below = self._observed.likely(visits * counted).cumsum(axis=2)
        at = self._rng.random((*counted.shape, 1)) * below[:, :, -1:]
        places = (below < at).sum(axis=2)
        return np.asarray(np.take_along_axis(possible, places.T, axis=1).T, np.int64)

    def _draw_origins(self, counted: Floats) -> NDArray[np.int64]:
        """How many of those counted in cell j are of bracket i: (K, j, i)."""
        shares = (self.mix[:, :, None] * self.rows / counted[:, None, :]).transpose(0, 2, 1)
        shares /= shares.sum(axis=2, keepdims=True)
        return np.asarray(self._rng.multinomial(self.counts, shares), np.int64)

    def _dirichlet(self, parameters: Floats) -> Floats:
        """One draw for each set of parameters on the last axis."""
        drawn = self._rng.standard_gamma(parameters)
        return np.asarray(np.maximum(drawn / drawn.sum(axis=-1, keepdims=True), _TINY), np.float64)
