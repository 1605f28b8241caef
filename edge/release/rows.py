"""Released numbers as rows of the outbox: topic, key, and the message once its sequence is known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Required, TypedDict

from edge.quantities import AGES, AGES_BY_ATTENTION, AGES_BY_DWELL, IN, OUT, VISITS
from edge.release.books.box import FlowSum, PeriodSum, epsilon_of_lines, passages_of, today_of, total
from edge.release.books.camera import PeriodFigures
from edge.release.books.day import Day
from edge.release.correction import Correction
from edge.release.flow import ages_by, attention, groups, missed, stated, stated_sums, zones, zones_of
from edge.release.messages import (
    AttentionFlow,
    Counts,
    CoverageOf,
    Figures,
    Flow,
    GroupsFlow,
    Message,
    MissedFlow,
    Occupancy,
    Passages,
    Periods,
    Stated,
    Today,
    ZoneFlow,
    encode,
    window_id,
)
from edge.release.noise.ledger import Level
from edge.release.noise.periods import NoisyFigure
from edge.release.released import ReleasedWindow
from edge.release.rule import Rule, Topics


class Names(TypedDict, total=False):
    """Whose numbers they are, as a message has it."""

    site: Required[str]
    box: str
    camera: str
    zone: str


class _Numbers(TypedDict, total=False):
    """What a flow message says of its period."""

    visits: Required[int]
    coverage: Required[CoverageOf]
    lines: dict[str, Passages]
    lines_epsilon: float | None
    lines_since: datetime | None
    zones: dict[str, ZoneFlow]
    attention: AttentionFlow | None
    groups: GroupsFlow | None
    missed: MissedFlow | None
    quantities: dict[str, Stated]
    entries: int | None
    exits: int | None
    occupancy: Occupancy | None


@dataclass(frozen=True, slots=True)
class Row:
    """A message to be stored. key: the same in every run. retained_as: the topic that retains the newest."""

    topic: str
    key: str
    message: Callable[[int], Message]
    retained_as: str | None = None

    def encode(self, sequence: int) -> bytes:
        """The payload, given the topic's next sequence number."""
        return encode(self.message(sequence))


def counts_key(site: str, camera: str, zone: str, start: datetime, end: datetime) -> str:
    """The `window_id` of a counts message."""
    return window_id(site, camera, zone, start, end)


