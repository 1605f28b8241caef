"""The store's own table: what the cameras of a box released, summed.

A sum leaves when every camera of the box has closed the time that it covers. Of cameras that can see the same
visitor one is counted. Everything here is computed from released numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from operator import not_
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeFloat

from edge.quantities import DWELL, IN, OUT, VISITS, ZONES
from edge.release.books.camera import FlowFigures, PeriodFigures, Releases
from edge.release.books.day import Day, Hour, figures
from edge.release.books.occupancy import Inside, follow
from edge.release.carry_over import UNCLASSIFIED
from edge.release.messages import Figures, Occupancy
from edge.release.noise.ledger import Level
from edge.release.noise.periods import NoisyFigure, Watched
from edge.release.noise.sampler import variance
from edge.release.rule import Rule
from edge.types import WindowCounts

_Key = TypeVar("_Key")
_LEVELS = list(Level)

ZONE_SUMS = (ZONES, DWELL)
"""What the box sums over the zones of its cameras; the length of a queue is of one place."""

_NEVER = datetime.max.replace(tzinfo=UTC)


class CellSums(BaseModel):
    """The numbers of one quantity, by cell, summed over cameras. since: from when on all of them counted it.

    variances: of the noise in each. epsilon: of the noise of each camera's numbers, the smallest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime
    values: dict[str, int] = {}
    variances: dict[str, NonNegativeFloat] = {}
    epsilon: Fraction | None = None

    def with_camera(self, figure: NoisyFigure) -> CellSums:
        """This and the numbers of one more camera; cells of one name are added up."""
        noise = variance(figure.epsilon) if figure.epsilon else 0.0
        names = dict.fromkeys([*self.values, *figure.cells])
        added = {cell: n.value for cell, n in figure.cells.items()}
        return CellSums(
            since=max(self.since, figure.start),
            values={name: self.values.get(name, 0) + added.get(name, 0) for name in names},
            variances={name: self.variances.get(name, 0.0) + noise * (name in added) for name in names},
            epsilon=_smaller(self.epsilon, figure.epsilon),
        )


class FlowSum(BaseModel):
    """The visits of one period, of the cameras that have closed it.

    cameras: how many gave their visits. entries, exits: over the entrance lines; None where there is none.
    epsilon, lines_epsilon: of the noise of each camera's visits and of each line. variance: of the noise in
    entries less exits. zones: of `ZONE_SUMS`, by quantity; earlier versions refuse a sum that has them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    start: AwareDatetime
    end: AwareDatetime
    cameras: int = 0
    visits: int = 0
    entries: int | None = None
    exits: int | None = None
    epsilon: Fraction | None = None
    lines_epsilon: Fraction | None = None
    variance: NonNegativeFloat = 0.0
    watched: Watched = Watched()
    zones: Annotated[dict[str, CellSums], Field(exclude_if=not_)] = {}

    def with_camera(self, figure: NoisyFigure) -> FlowSum:
        """This and the visits of one more camera."""
        return self.model_copy(
            update={
                "start": min(self.start, figure.start),
                "cameras": self.cameras + 1,
                "visits": self.visits + figure.cells[VISITS].value,
                "epsilon": _smaller(self.epsilon, figure.epsilon),
                "watched": self.watched.with_window(figure.coverage),
            }
        )

    def with_zones(self, figures: Mapping[str, NoisyFigure]) -> FlowSum:
        """This and what was counted in the zones of one more camera; zones of one name are added up."""
        more = {
            name: self.zones.get(name, CellSums(since=figure.start)).with_camera(figure)
            for name, figure in figures.items()
            if name in ZONE_SUMS
        }
        return self.model_copy(update={"zones": {**self.zones, **more}}) if more else self

    def with_entrances(self, passages: Mapping[str, NoisyFigure], entrances: Collection[str]) -> FlowSum:
        """This and what crossed the entrance lines of one more camera."""
        return self.model_copy(
            update={
                "entries": _added(self.entries, passages.get(IN), entrances),
                "exits": _added(self.exits, passages.get(OUT), entrances),
                "lines_epsilon": _smaller(self.lines_epsilon, epsilon_of_lines(passages)),
                "variance": self.variance + _variance(passages, entrances),
            }
        )


class PeriodSum(BaseModel):
    """The figures of one hour or day, of the cameras that have closed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    day: date
    parts: tuple[Figures, ...] = ()


