"""The store's clock: its days, its hours, when it releases and when it is open, all as instants in UTC.

    day      from the instant of `day_starts` on one local date to that on the next; 24 hours, or what a
             change of the clock makes of them
    hour     from one instant at which the wall clock shows the minute of `day_starts` to the next
    release  the instants at which the wall clock shows a multiple of the period since midnight

Every zone is a multiple of 15 minutes away from UTC (from 2020 on; a test goes through them all). So days,
hours and releases begin at multiples of 15 minutes in UTC, which are ends of base windows, as a window's
length divides 15 minutes. Clocks change at such multiples as well, but for one: Casey in Antarctica, at 00:01
until 2023; a day that such a change begins starts with the next quarter.

Clock changes are those of the IANA data: the system's where there are any, else those of the package `tzdata`
(https://docs.python.org/3/library/zoneinfo.html#data-sources).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, islice, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

QUARTER = timedelta(minutes=15)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_OF_THE_MACHINE = ("localtime", "posixrules", "posix", "right", "Factory")
"""What stands among the zones without being one, or counts leap seconds."""


YEARS = range(1970, 9999)
"""Years whose days and windows can be worked out: calendars end a little after them."""


@dataclass(frozen=True, slots=True)
class StoreTime:
    """The local time of one store. day_starts: on a quarter hour."""

    timezone: ZoneInfo
    day_starts: time = time(0)

    def local(self, instant: datetime) -> datetime:
        """What the store's wall clock shows, without a zone."""
        return instant.astimezone(self.timezone).replace(tzinfo=None, fold=0)

    def day_of(self, instant: datetime) -> date:
        """The store's day that holds this instant, by the local date on which it starts."""
        day = self.local(instant).date()
        while instant < self._start(day):
            day -= _DAY
        while instant >= self._start(day + _DAY):
            day += _DAY
        return day

    def day_bounds(self, day: date) -> tuple[datetime, datetime]:
        """The instants [start, end) of a day, in UTC; equal for a date that the clock skipped as a whole."""
        return self._start(day), self._start(day + _DAY)

    def next_day_start(self, instant: datetime) -> datetime:
        """The first start of a day after this instant, in UTC."""
        return self._start(self.day_of(instant) + _DAY)

    def hours_of(self, day: date) -> list[tuple[datetime, datetime]]:
        """The hours [start, end) of a day in UTC, in order: 24 of them, or 23 or 25 where the clock changes.

        None is longer than 60 minutes. One is shorter only where the clock changes by half an hour (Lord Howe
        Island), or where a change skips `day_starts` and the day begins off the full hour.
        """
        start, end = self.day_bounds(day)
        bounds = [start]
        while bounds[-1] < end:
            bounds.append(min(end, self._next_hour(bounds[-1])))
        return list(pairwise(bounds))

    def is_release(self, instant: datetime, every: int) -> bool:
        """Whether the wall clock shows a multiple of `every` seconds since midnight."""
        local = self.local(instant)
        since_midnight = timedelta(
            hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        return since_midnight % timedelta(seconds=every) == timedelta(0)

    def is_open(self, instant: datetime, hours: OpeningHours) -> bool:
        """Whether the store is open: by the wall clock, also where the clock shows an hour twice."""
        local = self.local(instant)
        minute = local.hour * 60 + local.minute
        return hours.on(local.weekday(), minute) or hours.on((local.weekday() - 1) % 7, minute + 24 * 60)

    def open_seconds(self, start: datetime, end: datetime, hours: OpeningHours) -> int:
        """How long the store is open in [start, end), which begins and ends on full minutes."""
        minutes = (end - start) // timedelta(minutes=1)
        if hours == ALWAYS_OPEN:  # minute by minute a day takes 12 ms
            return 60 * minutes
        return 60 * sum(self.is_open(start + timedelta(minutes=n), hours) for n in range(minutes))

    def _start(self, day: date) -> datetime:
        """The first quarter of an hour at which the clock shows `day_starts` of this date, or later."""
        wall = datetime.combine(day, self.day_starts)
        first = wall.replace(tzinfo=self.timezone).astimezone(UTC)
        if self.local(first) == wall:
            return first
        # The time was skipped: with `fold` set, the instant is one before the clock went on (PEP 495).
        earlier = wall.replace(tzinfo=self.timezone, fold=1).astimezone(UTC)
        return next(at for at in _quarters(earlier) if self.local(at) >= wall)

    def _next_hour(self, instant: datetime) -> datetime:
        """The next instant at which the clock shows the minute of `day_starts`, or an hour later."""
        quarters = islice(_quarters(instant), 3)
        minute = self.day_starts.minute
        return next((at for at in quarters if self.local(at).minute == minute), instant + _HOUR)


def _quarters(instant: datetime) -> Iterator[datetime]:
    """The instants 15, 30, 45 ... minutes later."""
    return (instant + n * QUARTER for n in count(1))


def parse_timezone(text: str) -> ZoneInfo:
    """The time zone of this IANA name; ValueError says what is allowed."""
    try:
        if text.partition("/")[0] not in _OF_THE_MACHINE:
            return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # an unknown name, a folder of the data, a path: refused below in the same words
    near = difflib.get_close_matches(text, available_timezones() - set(_OF_THE_MACHINE), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise ValueError(f"is no time zone; {hint}allowed: IANA names such as 'Europe/Paris' or 'UTC'")


_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")


def parse_day_starts(text: str) -> time:
    """Read `05:30`; ValueError says what is allowed."""
    minutes = _minutes(text)
    if minutes is None or minutes == 24 * 60 or minutes % 15:
        raise ValueError(
            "is no time on a quarter hour; allowed: '00:00' to '23:45' with minutes 00, 15, 30 or 45"
        )
    return time(minutes // 60, minutes % 60)


def _minutes(text: str) -> int | None:
    """Minutes since midnight of `00:00` to `24:00`; None for what is neither."""
    found = _CLOCK.fullmatch(text)
    minutes = int(found[1]) * 60 + int(found[2]) if found else None
    return minutes if minutes is not None and minutes <= 24 * 60 else None


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_ALLOWED = "allowed: such as 'mon-fri 08:00-20:00, sat 09:00-12:30 14:00-18:00, sun closed'"

Span = tuple[int, int]
"""[start, end) in minutes since the midnight before; the end is above 1440 where it is on the next day."""


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When a store is open, by the day of the week on which it opens: seven entries from Monday on."""

    week: tuple[tuple[Span, ...], ...]

    def on(self, weekday: int, minute: int) -> bool:
        """Whether what opened on this weekday, 0 is Monday, is open so many minutes after its midnight."""
        return any(start <= minute < end for start, end in self.week[weekday])


def parse_opening_hours(value: str | Mapping[str, str]) -> OpeningHours:
    """Read `mon-sat 08:00-20:00, sun closed`, or the same as a table `{ mon-sat = "08:00-20:00" }`.

    A day that is not named is closed; `00:00-24:00` is a whole day; `18:00-02:00` ends on the next day.
    ValueError says what is wrong and what is allowed.
    """
    parts = value.split(",") if isinstance(value, str) else [f"{days} {v}" for days, v in value.items()]
    week: dict[int, tuple[Span, ...]] = {}
    for part in parts:
        days, spans = _part(part.lower().split())
        for day in days:
            if day in week:
                raise ValueError(f"names {DAYS[day]} twice; {_ALLOWED}")
            week[day] = spans
    return OpeningHours(tuple(week.get(day, ()) for day in range(7)))


def _part(words: list[str]) -> tuple[list[int], tuple[Span, ...]]:
    """The days and the spans of `mon-fri sun 08:00-12:00 14:00-18:00`."""
    named = [word for word in words if not word[0].isdigit() and word != "closed"]
    times = words[len(named) :]
    if not named or not times or words[: len(named)] != named:
        raise ValueError(f"{' '.join(words)!r} is not days and then times; {_ALLOWED}")
    days = [day for word in named for day in _days(word)]
    return days, () if times == ["closed"] else tuple(_spans(times))


def _days(word: str) -> Iterator[int]:
    first, dash, last = word.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"{word!r} is no day; allowed: {', '.join(DAYS)} and ranges such as mon-fri")
    start, end = DAYS.index(first), DAYS.index(last if dash else first)
    yield from ((start + n) % 7 for n in range((end - start) % 7 + 1))


def _spans(words: list[str]) -> Iterator[Span]:
    previous = 0
    for word in words:
        start, end = _span(word)
        if start < previous:
            raise ValueError(f"{word!r} begins before the time ahead of it ends; {_ALLOWED}")
        yield start, end
        previous = end


def _span(word: str) -> Span:
    begins, _, ends = word.partition("-")
    start, end = _minutes(begins), _minutes(ends)
    if start is None or end is None or start in (end, 24 * 60):
        raise ValueError(
            f"{word!r} is no opening time; allowed: such as 08:00-20:00, 18:00-02:00, 00:00-24:00"
        )
    return start, end if end > start else end + 24 * 60


ALWAYS_OPEN = parse_opening_hours("mon-sun 00:00-24:00")
