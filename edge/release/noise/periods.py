"""Numbers with noise for every window, local hour and day of a camera: visits, and ages if so configured.

Each period has a draw of its own, once in its life: the ledger refuses a second one, and the number is stored
in the transaction of its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from edge.quantities import QUANTITIES
from edge.release.noise.ledger import Ledger, Level, Node, Shares
from edge.release.noise.sampler import RandomBelow
from edge.release.released import NoisyCount, exact_count, noisy_count
from edge.release.rule import Rule
from edge.types import Coverage, WindowCounts


class Watched(BaseModel):
    """How much of a period was watched so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = 0.0
    analysed: NonNegativeInt = 0
    dropped: dict[str, NonNegativeInt] = {}

    def with_window(self, coverage: Coverage) -> Watched:
        """This and one more window."""
        reasons = sorted({*self.dropped, *coverage.dropped})
        return Watched(
            seconds=self.seconds + coverage.seconds,
            analysed=self.analysed + coverage.analysed,
            dropped={
                reason: self.dropped.get(reason, 0) + coverage.dropped.get(reason, 0) for reason in reasons
            },
        )

    @property
    def coverage(self) -> Coverage:
        """The same as a value that flows."""
        return Coverage(self.seconds, self.analysed, self.dropped)


class OpenPeriod(BaseModel):
    """An hour or a day that has not ended: its visits so far by cell, true and on the box's disk only.

    start: the first start of its windows. until: the last of their ends. ends: the end of the local hour or
    day. watched: its windows with cells. exact: every window of it was counted with the gate off. changed:
    cells came or went within it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime
    until: AwareDatetime
    ends: AwareDatetime
    cells: dict[str, NonNegativeInt] = {}
    watched: Watched = Watched()
    exact: bool = False
    changed: bool = False

    def with_window(self, window: WindowCounts, cells: Mapping[str, int], rule: Rule) -> OpenPeriod:
        """This and one more window, counted under this rule."""
        names = [*self.cells, *(cell for cell in cells if cell not in self.cells)]
        return self.model_copy(
            update={
                "start": min(self.start, window.start),
                "until": max(self.until, window.end),
                "cells": {cell: self.cells.get(cell, 0) + cells.get(cell, 0) for cell in names},
                "watched": self.watched.with_window(window.coverage) if cells else self.watched,
                "changed": self.changed or bool(cells and self.cells and cells.keys() != self.cells.keys()),
                "exact": self.exact and rule.is_off,
            }
        )


@dataclass(frozen=True, slots=True)
class NoisyFigure:
    """The numbers of one period as they may leave, by cell. epsilon: of each; None where the gate is off.

    coverage: of the windows with cells. changed: cells came or went, so each has a coverage of its own.
    """

    level: Level
    start: datetime
    end: datetime
    cells: Mapping[str, NoisyCount]
    coverage: Coverage
    epsilon: Fraction | None
    changed: bool = False


class Draws:
    """Draws the numbers of one quantity of one camera, and keeps the ledger of them.

    quantity: of `QUANTITIES`. part: the zone, for a quantity whose zones are nodes of their own.
    shares: empty for a gate that is off. reach: see `Rule`; a visit spends a share so many times.
    """

    def __init__(
        self,
        ledger: Ledger,
        shares: Shares,
        random_below: RandomBelow,
        *,
        camera: str,
        quantity: str,
        part: str = "",
        reach: int = 1,
    ) -> None:
        self.ledger = ledger
        self._shares = shares
        self._random_below = random_below
        self._reach = reach
        self._camera, self._quantity, self._part = camera, quantity, part
        self._kind = QUANTITIES[quantity]

    @property
    def is_off(self) -> bool:
        """Whether numbers leave as they are."""
        return not self._shares

    def levels(self, *levels: Level) -> list[Level]:
        """Those of these levels that the quantity is published for."""
        return [level for level in levels if level is not Level.WINDOW or self._kind.by_window]

    def figure(
        self, level: Level, start: datetime, end: datetime, cells: Mapping[str, int], coverage: Coverage
    ) -> NoisyFigure | None:
        """The period with its noise. None: it has no cells, or the budget refuses it, as where a clock was
        set back over it.
        """
        if not cells:
            return None
        if self.is_off:
            exact = {cell: exact_count(n) for cell, n in cells.items()}
            return NoisyFigure(level, start, end, exact, coverage, None)
        epsilon = self._shares[level, self._quantity]
        node = Node(self._camera, level, self._quantity, start, end, self._part)
        self.ledger, refusal = self.ledger.spend(node, self._reach * epsilon)
        if refusal is not None:
            return None
        epsilon /= self._kind.parts_of_visit(cells)
        noisy = {
            cell: noisy_count(n, epsilon, self._random_below, most=self._kind.most)
            for cell, n in cells.items()
        }
        return NoisyFigure(level, start, end, noisy, coverage, epsilon)


class NoisyPeriods(BaseModel):
    """The open hour and day of one quantity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open: dict[Level, OpenPeriod] = {}

    def close_window(
        self, window: WindowCounts, cells: Mapping[str, int], rule: Rule, draws: Draws
    ) -> tuple[list[NoisyFigure], NoisyPeriods]:
        """The figures that a closed window completes, its own first, and the periods that go on."""
        figures = [
            draws.figure(level, window.start, window.end, cells, window.coverage)
            for level in draws.levels(Level.WINDOW)
        ]
        still_open = {}
        for level in (Level.HOUR, Level.DAY):
            period = self.open.get(level)
            if period and not _holds(period, level, window, rule):
                figures.append(_closed(level, period, draws))
                period = None
            if not (period or cells):  # the quantity is not counted any more
                continue
            period = (period or _begin(level, window, rule)).with_window(window, cells, rule)
            if window.last or window.end >= period.ends:
                figures.append(_closed(level, period, draws))
            else:
                still_open[level] = period
        return [figure for figure in figures if figure is not None], NoisyPeriods(open=still_open)

    def close(self, draws: Draws) -> list[NoisyFigure]:
        """The figures of the open periods, which end here: the hour first."""
        figures = [_closed(level, period, draws) for level, period in self.open.items()]
        return [figure for figure in figures if figure is not None]


def _holds(period: OpenPeriod, level: Level, window: WindowCounts, rule: Rule) -> bool:
    """Whether the window is of this period: not where the box was off at its end, and not where the clock was
    set back to an earlier one.
    """
    if window.start < period.start:
        return period.ends == _end(level, window, rule)
    return window.start < period.ends


def _closed(level: Level, period: OpenPeriod, draws: Draws) -> NoisyFigure | None:
    """The figure of a period that has ended. None also where the gate is off and was on within it: it
    holds visits that were counted under the promise of noise.
    """
    if draws.is_off and not period.exact:
        return None
    figure = draws.figure(level, period.start, period.until, period.cells, period.watched.coverage)
    return figure and replace(figure, changed=period.changed)


def _begin(level: Level, window: WindowCounts, rule: Rule) -> OpenPeriod:
    ends = _end(level, window, rule)
    return OpenPeriod(start=window.start, until=window.start, ends=ends, exact=rule.is_off)


def _end(level: Level, window: WindowCounts, rule: Rule) -> datetime:
    """The end of the local hour or day in which the window starts."""
    day = rule.time.day_of(window.start)
    if level is Level.DAY:
        return rule.time.day_bounds(day)[1]
    return next(end for _, end in rule.time.hours_of(day) if window.start < end)
