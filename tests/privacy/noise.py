"""What is known of discrete Laplace noise, and what draws of it say about the loss of privacy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from scipy.stats import chisquare, norm

RAREST = 2000
"""An event is judged when it came up so often: its bound is then 0.05 or less above the measured loss."""


def chances(epsilon: Fraction, *, fewest: float, draws: int) -> dict[int, float]:
    """The chance of each value that is expected at least `fewest` times in `draws`."""
    q = math.exp(-epsilon)
    reach = max(0, math.floor(math.log(fewest * (1 + q) / (draws * (1 - q))) / math.log(q)))
    return {z: (1 - q) / (1 + q) * q ** abs(z) for z in range(-reach, reach + 1)}


def fit(epsilon: Fraction, seen: Counter[int]) -> float:
    """The p-value of Pearson's test that these draws are discrete Laplace noise of `epsilon`."""
    draws = seen.total()
    expected = chances(epsilon, fewest=20, draws=draws)
    inside = [seen[z] for z in expected]
    rest = draws * (1 - sum(expected.values()))
    result = chisquare([*inside, draws - sum(inside)], [*(draws * p for p in expected.values()), rest])
    return float(result.pvalue)


def losses(without: Counter[int], with_it: Counter[int]) -> Iterator[float]:
    """Upper 95 % bounds of the loss of privacy: a number for every event "at most k" and "at least k".

    without, with_it: how often each value was published, with a visit and without it. The loss of an event is
    the logarithm of the ratio of its chances; for noise whose ratio of chances grows with the value, as here,
    no other event loses more than these. The bound is that of the ratio of two shares (Katz et al. 1978).
    """
    values = range(min(*without, *with_it), max(*without, *with_it) + 1)
    below = [_below(counts, values) for counts in (without, with_it)]
    totals = without.total(), with_it.total()
    for ours, theirs in zip(*below, strict=True):
        yield from _bound(ours, totals[0], theirs, totals[1])
        yield from _bound(totals[1] - theirs, totals[1], totals[0] - ours, totals[0])


def _below(counts: Counter[int], values: range) -> list[int]:
    total, sums = 0, []
    for value in values:
        total += counts[value]
        sums.append(total)
    return sums


def _bound(likely: int, of: int, rare: int, of_rare: int) -> Iterator[float]:
    if min(likely, rare) >= RAREST:
        error = math.sqrt(1 / likely - 1 / of + 1 / rare - 1 / of_rare)
        yield math.log(likely / of) - math.log(rare / of_rare) + float(norm.ppf(0.95)) * error
