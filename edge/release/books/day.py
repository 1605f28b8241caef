"""The store's day of one camera and zone, as far as it was released: sums of released cells, by hour.

Everything here is computed from released numbers, so it reveals nothing beyond them. Visits that waited
when the day started are in it, visits that wait at its end are not. The day is never revised afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from edge.release.books.spread import over_day
from edge.release.carry_over import UNCLASSIFIED, Released
from edge.release.messages import Figures
from edge.release.noise.sampler import variance
from edge.release.released import NoisyCount, ReleasedWindow
from edge.release.rule import Rule


class Hour(BaseModel):
    """One hour of the day. cells and groups: None until something is released of them.

    variance: of the noise that each of its cells carries, in visits squared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: AwareDatetime
    end: AwareDatetime
    open_seconds: float
    covered_seconds: float = 0.0
    cells: dict[str, int] = {}
    groups: dict[str, int] = {}
    other: int | None = None
    variance: float = 0.0

    def with_cell(self, n: int, cell: str) -> Self:
        """The hour with `n` more in a cell."""
        return self.model_copy(update={"cells": {**self.cells, cell: self.cells.get(cell, 0) + n}})

    def with_group(self, n: int, label: str) -> Self:
        """The hour with `n` more in a group of brackets."""
        return self.model_copy(update={"groups": {**self.groups, label: self.groups.get(label, 0) + n}})

    def with_other(self, n: int) -> Self:
        """The hour with `n` more in the rest."""
        return self.model_copy(update={"other": (self.other or 0) + n})

    def figures(self, brackets: Iterable[str]) -> Figures:
        """The hour as a message has it."""
        return figures(brackets, [self], self.start, self.end)


class Day(BaseModel):
    """The hours of a store's day since counting began on it. until: the end of the last window in it.

    waits: the brackets that waited on when the day last released some.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: date
    brackets: tuple[str, ...]
    until: AwareDatetime
    hours: tuple[Hour, ...]
    waits: tuple[str, ...] = ()

    @classmethod
    def begin(cls, at: datetime, brackets: Iterable[str], rule: Rule) -> Self:
        """The day of the moment `at`, counted from then on."""
        name = rule.time.day_of(at)
        hours = [(max(start, at), end) for start, end in rule.time.hours_of(name) if end > at]
        return cls(
            date=name,
            brackets=tuple(brackets),
            until=at,
            hours=tuple(
                Hour(start=start, end=end, open_seconds=rule.time.open_seconds(start, end, rule.opening))
                for start, end in hours
            ),
        )

    def reaching(self, at: datetime, rule: Rule) -> Self | None:
        """This day if the moment `at` is in it, with more hours where a clock was set back to before its
        start; None: the moment is in another day.
        """
        if self.start <= at < self.ends:
            return self
        if rule.time.day_of(at) != self.date:
            return None
        begun = self.begin(at, self.brackets, rule)
        known = {hour.end: hour for hour in self.hours}
        hours = [
            known[hour.end].model_copy(update={"start": hour.start, "open_seconds": hour.open_seconds})
            if hour.end in known
            else hour
            for hour in begun.hours
        ]
        return self.model_copy(update={"hours": tuple(hours)})

    @property
    def start(self) -> datetime:
        """When counting began on this day."""
        return self.hours[0].start

    @property
    def ends(self) -> datetime:
        """The end of the day."""
        return self.hours[-1].end

    def with_window(self, window: ReleasedWindow) -> Self:
        """The day with what a closed window released, and with its coverage."""
        hours = _cover(self.hours, window.start, window.coverage.seconds)
        cells, end = window.cells, window.end
        for cell, n in _numbers(cells).items():
            # With noise, a window's cells are those of its own time.
            since = window.start if window.epsilon is not None else cells.since[cell]
            hours = _add(hours, n, since, end, partial(Hour.with_cell, cell=cell))
        if window.epsilon is not None:
            hours = _add_noise(hours, window.start, variance(window.epsilon))
        else:
            for label, n in cells.groups.items():
                hours = _add(hours, n, hours[0].start, end, partial(Hour.with_group, label=label))
            if cells.other is not None:
                hours = _add(hours, cells.other, hours[0].start, end, Hour.with_other)
        waits = self.waits
        if cells.total is not None:
            waits = tuple(bracket for bracket, n in cells.counts.items() if n is None)
        return self.model_copy(update={"hours": hours, "until": max(self.until, end), "waits": waits})

    def with_hour(self, start: datetime, cells: Mapping[str, NoisyCount]) -> Self:
        """The day with an hour's own noise in place of the sum of its windows."""
        own = {
            "cells": {cell: n.value for cell, n in cells.items()},
            "variance": max((variance(n.epsilon) for n in cells.values() if n.epsilon), default=0.0),
        }
        hours = [
            hour.model_copy(update=own) if hour.start <= start < hour.end else hour for hour in self.hours
        ]
        return self.model_copy(update={"hours": tuple(hours)})

    def noisy_figures(
        self, start: datetime, end: datetime, cells: Mapping[str, NoisyCount], covered: float
    ) -> Figures:
        """An hour or a day with noise of its own as a message has it."""
        hours = [hour for hour in self.hours if hour.start < end and hour.end > start]
        one = Hour(
            start=start,
            end=end,
            open_seconds=sum(hour.open_seconds for hour in hours),
            covered_seconds=covered,
            cells={cell: n.value for cell, n in cells.items()},
        )
        return one.figures(self.brackets)

    def cut(self, at: datetime) -> Self:
        """The day as it is when counting ends at `at`, or at the end of its last window where a clock was set
        back to before that: without the hours that it did not reach.
        """
        at = max(at, self.until)
        kept = [hour.model_copy(update={"end": min(hour.end, at)}) for hour in self.hours if hour.start < at]
        return self.model_copy(update={"hours": tuple(kept)})

    @property
    def so_far(self) -> list[Hour]:
        """The hours that have begun."""
        return [hour for hour in self.hours if hour.start < self.until]

    def total(self) -> Figures:
        """The whole day as a message has it."""
        return figures(self.brackets, self.hours, self.start, self.ends)

    def total_so_far(self) -> Figures:
        """The hours that have begun as a message has them."""
        return figures(self.brackets, self.so_far, self.start, max(self.until, self.start))


