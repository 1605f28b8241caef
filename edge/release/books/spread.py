"""How a released cell is spread over the hours that its visits came in: in proportion to time.

A cell is released with `since`, the end of its last release. Nothing says when in that time its visits came,
so every reader of the counts (today, periods, page, export) spreads them with this function.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

Hour = tuple[datetime, datetime]
"""[start, end), in UTC."""


def spread(count: int, since: datetime, until: datetime, hours: Sequence[Hour]) -> list[int]:
    """`count` visits of [since, until) over these hours, in proportion to the time that each shares with it.

    Largest remainder (Hamilton's method): each hour has the whole part of its share, and the visits that are
    left go to the largest remainders, of equal ones to the later hour. So the sum is `count`, an hour that
    shares more time has no fewer, and one that shares none has none. Hours do not overlap; time that none of
    them covers is left out of the proportion. A negative count, which noise can make, is spread as its size.

    Raises ValueError where no hour shares time with the span, unless `count` is 0.
    """
    shared = [_shared(since, until, hour) for hour in hours]
    whole = sum(shared, timedelta(0))
    if not whole:
        if count:
            raise ValueError(f"{count} visits of {since} to {until}: no hour shares time with that")
        return [0] * len(hours)
    parts, remainders = [], []
    for time in shared:
        part, remainder = divmod(abs(count) * time, whole)
        parts.append(part)
        remainders.append(remainder)
    order = sorted(range(len(hours)), key=lambda hour: (remainders[hour], hours[hour]), reverse=True)
    for hour in order[: abs(count) - sum(parts)]:
        parts[hour] += 1
    return parts if count >= 0 else [-part for part in parts]


def over_day(count: int, since: datetime, until: datetime, hours: Sequence[Hour]) -> list[int | None]:
    """A released number over the hours of a day, at least one; None for hours outside of its span.

    A span that began before the day is cut to it. Where a clock was set back, the span may be empty or lie
    outside of the day: then the number belongs to the hour that is nearest to its end.
    """
    since = max(since, hours[0][0])
    reached = [start < until and end > since for start, end in hours]
    if not any(reached):
        nearest = max((i for i, (start, _) in enumerate(hours) if start < until), default=0)
        reached[nearest] = True
    spans = [hour for hour, inside in zip(hours, reached, strict=True) if inside]
    parts = iter(spread(count, since, until, spans) if len(spans) > 1 else [count])
    return [next(parts) if inside else None for inside in reached]


def _shared(since: datetime, until: datetime, hour: Hour) -> timedelta:
    return max(min(until, hour[1]) - max(since, hour[0]), timedelta(0))
