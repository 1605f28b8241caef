"""The store's day so far, from released numbers alone: `today`, and `periods` when the day has ended.

Every number in it is a sum of numbers that were published before, so it gives no more away than those. A zero
says that nothing was released, not that nobody came.

What waited at the day's start is in the day in which it is released, over the hours of that day; what waits
at its end is not. The hours of a day change until the day ends, as a later release reaches back to `since`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from edge.release.carry_over import UNCLASSIFIED, Released
from edge.release.spread import spread
from edge.release.store_time import OpeningHours, StoreTime
from edge.types import Coverage


@dataclass(frozen=True, slots=True)
class Period:
    """A closed hour or day [start, end), in UTC, of one zone, or of all that were added up.

    counts: by cell, brackets and `unclassified`. groups, other: of days only; see `Released`.
    watched: the seconds that cameras gave usable pictures, summed over `views`, of which each could give
    `end - start`. open_seconds: how long of it the store was open.
    """

    level: Literal["hour", "day"]
    start: datetime
    end: datetime
    counts: Mapping[str, int]
    groups: Mapping[str, int]
    other: int
    watched: float
    views: int
    open_seconds: int


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Hour(_Stored):
    """One hour [start, end) of the day; the fields are those of `Period`."""

    start: AwareDatetime
    end: AwareDatetime
    open_seconds: NonNegativeInt
    counts: dict[str, int]
    watched: float = 0.0


class Today(_Stored):
    """What was released in one day of the store, of one zone or of several that were added up.

    The hours are those of the clock with which the day began, also where the configuration changes later.
    """

    day: date
    hours: tuple[Hour, ...]
    groups: dict[str, int] = {}
    other: int = 0
    views: PositiveInt = 1

    @property
    def counts(self) -> dict[str, int]:
        """The day's released visits by cell."""
        return _sum(hour.counts for hour in self.hours)

    def holds(self, start: datetime, end: datetime) -> bool:
        """Whether the window [start, end) lies in this day; if not, another day has begun."""
        return self._hour_of(start, end) is not None

    def add(self, released: Released, start: datetime, end: datetime, coverage: Coverage) -> Today:
        """This day and what left with the window [start, end). ValueError for a window that it does not hold.

        A released cell without a `since`, as with noise, came in the window itself.
        """
        number = self._hour_of(start, end)
        if number is None:
            raise ValueError(f"window {start} to {end}: is not in the store's day of {self.day}")
        counts = [Counter(hour.counts) for hour in self.hours]
        for cell, count in _cells(released):
            since = min(released.since.get(cell, start), start)
            parts = spread(count, since, end, [(hour.start, hour.end) for hour in self.hours])
            for hour, part in zip(counts, parts, strict=True):
                hour[cell] += part
        watched = [hour.watched + coverage.seconds * (n == number) for n, hour in enumerate(self.hours)]
        return self._with(counts, watched, _sum([self.groups, released.groups]), released.other or 0)

    def close_day(self) -> list[Period]:
        """The rows of `periods`: every hour in order, then the day. Not to be called before the day's end."""
        hours = [
            Period("hour", h.start, h.end, h.counts, {}, 0, h.watched, self.views, h.open_seconds)
            for h in self.hours
        ]
        return [*hours, self._whole()] if hours else []

    def _whole(self) -> Period:
        return Period(
            "day",
            self.hours[0].start,
            self.hours[-1].end,
            self.counts,
            self.groups,
            self.other,
            sum(hour.watched for hour in self.hours),
            self.views,
            sum(hour.open_seconds for hour in self.hours),
        )

    def _hour_of(self, start: datetime, end: datetime) -> int | None:
        """The number of the hour that holds the window: both begin and end on quarters, so one does."""
        return next((n for n, h in enumerate(self.hours) if h.start <= start < end <= h.end), None)

    def _with(
        self,
        counts: Sequence[Mapping[str, int]],
        watched: Sequence[float],
        groups: dict[str, int],
        other: int,
    ) -> Today:
        hours = (
            hour.model_copy(update={"counts": dict(cells), "watched": seconds})
            for hour, cells, seconds in zip(self.hours, counts, watched, strict=True)
        )
        return self.model_copy(update={"hours": tuple(hours), "groups": groups, "other": self.other + other})


def begin_day(day: date, cells: Sequence[str], store_time: StoreTime, opening: OpeningHours) -> Today:
    """The day before anything was released in it. cells: the brackets and `unclassified`, in their order."""
    hours = (
        Hour(
            start=start,
            end=end,
            open_seconds=store_time.open_seconds(start, end, opening),
            counts=dict.fromkeys(cells, 0),
        )
        for start, end in store_time.hours_of(day)
    )
    return Today(day=day, hours=tuple(hours))


def add_up(days: Sequence[Today]) -> Today:
    """One table for several cameras or zones, such as the box's own: counts and seconds watched are summed.

    Raises ValueError where there are none, or where their hours are not the same.
    """
    if len({(day.day, tuple((h.start, h.end) for h in day.hours)) for day in days}) != 1:
        raise ValueError(f"days of {sorted({str(day.day) for day in days})}: must be the same hours")
    total = days[0].model_copy(update={"views": sum(day.views for day in days), "other": 0})
    columns = list(zip(*(day.hours for day in days), strict=True))
    counts = [_sum(hour.counts for hour in column) for column in columns]
    watched = [sum(hour.watched for hour in column) for column in columns]
    return total._with(counts, watched, _sum(day.groups for day in days), sum(day.other for day in days))


def _cells(released: Released) -> Iterator[tuple[str, int]]:
    """The released cells."""
    for cell, count in {**released.counts, UNCLASSIFIED: released.unclassified}.items():
        if count is not None:
            yield cell, count


def _sum(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts added up by name, in the order in which the names come up."""
    total: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            total[name] = total.get(name, 0) + count
    return total