def figures(brackets: Iterable[str], hours: Iterable[Hour], start: datetime, end: datetime) -> Figures:
    """The sum of some hours as a message has it; of several cameras, where the hours are theirs."""
    hours = list(hours)
    cells, groups = _sums(hour.cells for hour in hours), _sums(hour.groups for hour in hours)
    others = [hour.other for hour in hours if hour.other is not None]
    numbers = [*cells.values(), *groups.values(), *others]
    return Figures(
        start=start,
        end=end,
        counts={bracket: cells.get(bracket) for bracket in brackets},
        unclassified=cells.get(UNCLASSIFIED),
        groups=groups,
        other=sum(others) if others else None,
        released=sum(numbers) if numbers else None,
        covered_seconds=sum(hour.covered_seconds for hour in hours),
        open_seconds=sum(hour.open_seconds for hour in hours),
    )


def _sums(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _numbers(cells: Released) -> dict[str, int]:
    """The released cells alone."""
    found = {**cells.counts, UNCLASSIFIED: cells.unclassified}
    return {cell: n for cell, n in found.items() if n is not None}


Hours = tuple[Hour, ...]


def _cover(hours: Hours, at: datetime, seconds: float) -> Hours:
    """A window lies in one hour: both start on quarters of an hour."""
    return tuple(
        hour.model_copy(update={"covered_seconds": hour.covered_seconds + seconds})
        if hour.start <= at < hour.end
        else hour
        for hour in hours
    )


def _add_noise(hours: Hours, at: datetime, more: float) -> Hours:
    return tuple(
        hour.model_copy(update={"variance": hour.variance + more}) if hour.start <= at < hour.end else hour
        for hour in hours
    )


def _add(hours: Hours, n: int, since: datetime, until: datetime, add: Callable[[Hour, int], Hour]) -> Hours:
    """The hours with a released number, spread over those of its span."""
    parts = over_day(n, since, until, [(hour.start, hour.end) for hour in hours])
    return tuple(hour if part is None else add(hour, part) for hour, part in zip(hours, parts, strict=True))
