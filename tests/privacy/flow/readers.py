"""A reader who averages numbers that say the same: each has noise of its own, so together they are nearer.

In the hour that is read every visit is in everything once: it crosses two parallel lines at the entrance in
both directions, enters three zones that overlap, stays in one, waits in two queues, looks, and comes alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import exp

import numpy as np
from numpy.typing import NDArray

from edge.quantities import QUANTITIES, QUEUE, part_of
from edge.release.noise.ledger import Level
from edge.release.noise.sampler import mean_error_of_sum, variance
from edge.types import GroupEnded
from tests.gates import MIDNIGHT
from tests.privacy.flow.neighbours import FIRST, with_groups, worst
from tests.privacy.flow.store import CAMERA, EVERYTHING, WINDOW, Draw, Event, play, settings, visit

Floats = NDArray[np.float64]

WINDOWS = 4
"""Of the hour; the day has no other."""

VISITS_A_WINDOW = 3


@dataclass(frozen=True)
class Said:
    """One way to the visits of the hour. value: without noise. variance: of the noise in it."""

    name: str
    value: float
    variance: float

    @property
    def error(self) -> float:
        """The mean absolute error by the noise."""
        return mean_error_of_sum(self.variance)


def ways(*overrides: str) -> list[Said]:
    """Every way to the visits of the hour, beginning with the hour's own number."""
    events: list[Event] = []
    for at in [FIRST + n * WINDOW for n in range(WINDOWS) for _ in range(VISITS_A_WINDOW)]:
        events += [worst(at), GroupEnded(CAMERA, at, 1)]
    said: dict[tuple[str, str, Level], list[Draw]] = defaultdict(list)
    for draw in play([(0, settings(*EVERYTHING, *overrides))], events, WINDOWS).draws:
        said[draw.quantity, _sums_over(draw), draw.level].append(draw)
    found = [_said(*key, draws) for key, draws in said.items() if any(draw.count for draw in draws)]
    return sorted(found, key=lambda one: one.name != "visits by hour")


def _sums_over(draw: Draw) -> str:
    """What is summed: the steps of a histogram; of dwell, also the zones, for a visit belongs to one."""
    return "" if draw.quantity == "dwell" else part_of(draw.cell)


def _said(quantity: str, part: str, level: Level, draws: Sequence[Draw]) -> Said:
    name = f"{quantity} {part}".strip() if part != quantity else quantity
    unit = QUANTITIES[QUEUE].most if quantity == QUEUE else 1
    return Said(
        f"{name} by {level.value}",
        sum(draw.count for draw in draws) / unit,
        sum(variance(draw.epsilon) for draw in draws) / unit**2,
    )


def averaged(said: Iterable[Said]) -> float:
    """The mean absolute error of the best average: each way weighs by how exact it is."""
    return mean_error_of_sum(1 / sum(1 / one.variance for one in said))


def guessed(draws: Sequence[tuple[int, Fraction]], rng: np.random.Generator, trials: int = 200_000) -> float:
    """How often a reader who knows all but one visit says rightly whether it came, at even odds before.

    draws: what the visit adds to a number, and the epsilon of its noise. The reader takes the likelier world
    by all numbers together, which no guess beats.
    """
    likelier = np.zeros(trials)
    for added, epsilon in draws:
        x = _noise(float(epsilon), trials, rng)  # the visit did not come
        likelier += float(epsilon) * (np.abs(x - added) - np.abs(x))
    return float(np.mean(likelier > 0) + np.mean(likelier == 0) / 2)


def _noise(epsilon: float, number: int, rng: np.random.Generator) -> Floats:
    """Discrete Laplace noise as the difference of two geometric draws."""
    p = 1 - exp(-epsilon)
    return rng.geometric(p, number).astype(float) - rng.geometric(p, number)


def bound(epsilon: float) -> float:
    """How often any guess about a visit is right at most, where its epsilon is kept."""
    return exp(epsilon) / (1 + exp(epsilon))


def of_worst_visit(*overrides: str) -> list[tuple[int, Fraction]]:
    """What a visit at its worst adds to each number, and the epsilon of that number's noise."""
    one, other = (
        play([(0, settings(*EVERYTHING, *overrides))], events, 1).draws for events in with_groups(worst())
    )
    pairs = zip(one, other, strict=True)
    return [(a.count - b.count, a.epsilon) for a, b in pairs if a.count != b.count]


def occupancy_each_second(seed: int, fresh: Callable[[], int] | None = None) -> float:
    """The mean of all readings of the occupancy, one a second over the hour, less the truth, which is 5.

    fresh: WRONG, noise that is drawn again at each reading.
    """
    came = [visit(MIDNIGHT, crosses=[("mat", True)]) for _ in range(5)]
    played = play([(0, settings())], came, WINDOWS + 1, None, seed)
    known = [
        (datetime.fromisoformat(m["end"]), m["occupancy"]["inside"])
        for m in played.messages
        if m.get("occupancy") and m["period"] == "window"
    ]
    seconds = (MIDNIGHT + WINDOW * (1 + n / 900) for n in range(WINDOWS * 900))
    readings = [5 + fresh() if fresh else _last(known, at) for at in seconds]
    return float(np.mean(readings)) - 5


def _last(known: Sequence[tuple[datetime, int]], at: datetime) -> int:
    return [inside for end, inside in known if end <= at][-1]
