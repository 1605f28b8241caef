"""How large the messages become, for the command that checks the broker: built as full as they can get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

from edge.config import DAY, CameraSettings, Settings
from edge.correct import LEVEL, METHOD
from edge.ops.reasons import FrameDrop
from edge.quantities import AGES_BY_ATTENTION, AGES_BY_DWELL, IN, OUT, QUANTITIES, VISITS, part_of
from edge.release.books.box import FlowSum, passages_of
from edge.release.messages import (
    AgesBy,
    CalibrationOf,
    Corrected,
    Counts,
    CoverageOf,
    Figures,
    Interval,
    Model,
    Occupancy,
    Periods,
    Today,
    encode,
    window_id,
)
from edge.release.noise.ledger import Ledger, Level
from edge.release.noise.periods import Draws, NoisyFigure
from edge.release.rows import Rows
from edge.release.rule import Rule, Topics
from edge.types import Coverage

_MOST_HOURS = 25
"""Of a store's day, where the clock is set back."""

_MANY = 99_999
"""Visits of a cell."""

_FRAMES = 9_999_999
"""Of a camera in a day, at any rate."""

_SHARE = 0.999
"""Shares have three decimals."""

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_WATCHED = Coverage(DAY - 0.001, _FRAMES, dict.fromkeys(FrameDrop, _FRAMES))
_INSIDE = Occupancy(inside=_MANY, error=_MANY + _SHARE, since=_MOMENT)
_MODEL = Model(name="m" * 32, version="v" * 8)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the largest payloads. row: of messages that wait for the broker. today: of the box's day."""

    row: int
    today: int


def largest(settings: Settings, topics: Topics) -> Sizes:
    """The largest payloads under these settings, with many visits in every cell."""
    rule, figures = Rule.of(settings, _MODEL), _full(settings)
    rows = [
        encode(message)
        for camera in settings.cameras
        for zone in camera.counted_zones
        for message in (
            _counts(rule, camera.name, zone, figures),
            _periods(rule, camera.name, zone, figures, _crossed(settings, camera, zone)),
        )
    ]
    make = Rows(rule, topics)
    rows += [flow for camera in settings.cameras for flow in _flows(settings, camera, make)]
    rows.append(make.box_flow(_summed(settings, rule), _INSIDE).encode(_MANY))
    return Sizes(max(map(len, rows)), len(encode(_today(rule, figures))))


def _flows(settings: Settings, camera: CameraSettings, make: Rows) -> Iterator[bytes]:
    """The flow of an hour and a day of a camera, with all that it counts beside visits."""
    rule = Rule.of(settings, _MODEL)
    for level in (Level.HOUR, Level.DAY):
        drawn = _drawn(rule, camera.name, level, _cells(settings, camera))
        yield make.flow(camera.name, drawn.pop(VISITS), drawn).encode(_MANY)


def _summed(settings: Settings, rule: Rule) -> FlowSum:
    """The hour of a box."""
    one = FlowSum(level=Level.HOUR, start=_MOMENT, end=_MOMENT + timedelta(seconds=DAY))
    for camera in settings.cameras:
        drawn = _drawn(rule, camera.name, Level.HOUR, _cells(settings, camera))
        one = one.with_entrances(passages_of(drawn), [line.name for line in camera.lines])
        if camera.name in rule.in_box:
            one = one.with_camera(drawn[VISITS]).with_zones(drawn)
    return one


def _cells(settings: Settings, camera: CameraSettings) -> dict[str, tuple[str, ...]]:
    """By quantity, all cells without ages of a camera."""
    lines = tuple(line.name for line in camera.lines)
    return {VISITS: (VISITS,), **({IN: lines, OUT: lines} if lines else {}), **settings.cells_of(camera)}


