"""Simulates how much the gate will release of a store's visits, so that `check` can advise on the settings.

A simulated store with an even stream of visits goes through `carry_over`. The shares of the ages are an
assumption; visits of a store with fewer different ages are released earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf

import numpy as np
from numpy.typing import NDArray

from edge.brackets import Bracket
from edge.release import carry_over
from edge.release.carry_over import UNCLASSIFIED, Released

DAYS = 14
"""Days of a simulation: the shares of two seeds differ by about one percent at 20 visits an hour."""

_SEED = 1
_DAY = 86_400
_START = datetime(2026, 1, 5, tzinfo=UTC)

_PERCENT = (
    (0, 13, 6), (13, 18, 5), (18, 25, 12), (25, 35, 20),
    (35, 45, 17), (45, 55, 14), (55, 65, 11), (65, 85, 9),
)  # fmt: skip
"""Assumed: of 100 visits so many have an age of [low, high) years, evenly; the others are unclassified."""

_UNCLASSIFIED = 6

_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The visits of one camera and zone: so many an hour, in so many hours of each day around noon."""

    visits_per_hour: float
    open_hours: float = 12.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """The settings that decide what leaves: see `windows` and `privacy` of the configuration. Seconds."""

    brackets: tuple[Bracket, ...]
    minimum: int
    release_every: int
    window: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What leaves of the visits of a camera and zone.

    with_bracket, with_group, other: shares, 0..1; the rest waits. median_minutes: the median time
    from the end of a visit's window to its release, nights included, of the visits that leave with their
    bracket. NaN where none leaves.
    """

    with_bracket: float
    with_group: float
    other: float
    median_minutes: float


def forecast(gauge: Gauge, traffic: Traffic, days: int = DAYS) -> Forecast:
    """Simulate so many days; the same for the same arguments."""
    a_day = _DAY // gauge.window
    is_open = np.tile(_open_windows(a_day, traffic.open_hours), days)
    mean = traffic.visits_per_hour * gauge.window / 3600 * np.array(_shares(gauge.brackets))
    counts = np.random.default_rng(_SEED).poisson(np.outer(is_open, mean))
    tally = _Tally(counts, [bracket.label for bracket in gauge.brackets])
    waiting = carry_over.begin(tally.brackets, _START, gauge.minimum)
    step = gauge.release_every // gauge.window
    for end in range(step, len(counts) + 1, step):
        came = dict(zip(waiting.cells, map(int, counts[end - step : end].sum(axis=0)), strict=True))
        waiting = carry_over.add(waiting, came, known_empty=not is_open[end - step : end].any())
        at = _START + timedelta(seconds=end * gauge.window)
        released, waiting = carry_over.release(waiting, at, day_ends=end % a_day == 0)
        tally.note(released, end)
    return tally.forecast(gauge.window / 60)


def _open_windows(a_day: int, hours: float) -> NDArray[np.bool_]:
    """By window of a day, whether the store is open: so many hours around noon."""
    open_windows = min(a_day, round(a_day * hours / 24))
    first = (a_day - open_windows) // 2
    window = np.arange(a_day)
    return (first <= window) & (window < first + open_windows)


def _shares(brackets: Iterable[Bracket]) -> list[float]:
    """The assumed share of each bracket, then of the unclassified."""
    return [_percent(bracket) / 100 for bracket in brackets] + [_UNCLASSIFIED / 100]


def _percent(bracket: Bracket) -> float:
    end = inf if bracket.high is None else bracket.high + 1
    return sum(
        percent * max(0.0, min(high, end) - max(low, bracket.low)) / (high - low)
        for low, high, percent in _PERCENT
    )


class _Tally:
    """The visits that left, and how late. counts: by window and cell, the unclassified last."""

    def __init__(self, counts: _Counts, brackets: Sequence[str]) -> None:
        self.brackets = tuple(brackets)
        self._cells = (*self.brackets, UNCLASSIFIED)
        self._counts = counts
        self._waits_since = [0] * len(self._cells)
        self._delays = np.zeros(len(counts), np.int64)
        """Visits with their bracket, by the windows between their own and their release."""
        self._groups = self._other = 0

    def note(self, released: Released, end: int) -> None:
        """Count what left when so many windows had ended."""
        numbers = {**released.counts, UNCLASSIFIED: released.unclassified}
        for cell in [cell for cell, number in numbers.items() if number is not None]:
            late = self._take(cell, end)[::-1]
            self._delays[: len(late)] += late
        for label, number in released.groups.items():
            self._groups += number
            for cell in carry_over.joined_brackets(self.brackets)[label]:
                self._take(cell, end)
        if released.other is not None:
            self._other += released.other
            for cell in self._cells:
                self._take(cell, end)

    def _take(self, cell: str, end: int) -> _Counts:
        """What waited in the cell, by window; nothing waits in it from now on."""
        index = self._cells.index(cell)
        since, self._waits_since[index] = self._waits_since[index], end
        return self._counts[since:end, index]

    def forecast(self, minutes: float) -> Forecast:
        """minutes: of a window. What waits at the end has not been decided on, and is left out."""
        by_bracket = int(self._delays.sum())
        decided = by_bracket + self._groups + self._other
        return Forecast(
            with_bracket=by_bracket / decided if decided else 0.0,
            with_group=self._groups / decided if decided else 0.0,
            other=self._other / decided if decided else 0.0,
            median_minutes=self._median() * minutes,
        )

    def _median(self) -> float:
        """Windows after which half of those with their bracket had left."""
        whole = int(self._delays.sum())
        return float(np.searchsorted(self._delays.cumsum(), 0.5 * whole)) if whole else float("nan")
