"""Numbers beside visits and lines, as a message has them: single numbers and histograms, with noise."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from edge.quantities import (
    ATTENTION,
    DWELL,
    GROUPS,
    IN,
    LOOKED,
    MEMBERS,
    MISSED,
    OUT,
    QUANTITIES,
    QUEUE,
    WAITING,
    ZONES,
    Missed,
    cell_of,
    part_of,
)
from edge.release.books.box import CellSums
from edge.release.messages import (
    AgesBy,
    AttentionFlow,
    GroupsFlow,
    Histogram,
    MissedFlow,
    QueueFlow,
    Stated,
    ZoneFlow,
)
from edge.release.noise.periods import NoisyFigure
from edge.release.noise.sampler import mean_error, mean_error_of_sum, variance

Figures = Mapping[str, NoisyFigure]
"""The figures of one period of a camera, by quantity; a quantity that the budget refuses is missing."""

Values = Mapping[str, Mapping[str, int]]
"""Published numbers by quantity and cell."""


def stated(figures: Figures) -> dict[str, Stated]:
    """How exact each quantity is; lines say it in a field of their own."""
    return {
        quantity: Stated(
            epsilon=None if figure.epsilon is None else float(figure.epsilon),
            error=error_of(quantity, figure.epsilon),
            since=figure.start,
        )
        for quantity, figure in figures.items()
        if quantity not in (IN, OUT)
    }


def error_of(quantity: str, epsilon: Fraction | None) -> float:
    """The mean absolute error of a number by its noise, in the number's unit; 0 where it is exact."""
    return 0.0 if epsilon is None else round(mean_error(epsilon / QUANTITIES[quantity].most), 3)


def stated_sums(sums: Mapping[str, CellSums]) -> dict[str, Stated]:
    """The same of sums over cameras. The error is that of the zone with the most noise."""
    return {
        quantity: Stated(
            epsilon=None if one.epsilon is None else float(one.epsilon),
            error=round(mean_error_of_sum(max(one.variances.values())), 3),
            since=one.since,
        )
        for quantity, one in sums.items()
    }


def values(figures: Figures) -> Values:
    """The published numbers of the figures."""
    return {name: {cell: n.value for cell, n in figure.cells.items()} for name, figure in figures.items()}


def histogram(values: Values, quantity: str, part: str) -> Histogram | None:
    """The steps of one part of a quantity; None where they were not counted, or the budget refuses them."""
    bounds, cells = QUANTITIES[quantity].bounds, values.get(quantity, {})
    numbers = [cells.get(cell_of(part, step)) for step in bounds]
    found = [n for n in numbers if n is not None]
    return Histogram(bounds=list(bounds), visits=found) if len(found) == len(bounds) else None


def zones(figures: Figures) -> dict[str, ZoneFlow]:
    """What was counted in each zone of a camera."""
    found = zones_of(values(figures))
    return {name: one.model_copy(update={"queue": _queue(figures, name)}) for name, one in found.items()}


def zones_of(values: Values) -> dict[str, ZoneFlow]:
    """Entries and dwell by zone."""
    cells = (cell for quantity in (ZONES, DWELL) for cell in values.get(quantity, {}))
    names = dict.fromkeys(part_of(cell) for cell in cells)
    entries = values.get(ZONES, {})
    return {name: ZoneFlow(entries=entries.get(name), dwell=histogram(values, DWELL, name)) for name in names}


def attention(figures: Figures, min_seconds: int) -> AttentionFlow | None:
    """Who looked at the target. min_seconds: a lower bound of the steps, from which on a visit watches."""
    time = histogram(values(figures), ATTENTION, LOOKED)
    if time is None:
        return None
    watching = [n for bound, n in zip(time.bounds, time.visits, strict=True) if bound >= min_seconds]
    error = _error_of_sum(figures, ATTENTION, len(watching))
    return AttentionFlow(min_seconds=min_seconds, watchers=sum(watching), error=error, time=time)


def groups(figures: Figures) -> GroupsFlow | None:
    """How many visits came together."""
    size = histogram(values(figures), GROUPS, MEMBERS)
    if size is None:
        return None
    several = size.visits[1:]
    error = _error_of_sum(figures, GROUPS, len(several))
    return GroupsFlow(sizes=size.bounds, groups=size.visits, several=sum(several), error=error)


def missed(figures: Figures) -> MissedFlow | None:
    """How many tracks were no visits, by reason."""
    found = values(figures).get(MISSED)
    return MissedFlow(**found) if found and found.keys() == set(Missed) else None


def ages_by(figures: Figures, quantity: str) -> AgesBy | None:
    """A zone's visits by bracket and step; None where they were not counted, or the budget refuses them."""
    figure = figures.get(quantity)
    if figure is None or figure.epsilon is None:
        return None
    visits: dict[str, list[int]] = {}
    for cell, n in figure.cells.items():
        visits.setdefault(cell.split("/")[1], []).append(n.value)
    return AgesBy(
        bounds=list(QUANTITIES[quantity].bounds),
        visits=visits,
        epsilon=float(figure.epsilon),
        error=error_of(quantity, figure.epsilon),
        since=figure.start,
    )


def _error_of_sum(figures: Figures, quantity: str, numbers: int) -> float:
    """The mean absolute error of the sum of so many of its numbers by their noise; 0 where they are exact."""
    epsilon = figures[quantity].epsilon
    if epsilon is None:
        return 0.0
    return round(mean_error_of_sum(numbers * variance(epsilon / QUANTITIES[quantity].most)), 3)


def _queue(figures: Figures, zone: str) -> QueueFlow | None:
    found = values(figures)
    seconds, waiting = found.get(QUEUE, {}).get(zone), histogram(found, WAITING, zone)
    if seconds is None and waiting is None:
        return None
    mean, error = _mean_length(figures, seconds)
    return QueueFlow(person_seconds=seconds, mean_length=mean, error=error, waiting=waiting)


def _mean_length(figures: Figures, seconds: int | None) -> tuple[float | None, float | None]:
    """Persons in the queue on average over the watched time, and the mean absolute error by the noise."""
    figure = figures.get(QUEUE)
    if seconds is None or figure is None or figure.changed or not (watched := figure.coverage.seconds):
        return None, None
    return round(seconds / watched, 3), round(error_of(QUEUE, figure.epsilon) / watched, 3)