def _drawn(
    rule: Rule, camera: str, level: Level, cells: Mapping[str, tuple[str, ...]]
) -> dict[str, NoisyFigure]:
    """Made-up numbers of a camera with their noise, by quantity, as the gate draws them."""
    shares, ledger = rule.flow_shares(cells), Ledger(budget=rule.visit_epsilon or Fraction(1))
    found = dict[str, NoisyFigure]()
    for quantity, names in cells.items():
        draws = Draws(ledger, shares, Random(0).randrange, camera=camera, quantity=quantity, reach=rule.reach)
        many = dict.fromkeys(names, _MANY * QUANTITIES[quantity].most)
        if figure := draws.figure(level, _MOMENT, _MOMENT + timedelta(seconds=DAY), many, _WATCHED):
            found[quantity] = figure
    return found


def _full(settings: Settings) -> Figures:
    brackets = settings.windows.brackets
    return Figures(
        start=_MOMENT,
        end=_MOMENT,
        counts=dict.fromkeys(brackets, _MANY),
        unclassified=_MANY,
        groups={f"{older}-{younger}": _MANY for older, younger in pairwise(brackets)},
        other=_MANY,
        released=_MANY,
        covered_seconds=DAY * len(settings.cameras) - 0.001,
        open_seconds=DAY,
    )


def _crossed(settings: Settings, camera: CameraSettings, zone: str) -> dict[str, AgesBy]:
    """What a zone publishes by age as well, by quantity."""
    found = dict[str, AgesBy]()
    for quantity, cells in settings.crossed_cells_of(camera).items():
        bounds = list(QUANTITIES[quantity].bounds)
        ages = dict.fromkeys(cell.split("/")[1] for cell in cells if part_of(cell) == zone)
        visits = {age: [_MANY] * len(bounds) for age in ages}
        found[quantity] = AgesBy(bounds=bounds, visits=visits, epsilon=1 / 3, error=_SHARE, since=_MOMENT)
    return found


def _periods(rule: Rule, camera: str, zone: str, figures: Figures, crossed: Mapping[str, AgesBy]) -> Periods:
    return Periods(
        site=rule.site,
        camera=camera,
        zone=zone,
        window_id=window_id(rule.site),
        sequence=_MANY,
        period="hour",
        day=_MOMENT.date(),
        timezone=rule.time.timezone.key,
        figures=figures,
        dwell=crossed.get(AGES_BY_DWELL),
        attention=crossed.get(AGES_BY_ATTENTION),
        model=_MODEL,
        privacy=rule.privacy(min(rule.ages.values(), default=None)),
    )


def _counts(rule: Rule, camera: str, zone: str, figures: Figures) -> Counts:
    return Counts(
        site=rule.site,
        camera=camera,
        zone=zone,
        window_id=window_id(rule.site),
        sequence=_MANY,
        start=_MOMENT,
        end=_MOMENT,
        seconds=_WATCHED.seconds,
        counts=figures.counts,
        unclassified=figures.unclassified,
        since=dict.fromkeys([*figures.counts, "unclassified"], _MOMENT),
        groups=figures.groups,
        released=figures.released,
        other=figures.other,
        coverage=CoverageOf.of(_WATCHED),
        model=_MODEL,
        privacy=rule.privacy(min(rule.ages.values(), default=None)),
    )


def _today(rule: Rule, figures: Figures) -> Today:
    return Today(
        site=rule.site,
        box=rule.box,
        day=_MOMENT.date(),
        timezone=rule.time.timezone.key,
        until=_MOMENT,
        total=figures,
        hours=[figures] * _MOST_HOURS,
        basis="released",
        corrected=_corrected(rule.share_brackets or figures.counts),
        model=_MODEL,
        privacy=rule.privacy(min(rule.ages.values(), default=None)),
    )


def _corrected(brackets: Iterable[str]) -> Corrected:
    interval = Interval(share=_SHARE, low=_SHARE, high=_SHARE)
    return Corrected(
        method=METHOD,
        level=LEVEL,
        calibration=CalibrationOf(name=_MODEL.name, version=_MODEL.version, faces=_MANY),
        visits=_MANY,
        shares=dict.fromkeys(brackets, interval),
        reason=None,
    )
