"""Days of a store as the gate sees them: what truly happened, and all that was published of it.

Windows of 5 minutes, 288 a day, released every half hour. Nobody comes while the store is closed, and readers
know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from edge.brackets import DEFAULT_BRACKETS
from edge.release import carry_over
from edge.release.carry_over import Released, Waiting
from tests.privacy.gates import START

WINDOW = timedelta(minutes=5)
WINDOWS = 288
RELEASE = 6

AGES = np.array([0.06, 0.05, 0.12, 0.20, 0.17, 0.14, 0.11, 0.09, 0.06])
"""Shares of the default brackets and of the unclassified among visits: adults of working age lead, as in a
supermarket of a town. An assumption, not a measurement."""

FEWER = ("0-17", "18-34", "35-54", "55+")


@dataclass(frozen=True)
class Scenario:
    """A kind of day. rate: visits an hour while open. opens, closes: windows of the day.

    group_at: windows at which a school class of 25 comes. reshapes: window to brackets and minimum.
    restarts: windows after which the state goes to disk and back.
    """

    name: str
    rate: float
    opens: int = 96
    closes: int = 240
    minimum: int = 5
    group_at: tuple[int, ...] = ()
    restarts: tuple[int, ...] = ()
    reshapes: Mapping[int, tuple[tuple[str, ...], int]] = field(default_factory=dict)

    def is_open(self, window: int) -> bool:
        return self.opens <= window % WINDOWS < self.closes


SCENARIOS = (
    Scenario("quiet", 8),
    Scenario("usual", 20),
    Scenario("one of three zones", 20 / 3),
    Scenario("busy", 60),
    Scenario("very busy", 300),
    Scenario("night and day", 6, opens=0, closes=288),
    Scenario("school class", 10, group_at=(120, 131)),
    Scenario("restarts", 20, restarts=(97, 130, 200, 400)),
    Scenario("lowered minimum", 20, reshapes={151: (DEFAULT_BRACKETS, 3)}),
    Scenario("raised minimum", 20, minimum=3, reshapes={155: (DEFAULT_BRACKETS, 5)}),
    Scenario("other brackets", 20, reshapes={160: (FEWER, 5), 350: (DEFAULT_BRACKETS, 5)}),
)


@dataclass(frozen=True)
class Step:
    """What a reader has of one window. reshaped: the brackets and the minimum from its end on."""

    known_empty: bool
    release: bool
    day_ends: bool
    released: Released
    reshaped: tuple[tuple[str, ...], int] | None


@dataclass(frozen=True)
class Run:
    """truth: by window the counts of its cells. steps: what was published. cells: of the first window."""

    scenario: Scenario
    truth: Sequence[NDArray[np.int64]]
    steps: Sequence[Step]


def run(scenario: Scenario, days: int, rng: np.random.Generator) -> Run:
    """Some days in a row from a start with nobody waiting."""
    waiting = carry_over.begin(DEFAULT_BRACKETS, START, scenario.minimum)
    truth, steps = [], []
    for window in range(days * WINDOWS):
        counts = _visits(scenario, window, waiting, rng)
        step, waiting = _close(scenario, window, counts, waiting)
        truth.append(counts)
        steps.append(step)
        if window in scenario.restarts:
            waiting = Waiting.model_validate_json(waiting.model_dump_json())
    return Run(scenario, truth, steps)


def _close(
    scenario: Scenario, window: int, counts: NDArray[np.int64], waiting: Waiting
) -> tuple[Step, Waiting]:
    at, known_empty = START + (window + 1) * WINDOW, not scenario.is_open(window)
    named = dict(zip(waiting.cells, map(int, counts), strict=True))
    waiting = carry_over.add(waiting, named, known_empty=known_empty)
    released = carry_over.withheld(waiting.brackets, waiting.minimum)
    moment, day_ends = (window + 1) % RELEASE == 0, (window + 1) % WINDOWS == 0
    if moment:
        released, waiting = carry_over.release(waiting, at, day_ends=day_ends)
    reshaped = scenario.reshapes.get(window)
    if reshaped:
        waiting = carry_over.reshape(waiting, *reshaped, at)
    return Step(known_empty, moment, day_ends, released, reshaped), waiting


def _visits(scenario: Scenario, window: int, waiting: Waiting, rng: np.random.Generator) -> NDArray[np.int64]:
    cells = len(waiting.cells)
    if not scenario.is_open(window):
        return np.zeros(cells, np.int64)
    shares = AGES if cells == len(AGES) else np.r_[AGES[:-1].reshape(cells - 1, -1).sum(axis=1), AGES[-1]]
    counts = rng.poisson(scenario.rate / 12 * shares)
    if window in scenario.group_at:
        counts[1] += 25
    return np.asarray(counts, np.int64)


def runs(number: int, days: int, seed: int) -> Iterator[Run]:
    """So many runs of some days each, the scenarios in turn."""
    rng = np.random.default_rng(seed)
    for i in range(number):
        yield run(SCENARIOS[i % len(SCENARIOS)], days, rng)
