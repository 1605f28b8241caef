"""The error of the age histogram of a crowd, which is the figure that the product publishes.

A crowd has a random age mix; its people are drawn from the judged faces with replacement. Only the estimated
brackets matter, so drawing c people of one true bracket is one multinomial draw from that row of the
confusion table.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.evaluation.scores import Judged, confusion_table

SIZES = (50, 200, 1000)
"""People in a crowd: an hour of a small store, an hour of a busy store, a day."""

HEADLINE = 200
"""The crowd whose error is the figure `histogram_tv`."""

CROWDS = 500

Counts = NDArray[np.int64]


def histogram_errors(judged: Judged, brackets: int, seed: int) -> dict[str, dict[str, float]]:
    """The error over random crowds, by size of the crowd.

    shifted: mean total variation (0..1) between estimated and true bracket shares, where every mix of the
    brackets that occur is as likely as any other. shifted_p90: the 90th percentile of the same.
    same: mean where the crowd has the age mix of the data.
    """
    table = confusion_table(judged, brackets)
    return {str(people): _of_size(table, people, seed) for people in SIZES}


def histogram_error(judged: Judged, brackets: int, seed: int) -> float:
    """The headline: mean total variation, 0..1, over crowds of `HEADLINE` people with shifted mixes."""
    rng = np.random.default_rng(seed)
    return float(_shifted(confusion_table(judged, brackets), HEADLINE, rng).mean())


def headline(errors: Mapping[str, Mapping[str, float]]) -> float:
    """The same figure out of `histogram_errors`."""
    return errors[str(HEADLINE)]["shifted"]


def _of_size(table: Counts, people: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    shifted = _shifted(table, people, rng)
    shares = table.sum(axis=1) / table.sum()
    same = _variation(table, rng.multinomial(people, shares, CROWDS), rng)
    return {
        "shifted": float(shifted.mean()),
        "shifted_p90": float(np.percentile(shifted, 90)),
        "same": float(same.mean()),
    }


def _shifted(table: Counts, people: int, rng: np.random.Generator) -> NDArray[np.float64]:
    occupied = np.flatnonzero(table.sum(axis=1))
    mixes = np.zeros((CROWDS, len(table)))
    mixes[:, occupied] = rng.dirichlet(np.ones(len(occupied)), CROWDS)
    return _variation(table, rng.multinomial(people, mixes), rng)


def _variation(table: Counts, crowds: Counts, rng: np.random.Generator) -> NDArray[np.float64]:
    """Total variation, (M,), of crowds with the true counts `crowds` (M, brackets)."""
    estimated = np.zeros_like(crowds)
    for place in np.flatnonzero(table.sum(axis=1)):
        taken_for = table[place] / table[place].sum()
        estimated += rng.multinomial(crowds[:, place], taken_for)
    return np.asarray(np.abs(estimated - crowds).sum(axis=1) / 2 / crowds.sum(axis=1), np.float64)