@dataclass(frozen=True, slots=True)
class BoxReleases:
    """The sums that a closed window completes. occupancy: at the end of each of `flow`."""

    flow: list[FlowSum]
    periods: list[PeriodSum]
    occupancy: list[Occupancy | None]


class BoxBook(BaseModel):
    """Sums that wait for a camera, until when each camera has closed its time, and the day's occupancy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    closed: dict[str, AwareDatetime] = {}
    flow: tuple[FlowSum, ...] = ()
    periods: tuple[PeriodSum, ...] = ()
    inside: Inside | None = None

    def with_camera(
        self, window: WindowCounts, releases: Releases, rule: Rule
    ) -> tuple[BoxReleases, BoxBook]:
        """The sums that are complete once this window of a camera is in, and the book that goes on."""
        closed = {**self.closed, window.camera_id: _NEVER if window.last else window.end}
        flow, periods = list(self.flow), list(self.periods)
        if window.camera_id in rule.in_box:
            flow = _with_zones(_with_flow(flow, releases.flow), releases.beside)
            periods = _with_periods(periods, releases.periods)
        if entrances := rule.entrances.get(window.camera_id):
            flow = _with_passages(flow, releases.beside, entrances)
        until = min((closed[name] for name in rule.summed if name in closed), default=_NEVER)
        if not rule.summed <= closed.keys():
            return BoxReleases([], [], []), self._waiting(closed, flow, periods)
        done = sorted((one for one in flow if one.end <= until and one.cameras), key=_in_time)
        occupancy, inside = follow(self.inside, done, rule.time)
        book = self._waiting(
            closed,
            [one for one in flow if one.end > until],
            [one for one in periods if _due(one, rule) > until],
        )
        released = BoxReleases(done, [one for one in periods if _due(one, rule) <= until], occupancy)
        return released, book.model_copy(update={"inside": inside})

    def _waiting(
        self, closed: dict[str, AwareDatetime], flow: list[FlowSum], periods: list[PeriodSum]
    ) -> BoxBook:
        return BoxBook(closed=closed, flow=tuple(flow), periods=tuple(periods), inside=self.inside)


def total(parts: Iterable[Figures]) -> Figures:
    """The sum of figures of one time, of several cameras; the store is open once, however many watch it."""
    parts = list(parts)
    brackets = list(dict.fromkeys(bracket for part in parts for bracket in part.counts))
    hours = [_as_hour(part) for part in parts]
    start, end = min(part.start for part in parts), max(part.end for part in parts)
    summed = figures(brackets, hours, start, end)
    return summed.model_copy(update={"open_seconds": max(part.open_seconds for part in parts)})


def of_camera(zones: Iterable[Figures]) -> Figures:
    """The sum of figures of one time over the zones of one camera, which watches them all at once."""
    zones = list(zones)
    return total(zones).model_copy(update={"covered_seconds": max(zone.covered_seconds for zone in zones)})


def today_of(cameras: Iterable[Sequence[Day]]) -> tuple[Figures, list[Figures]]:
    """The day so far and its hours over several cameras, each with the days of its zones, all of one date."""
    cameras = list(cameras)
    by_end: dict[datetime, list[Figures]] = {}
    for days in cameras:
        hours = _by_end((hour.end, hour.figures(day.brackets)) for day in days for hour in day.so_far)
        for end, zones in hours.items():
            by_end.setdefault(end, []).append(of_camera(zones))
    whole = total(of_camera(day.total_so_far() for day in days) for days in cameras)
    return whole, [total(parts) for _, parts in sorted(by_end.items())]


def _in_time(one: FlowSum) -> tuple[datetime, int]:
    """By end, and of one end the shorter first: after the box was off, a window closes an hour before it."""
    return one.end, _LEVELS.index(one.level)


def _with_flow(sums: list[FlowSum], more: Iterable[NoisyFigure]) -> list[FlowSum]:
    found: dict[tuple[Level, datetime], FlowSum] = {(one.level, one.end): one for one in sums}
    for figure in more:
        key = figure.level, figure.end
        known = found.get(key, FlowSum(level=figure.level, start=figure.start, end=figure.end))
        found[key] = known.with_camera(figure)
    return list(found.values())


def _with_zones(sums: list[FlowSum], more: FlowFigures) -> list[FlowSum]:
    return [one.with_zones(more.get((one.level, one.end), {})) for one in sums]


def _with_passages(sums: list[FlowSum], more: FlowFigures, entrances: Collection[str]) -> list[FlowSum]:
    found: dict[tuple[Level, datetime], FlowSum] = {(one.level, one.end): one for one in sums}
    for key, beside in more.items():
        if not (passages := passages_of(beside)):
            continue
        start = min(figure.start for figure in passages.values())
        known = found.get(key, FlowSum(level=key[0], start=start, end=key[1]))
        found[key] = known.with_entrances(passages, entrances)
    return list(found.values())


def passages_of(figures: Mapping[str, NoisyFigure]) -> dict[str, NoisyFigure]:
    """Those of the figures of a period that are of lines."""
    return {quantity: figure for quantity, figure in figures.items() if quantity in (IN, OUT)}


def epsilon_of_lines(passages: Mapping[str, NoisyFigure]) -> Fraction | None:
    """Of the noise of each line's numbers; of the noisiest, where lines were drawn or removed meanwhile."""
    return min(
        (n.epsilon for one in passages.values() for n in one.cells.values() if n.epsilon), default=None
    )


