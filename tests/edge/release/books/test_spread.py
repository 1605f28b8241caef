"""A released cell is spread over its hours in proportion to time, and nothing is lost or made on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge.release.books.spread import Hour, spread

EIGHT = datetime(2026, 1, 31, 8, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURS = [(EIGHT + n * HOUR, EIGHT + (n + 1) * HOUR) for n in range(4)]


def shared(since: datetime, until: datetime, hour: Hour) -> timedelta:
    return max(min(until, hour[1]) - max(since, hour[0]), timedelta(0))


@pytest.mark.parametrize(
    ("count", "since", "until", "hours"),
    [
        (5, 0, 60, [5, 0, 0, 0]),
        (6, 30, 120, [2, 4, 0, 0]),
        (5, 30, 90, [2, 3, 0, 0]),  # 2.5 each: the later hour
        (7, 0, 240, [1, 2, 2, 2]),
        (0, 0, 60, [0, 0, 0, 0]),
        (-6, 30, 120, [-2, -4, 0, 0]),
        (5, -600, 120, [2, 3, 0, 0]),  # what lies before the first hour is no part of the proportion
    ],
)
def test_by_example(count: int, since: int, until: int, hours: list[int]) -> None:
    assert spread(count, EIGHT + since * MINUTE, EIGHT + until * MINUTE, HOURS) == hours


def test_visits_of_a_time_outside_all_hours_are_a_fault() -> None:
    with pytest.raises(ValueError, match="no hour shares time"):
        spread(5, EIGHT - HOUR, EIGHT, HOURS)
    assert spread(0, EIGHT - HOUR, EIGHT, HOURS) == [0, 0, 0, 0]


@given(st.integers(-500, 500), st.integers(-100, 239), st.integers(-99, 400), st.permutations(HOURS))
def test_the_sum_is_kept_and_more_time_has_no_fewer(
    count: int, first: int, last: int, hours: list[Hour]
) -> None:
    since, until = EIGHT + first * MINUTE, EIGHT + last * MINUTE
    times = [shared(since, until, hour) for hour in hours]
    assume(any(times))

    parts = spread(count, since, until, hours)

    assert sum(parts) == count
    sizes = [part if count >= 0 else -part for part in parts]
    assert all(size >= 0 for size in sizes)
    assert all(not size for size, time in zip(sizes, times, strict=True) if not time)
    whole = sum(times, timedelta(0))
    for size, time in zip(sizes, times, strict=True):
        assert abs(size - abs(count) * (time / whole)) < 1
        assert all(size >= other for other, less in zip(sizes, times, strict=True) if less < time)
    assert dict(zip(hours, parts, strict=True)) == dict(
        zip(HOURS, spread(count, since, until, HOURS), strict=True)
    )