class Rows:
    """Makes the rows of one box under one rule."""

    def __init__(self, rule: Rule, topics: Topics, correction: Correction | None = None) -> None:
        """correction: of the shares in `today`; None: they are left out."""
        self._correction = correction
        self._rule = rule
        self._topics = topics

    def counts(self, window: ReleasedWindow) -> Row:
        """The `instore.counts/2` row of a released window."""
        key = counts_key(window.site, window.camera_id, window.zone, window.start, window.end)
        cells = window.cells

        def message(sequence: int) -> Counts:
            return Counts(
                site=window.site,
                camera=window.camera_id,
                zone=window.zone,
                window_id=key,
                sequence=sequence,
                start=window.start,
                end=window.end,
                seconds=(window.end - window.start).total_seconds(),
                counts=dict(cells.counts),
                unclassified=cells.unclassified,
                since=dict(cells.since),
                groups=dict(cells.groups),
                released=cells.total,
                other=cells.other,
                coverage=CoverageOf.of(window.coverage),
                model=self._rule.model,
                privacy=self._rule.privacy(window.epsilon),
            )

        topics = self._topics
        latest = topics.latest(window.camera_id, window.zone)
        return Row(topics.counts(window.camera_id, window.zone), key, message, latest)

    def flow(self, camera: str, figure: NoisyFigure, beside: Mapping[str, NoisyFigure]) -> Row:
        """The `instore.flow/1` row of one period of a camera. beside: its other numbers, by quantity."""
        passages = passages_of(beside)
        names = Names(site=self._rule.site, camera=camera)
        numbers = _Numbers(
            visits=figure.cells[VISITS].value,
            coverage=CoverageOf.of(figure.coverage),
            lines=_by_line(passages, self._rule.entrances.get(camera, frozenset())),
            lines_epsilon=_plain(epsilon_of_lines(passages)),
            lines_since=min((one.start for one in passages.values()), default=None),
            zones=zones(beside),
            attention=attention(beside, self._rule.watching_from),
            groups=groups(beside),
            missed=missed(beside),
            quantities=stated(beside),
        )
        return self._flow(self._topics.flow(camera), names, figure, numbers)

    def box_flow(self, one: FlowSum, inside: Occupancy | None) -> Row:
        """The same summed over the box, and how many are inside at its end."""
        names = Names(site=self._rule.site, box=self._rule.box)
        numbers = _Numbers(
            visits=one.visits,
            coverage=CoverageOf.of(one.watched.coverage),
            entries=one.entries,
            exits=one.exits,
            lines_epsilon=_plain(one.lines_epsilon),
            zones=zones_of({quantity: sums.values for quantity, sums in one.zones.items()}),
            quantities=stated_sums(one.zones),
            occupancy=inside,
        )
        return self._flow(self._topics.box_flow, names, one, numbers)

    def periods(self, camera: str, one: PeriodFigures) -> Row:
        """The `instore.periods/1` row of a closed hour or day of a zone."""
        names = Names(site=self._rule.site, camera=camera, zone=one.zone)
        topic = self._topics.periods(camera, one.zone)
        return self._periods(topic, names, one, one.figures, one.epsilon)

    def box_periods(self, one: PeriodSum) -> Row:
        """The same summed over the box."""
        names = Names(site=self._rule.site, box=self._rule.box)
        return self._periods(self._topics.box_periods, names, one, total(one.parts), self._epsilon(one.level))

    def today(self, camera: str, zone: str, day: Day) -> tuple[str, bytes]:
        """The topic and the retained payload of a zone's day."""
        names = Names(site=self._rule.site, camera=camera, zone=zone)
        return self._topics.today(camera, zone), encode(self._today(names, [[day]]))

    def box_today(self, days: Iterable[Sequence[Day]]) -> tuple[str, bytes]:
        """The topic and the retained payload of the box's day. days: by camera, of its zones."""
        names = Names(site=self._rule.site, box=self._rule.box)
        return self._topics.box_today, encode(self._today(names, list(days)))

    def _flow(
        self,
        topic: str,
        names: Names,
        one: NoisyFigure | FlowSum,
        numbers: _Numbers,
    ) -> Row:
        key = window_id(*_values(names), "flow", one.level.value, one.start, one.end)
        epsilon = one.epsilon

        def message(sequence: int) -> Flow:
            return Flow(
                site=names["site"],
                box=names.get("box"),
                camera=names.get("camera"),
                window_id=key,
                sequence=sequence,
                period=one.level.value,
                start=one.start,
                end=one.end,
                seconds=(one.end - one.start).total_seconds(),
                privacy=self._rule.privacy(epsilon),
                **numbers,
            )

        return Row(topic, key, message)

    def _periods(
        self,
        topic: str,
        names: Names,
        one: PeriodFigures | PeriodSum,
        figures: Figures,
        epsilon: Fraction | None,
    ) -> Row:
        key = window_id(*_values(names), "periods", one.level.value, figures.start, figures.end)
        crossed = one.crossed if isinstance(one, PeriodFigures) else {}

        def message(sequence: int) -> Periods:
            return Periods(
                **names,
                window_id=key,
                sequence=sequence,
                period="day" if one.level is Level.DAY else "hour",
                day=one.day,
                timezone=self._rule.time.timezone.key,
                figures=figures,
                dwell=ages_by(crossed, AGES_BY_DWELL),
                attention=ages_by(crossed, AGES_BY_ATTENTION),
                model=self._rule.model,
                privacy=self._rule.privacy(epsilon),
            )

        return Row(topic, key, message)

    def _today(self, names: Names, days: list[Sequence[Day]]) -> Today:
        whole, hours = today_of(days)
        return Today(
            **names,
            day=days[0][0].date,
            timezone=self._rule.time.timezone.key,
            until=max(day.until for zones in days for day in zones),
            total=whole,
            hours=hours,
            basis="windows" if self._rule.ages else "released",
            corrected=self._correction.of(whole, days, self._rule) if self._correction else None,
            model=self._rule.model,
            privacy=self._rule.privacy(self._epsilon(Level.WINDOW)),
        )

    def _epsilon(self, level: Level) -> Fraction | None:
        return self._rule.ages.get((level, AGES))


def _values(names: Names) -> list[str]:
    return [str(name) for name in names.values()]


def _by_line(passages: Mapping[str, NoisyFigure], entrances: Collection[str]) -> dict[str, Passages]:
    lines = dict.fromkeys(line for figure in passages.values() for line in figure.cells)

    def value(quantity: str, line: str) -> int | None:
        figure = passages.get(quantity)
        return figure.cells[line].value if figure and line in figure.cells else None

    def of(line: str) -> Passages:
        numbers = {"in": value(IN, line), "out": value(OUT, line), "entrance": line in entrances}
        return Passages.model_validate(numbers)

    return {line: of(line) for line in lines}


def _plain(epsilon: Fraction | None) -> float | None:
    return None if epsilon is None else float(epsilon)
