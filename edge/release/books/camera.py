"""What the gate keeps of one camera between two windows, and what a closed window lets out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from operator import not_
from typing import Annotated, Self, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from edge.quantities import AGES, CROSSED, IN, OUT, QUANTITIES, VISITS, part_of
from edge.release.books.day import Day
from edge.release.carry_over import Waiting, absorb, begin, reshape
from edge.release.messages import Figures
from edge.release.noise.ledger import Ledger, Level
from edge.release.noise.periods import Draws, NoisyFigure, NoisyPeriods
from edge.release.noise.sampler import RandomBelow
from edge.release.released import ReleasedWindow, cells_of, release_window, released_with_noise
from edge.release.rule import Rule
from edge.types import WindowCounts

_Drawn = TypeVar("_Drawn")


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """A closed local hour or day of a zone. epsilon: of its noise, None where the threshold releases ages.

    crossed: what is published by age as well, by quantity.
    """

    zone: str
    level: Level
    day: date
    figures: Figures
    epsilon: Fraction | None = None
    crossed: Mapping[str, NoisyFigure] = field(default_factory=dict)


FlowFigures = dict[tuple[Level, datetime], dict[str, NoisyFigure]]
"""The numbers of a camera beside its visits: by level and end of the period, by quantity."""


@dataclass(frozen=True, slots=True)
class Releases:
    """What one closed window of a camera lets out.

    beside: numbers without ages beside the visits. windows: of each zone; none of a camera without ages.
    today: by zone, the store's day that goes on, where it has changed. gone: zones whose retained topics have
    to be cleared.
    """

    flow: list[NoisyFigure]
    beside: FlowFigures = field(default_factory=dict)
    windows: list[ReleasedWindow] = field(default_factory=list)
    periods: list[PeriodFigures] = field(default_factory=list)
    today: dict[str, Day] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


class ZoneBook(BaseModel):
    """What waits in one zone, its day so far, and its open periods where ages carry noise.

    crossed: open periods of what is published by age as well, by quantity. last: the day of a camera that
    gives no more frames, which stays the one that is shown.

    Versions before `crossed` refuse a book that has it, so it is written only where it holds something.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    waiting: Waiting
    day: Day
    ages: NoisyPeriods = NoisyPeriods()
    crossed: Annotated[dict[str, NoisyPeriods], Field(exclude_if=not_)] = {}
    last: Day | None = None

    @property
    def shown(self) -> Day:
        """The day that `today` shows."""
        return self.last or self.day

    def with_waiting(self, waiting: Waiting) -> Self:
        """The book with another state of what waits."""
        return self.model_copy(update={"waiting": waiting})


class CameraBook(BaseModel):
    """All of one camera. It lies on the box's disk: counts only, readable by the daemon's user alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ledger: Ledger
    flow: NoisyPeriods = NoisyPeriods()
    beside: Annotated[
        dict[str, NoisyPeriods], Field(validation_alias=AliasChoices("beside", "passages"))
    ] = {}
    zones: dict[str, ZoneBook] = {}

    @classmethod
    def begin(cls, rule: Rule) -> Self:
        """The book of a camera that was never seen before."""
        return cls(ledger=Ledger(budget=_budget(rule)))

    def close_window(
        self, window: WindowCounts, rule: Rule, random_below: RandomBelow
    ) -> tuple[Releases, CameraBook]:
        """What may leave when this window closes, and the book that goes on. Nothing is changed here."""
        flow = _FlowClosing(self, window, rule, random_below)
        visits, beside = flow.visits(), flow.beside()
        if window.camera_id not in rule.with_ages:
            return Releases(visits, beside, gone=list(self.zones)), flow.book(flow.ledger, self.zones)
        closing = _AgesClosing(window, rule, random_below, flow.ledger)
        zones = closing.close(self.zones)
        today = {name: zone.shown for name, zone in zones.items()} if closing.changes_today else {}
        gone = [name for name in self.zones if name not in zones]
        releases = Releases(visits, beside, closing.released, closing.periods, today, gone)
        return releases, flow.book(closing.ledger, zones)


class _FlowClosing:
    """The numbers without ages of one window on their way out, and the ledger of them."""

    def __init__(self, book: CameraBook, window: WindowCounts, rule: Rule, random_below: RandomBelow) -> None:
        self._window, self._rule, self._random_below = window, rule, random_below
        self._visits = book.flow
        self._open = {name: periods for name, periods in book.beside.items() if name in QUANTITIES}
        self._tallies = _tallies(window)
        self._shares = rule.flow_shares({**self._tallies, **self._open})
        self.ledger = book.ledger.under(_budget(rule))

    def visits(self) -> list[NoisyFigure]:
        """The visits of the periods that end with this window."""
        figures, self._visits = self._close(self._visits, VISITS, {VISITS: self._window.total})
        return figures

    def beside(self) -> FlowFigures:
        """The other numbers of these periods; lines and zones that are gone leave with the period they were
        in.
        """
        found: FlowFigures = {}
        for quantity in [name for name in QUANTITIES if name in self._tallies or name in self._open]:
            periods = self._open.pop(quantity, NoisyPeriods())
            figures, periods = self._close(periods, quantity, self._tallies.get(quantity, {}))
            for figure in figures:
                found.setdefault((figure.level, figure.end), {})[quantity] = figure
            if any(period.cells for period in periods.open.values()):
                self._open[quantity] = periods
        return found

    def book(self, ledger: Ledger, zones: dict[str, ZoneBook]) -> CameraBook:
        """The book that goes on."""
        return CameraBook(
            ledger=_trimmed(ledger, self._visits), flow=self._visits, beside=self._open, zones=zones
        )

    def _close(
        self, periods: NoisyPeriods, quantity: str, cells: Mapping[str, int]
    ) -> tuple[list[NoisyFigure], NoisyPeriods]:
        draws = Draws(
            self.ledger, self._shares, self._random_below,
            camera=self._window.camera_id, quantity=quantity, reach=self._rule.reach,
        )  # fmt: skip
        closed = periods.close_window(self._window, cells, self._rule, draws)
        self.ledger = draws.ledger
        return closed


def _tallies(window: WindowCounts) -> dict[str, Mapping[str, int]]:
    """The window's numbers without ages beside its visits, by quantity and cell."""
    lines = {
        IN: {name: one.inward for name, one in window.lines.items()},
        OUT: {name: one.outward for name, one in window.lines.items()},
    }
    without_ages = {name: cells for name, cells in window.tallies.items() if name not in CROSSED.values()}
    return {name: cells for name, cells in {**lines, **without_ages}.items() if cells}


