"""What the gate publishes of a simulated store: how much, how late; beside the old rule and beside noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import exp
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from edge.brackets import DEFAULT_BRACKETS
from edge.release import carry_over
from edge.release.carry_over import UNCLASSIFIED, Released
from edge.release.noise.ledger import AGE_LEVELS, Level
from edge.types import ZoneCounts
from tests.privacy.days import AGES, RELEASE, WINDOW, WINDOWS
from tests.privacy.gates import START
from tests.privacy.old_rule import release as old_release

RATES, ZONES, HOURS = (20, 60, 300), (1, 3), (12, 24)
MINIMUM = 5
CELLS = (*DEFAULT_BRACKETS, UNCLASSIFIED)

Visits = NDArray[np.int64]


@dataclass
class Told:
    """Of one zone, in visits. next_day: told with their bracket, but on a later day than they came.

    delays: minutes from the end of a visit's window to its release, of those told with their bracket.
    """

    visits: int = 0
    by_bracket: int = 0
    by_group: int = 0
    other: int = 0
    next_day: int = 0
    delays: list[int] = field(default_factory=list)


def arrivals(rate: float, hours: int, days: int, rng: np.random.Generator) -> Iterator[tuple[Visits, bool]]:
    """By window the visits of each cell and whether the store is open: so many hours around noon."""
    first = (WINDOWS - hours * 12) // 2
    for window in range(days * WINDOWS):
        is_open = first <= window % WINDOWS < first + hours * 12
        yield rng.poisson(rate / 12 * AGES if is_open else np.zeros(len(AGES))), is_open


def carry(rate: float, hours: int, days: int, rng: np.random.Generator) -> Told:
    """Some days under the gate."""
    told, waiting = Told(), carry_over.begin(DEFAULT_BRACKETS, START, MINIMUM)
    come: list[list[int]] = [[] for _ in CELLS]
    for window, (counts, is_open) in enumerate(arrivals(rate, hours, days, rng), start=1):
        told.visits += int(counts.sum())
        for cell in np.flatnonzero(counts):
            come[cell] += [window] * int(counts[cell])
        named = dict(zip(CELLS, map(int, counts), strict=True))
        waiting = carry_over.add(waiting, named, known_empty=not is_open)
        if window % RELEASE == 0:
            at, ends = START + window * WINDOW, window % WINDOWS == 0
            released, waiting = carry_over.release(waiting, at, day_ends=ends)
            _note(told, released, come, window)
    return told


def _note(told: Told, released: Released, come: list[list[int]], window: int) -> None:
    numbers = {**released.counts, UNCLASSIFIED: released.unclassified}
    for cell, name in enumerate(CELLS):
        if numbers[name] is not None:
            told.by_bracket += len(come[cell])
            told.next_day += sum((arrived - 1) // WINDOWS < (window - 1) // WINDOWS for arrived in come[cell])
            told.delays += [5 * (window - arrived) for arrived in come[cell]]
            come[cell] = []
    for label, number in released.groups.items():
        told.by_group += number
        for name in carry_over.joined_brackets(DEFAULT_BRACKETS)[label]:
            come[CELLS.index(name)] = []
    if released.other is not None:
        told.other += released.other
        come[:] = [[] for _ in CELLS]


def old(rate: float, hours: int, days: int, rng: np.random.Generator) -> float:
    """The share of visits told with their bracket by the rule before this one: each window for itself."""
    told = visits = 0
    for counts, _ in arrivals(rate, hours, days, rng):
        released = old_release(_zone(counts), MINIMUM)
        visits += int(counts.sum())
        told += sum(n or 0 for n in (*released.counts.values(), released.unclassified))
    return told / visits


def _zone(counts: Visits) -> ZoneCounts:
    return ZoneCounts(dict(zip(DEFAULT_BRACKETS, map(int, counts[:-1]), strict=True)), int(counts[-1]))


def noise_error(epsilon: Fraction) -> float:
    """The mean absolute error of one number with discrete Laplace noise."""
    q = exp(-float(epsilon))
    return 2 * q / (1 - q * q)


def figures(days: int, seed: int) -> list[Mapping[str, object]]:
    """A row for each rate, number of zones (of equal traffic) and length of the day."""
    rng = np.random.default_rng(seed)
    return [_row(rate, zones, hours, days, rng) for hours in HOURS for zones in ZONES for rate in RATES]


def _row(rate: float, zones: int, hours: int, days: int, rng: np.random.Generator) -> Mapping[str, object]:
    told = carry(rate / zones, hours, days, rng)
    with patch.object(carry_over, "joined_brackets", lambda _brackets: {}):
        without_groups = carry(rate / zones, hours, days, rng)
    return {
        "visitors_per_hour": rate,
        "zones": zones,
        "hours": hours,
        "bracket": told.by_bracket / told.visits,
        "group": told.by_group / told.visits,
        "other": told.other / told.visits,
        "next_day": told.next_day / told.visits,
        "delay_mean_minutes": float(np.mean(told.delays)),
        "delay_median_minutes": float(np.median(told.delays)),
        "delay_p95_minutes": float(np.percentile(told.delays, 95)),
        "bracket_without_groups": without_groups.by_bracket / without_groups.visits,
        "old_rule": old(rate / zones, hours, max(days // 10, 1), rng),
        **_noise(rate / zones, hours),
    }


def _noise(rate: float, hours: int) -> Mapping[str, float]:
    """By epsilon and level: the mean absolute error of a bracket as a share of its mean count."""
    shares = {}
    for epsilon in (1, 2):
        for level, visits in ((Level.HOUR, rate), (Level.DAY, rate * hours)):
            error = noise_error(epsilon * AGE_LEVELS[level])
            shares[f"noise_{epsilon}_{level.value}"] = error / (visits / len(CELLS))
    return shares