def _smaller(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    return min((epsilon for epsilon in (one, other) if epsilon is not None), default=None)


def _added(known: int | None, figure: NoisyFigure | None, entrances: Collection[str]) -> int | None:
    """A sum with what crossed these lines; lines that were withheld add nothing."""
    found = [n.value for line, n in figure.cells.items() if line in entrances] if figure else []
    return (known or 0) + sum(found) if found else known


def _variance(passages: Mapping[str, NoisyFigure], entrances: Collection[str]) -> float:
    """Of the noise in all numbers of these lines."""
    cells = (cell for figure in passages.values() for cell in figure.cells.items())
    return sum(variance(n.epsilon) for line, n in cells if line in entrances and n.epsilon)


def _with_periods(sums: list[PeriodSum], more: Sequence[PeriodFigures]) -> list[PeriodSum]:
    found = {(one.level, _end(one)): one for one in sums}
    days = {period.figures.end: period.day for period in more}
    zones = _by_end(((period.level, period.figures.end), period.figures) for period in more)
    for key, figures_of_zones in zones.items():
        known = found.get(key, PeriodSum(level=key[0], day=days[key[1]]))
        found[key] = known.model_copy(update={"parts": (*known.parts, of_camera(figures_of_zones))})
    return list(found.values())


def _by_end(figures: Iterable[tuple[_Key, Figures]]) -> dict[_Key, list[Figures]]:
    """Figures of the same key together, in their order."""
    found: dict[_Key, list[Figures]] = {}
    for key, one in figures:
        found.setdefault(key, []).append(one)
    return found


def _due(one: PeriodSum, rule: Rule) -> datetime:
    """When every camera has given its part: sums of released cells leave with the end of the day."""
    return _end(one) if rule.ages else rule.time.day_bounds(one.day)[1]


def _end(one: PeriodSum) -> datetime:
    return one.parts[0].end


def _as_hour(part: Figures) -> Hour:
    cells = {**part.counts, UNCLASSIFIED: part.unclassified}
    return Hour(
        start=part.start,
        end=part.end,
        open_seconds=part.open_seconds,
        covered_seconds=part.covered_seconds,
        cells={cell: n for cell, n in cells.items() if n is not None},
        groups=part.groups,
        other=part.other,
    )