class _AgesClosing:
    """The visits by age of one window on their way out, zone by zone; collects what leaves.

    ledger: of the noise, which grows where ages carry any.
    """

    def __init__(self, window: WindowCounts, rule: Rule, random_below: RandomBelow, ledger: Ledger) -> None:
        self._window, self._rule, self._random_below = window, rule, random_below
        self._releases = rule.is_off or window.last or rule.time.is_release(window.end, rule.release_every)
        self.ledger = ledger
        self.released: list[ReleasedWindow] = []
        self.periods: list[PeriodFigures] = []
        self.changes_today = self._releases or bool(rule.ages)

    def close(self, before: Mapping[str, ZoneBook]) -> dict[str, ZoneBook]:
        """The books of the window's zones that go on, from those of all zones before it."""
        left = [self._end(name, zone) for name, zone in before.items() if name not in self._window.zones]
        zones = {name: self._open(name, before.get(name)) for name in self._window.zones}
        rest = [*zones][-1]
        for waiting in left:
            zones[rest] = zones[rest].with_waiting(absorb(zones[rest].waiting, waiting))
        close = self._with_noise if self._rule.ages else self._with_threshold
        return {name: close(name, zone) for name, zone in zones.items()}

    def _end(self, name: str, zone: ZoneBook) -> Waiting:
        """End the day of a zone that is gone; what waits in it goes on elsewhere."""
        self._end_before(name, zone)
        return zone.waiting

    def _end_before(self, name: str, zone: ZoneBook) -> None:
        """End a zone's day where this window is not of it any more."""
        if not self._rule.ages:
            return self._end_day(name, zone.day.cut(self._window.start))
        figures = self._drawn(name, AGES, zone.ages.close)
        crossed = {q: self._drawn(name, q, zone.crossed[q].close) for q in self._crossed if q in zone.crossed}
        self._publish(name, figures, crossed, zone.day)
        return None

    def _open(self, name: str, found: ZoneBook | None) -> ZoneBook:
        """A zone's book under the rule of now; what earlier shapes left joins it."""
        window, rule = self._window, self._rule
        brackets, minimum = window.brackets, rule.minimum
        if found is None:
            day = Day.begin(window.start, brackets, rule)
            return ZoneBook(waiting=begin(brackets, window.start, minimum), day=day)
        zone = found.with_waiting(reshape(found.waiting, brackets, minimum, window.start))
        known = zone.day.reaching(window.start, rule) if zone.day.brackets == brackets else None
        if known:
            return zone.model_copy(update={"day": known})
        self._end_before(name, zone)
        day = Day.begin(window.start, brackets, rule)
        return zone.model_copy(update={"day": day, "ages": NoisyPeriods(), "crossed": {}})

    def _with_threshold(self, name: str, zone: ZoneBook) -> ZoneBook:
        """Carry-over; hours and day are sums of released cells, so they end with the day."""
        window, day_ends = self._window, self._day_ends(zone)
        open_seconds = self._rule.time.open_seconds(window.start, window.end, self._rule.opening)
        released, waiting = release_window(
            window, name, zone.waiting,
            releases=self._releases, day_ends=day_ends, store_closed=not open_seconds,
        )  # fmt: skip
        self.released.append(released)
        day = zone.day.with_window(released)
        ended = day.cut(window.end) if day_ends else None
        if ended:
            self._end_day(name, ended)
            day = Day.begin(window.end, window.brackets, self._rule)
        return ZoneBook(waiting=waiting, day=day, last=ended if window.last else None)

    def _with_noise(self, name: str, zone: ZoneBook) -> ZoneBook:
        """Every cell with noise; hours and day have noise of their own, so each ends by itself."""
        window, rule = self._window, self._rule
        figures, ages = self._close(name, AGES, zone.ages, cells_of(window.zones[name]))
        crossed, still_open = self._close_crossed(name, zone)
        own = next((figure for figure in figures if figure.level is Level.WINDOW), None)
        released = released_with_noise(window, name, own.cells if own else None, own.epsilon if own else None)
        self.released.append(released)
        day = zone.day.with_window(released)
        self._publish(name, figures, crossed, day)
        for figure in figures:
            if figure.level is Level.HOUR:
                day = day.with_hour(figure.start, figure.cells)
        last = day.cut(window.end) if window.last else None
        if self._day_ends(zone):
            day = Day.begin(window.end, window.brackets, rule)
        return ZoneBook(waiting=zone.waiting, day=day, ages=ages, crossed=still_open, last=last)

    @property
    def _crossed(self) -> list[str]:
        """What is published by age as well; what an earlier rule let be counted is dropped."""
        return [name for name in CROSSED.values() if (Level.DAY, name) in self._rule.ages]

    def _close_crossed(
        self, zone: str, book: ZoneBook
    ) -> tuple[dict[str, list[NoisyFigure]], dict[str, NoisyPeriods]]:
        """The figures by age of what this window completes, and the periods that go on, by quantity."""
        figures, still_open = dict[str, list[NoisyFigure]](), dict[str, NoisyPeriods]()
        for name in self._crossed:
            all_zones = self._window.tallies.get(name, {})
            cells = {cell: n for cell, n in all_zones.items() if part_of(cell) == zone}
            periods = book.crossed.get(name, NoisyPeriods())
            figures[name], still_open[name] = self._close(zone, name, periods, cells)
        return figures, {name: periods for name, periods in still_open.items() if periods.open}

    def _close(
        self, zone: str, quantity: str, periods: NoisyPeriods, cells: Mapping[str, int]
    ) -> tuple[list[NoisyFigure], NoisyPeriods]:
        return self._drawn(
            zone, quantity, lambda draws: periods.close_window(self._window, cells, self._rule, draws)
        )

    def _drawn(self, zone: str, quantity: str, draw: Callable[[Draws], _Drawn]) -> _Drawn:
        """What `draw` draws of a zone's quantity; the ledger keeps what it spends."""
        draws = Draws(
            self.ledger, self._rule.ages, self._random_below,
            camera=self._window.camera_id, quantity=quantity, part=zone, reach=self._rule.reach,
        )  # fmt: skip
        drawn = draw(draws)
        self.ledger = draws.ledger
        return drawn

    def _publish(
        self, zone: str, figures: list[NoisyFigure], crossed: Mapping[str, list[NoisyFigure]], day: Day
    ) -> None:
        """The hours and days among these figures, each with what was counted by age in the same time."""
        for figure in figures:
            if figure.level is Level.WINDOW:
                continue
            beside = {
                name: one
                for name, found in crossed.items()
                for one in found
                if (one.level, one.end) == (figure.level, figure.end)
            }
            self.periods.append(_noisy_period(zone, figure, day, beside))

    def _day_ends(self, zone: ZoneBook) -> bool:
        return self._window.last or self._window.end >= zone.day.ends

    def _end_day(self, zone: str, day: Day) -> None:
        """The hours and the whole of a day that has ended, in order of time."""
        if not day.hours:  # nothing was counted
            return
        self.periods += [
            PeriodFigures(zone, Level.HOUR, day.date, hour.figures(day.brackets)) for hour in day.hours
        ]
        self.periods.append(PeriodFigures(zone, Level.DAY, day.date, day.total()))


def _noisy_period(
    zone: str, figure: NoisyFigure, day: Day, crossed: Mapping[str, NoisyFigure]
) -> PeriodFigures:
    found = day.noisy_figures(figure.start, figure.end, figure.cells, figure.coverage.seconds)
    return PeriodFigures(zone, figure.level, day.date, found, figure.epsilon, crossed)


def _budget(rule: Rule) -> Fraction:
    """What a visit may spend at most; a gate that is off draws nothing."""
    return rule.visit_epsilon or Fraction(1)


def _trimmed(ledger: Ledger, flow: NoisyPeriods) -> Ledger:
    """Without what ended before the open day: its rows are stored, so none of it is drawn again."""
    starts = [period.start for period in flow.open.values()]
    return ledger.forget(min(starts)) if starts else ledger
