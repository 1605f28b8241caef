"""The day and its hours are sums of what was released, of nothing else, whatever the order and the clock."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.release.carry_over import UNCLASSIFIED, Released, add, begin, release
from edge.release.store_time import ALWAYS_OPEN, StoreTime, parse_opening_hours
from edge.release.today import Today, add_up, begin_day
from edge.types import Coverage

BERLIN = StoreTime(ZoneInfo("Europe/Berlin"))
DAY = date(2026, 1, 31)
START, END = BERLIN.day_bounds(DAY)
CELLS = ("0-34", "35+", UNCLASSIFIED)
HOUR, WINDOW = timedelta(hours=1), timedelta(minutes=15)


def the_day(day: date = DAY, opening: str = "mon-sun 00:00-24:00") -> Today:
    return begin_day(day, CELLS, BERLIN, parse_opening_hours(opening))


def released(
    young: int | None = None, old: int | None = None, unknown: int | None = None, since: datetime = START
) -> Released:
    cells = {"0-34": young, "35+": old, UNCLASSIFIED: unknown}
    return Released(
        {"0-34": young, "35+": old}, unknown, 3, {cell: since for cell, n in cells.items() if n is not None}
    )


def window(today: Today, number: int, what: Released, seconds: float = 900.0) -> Today:
    """The day after the quarter of an hour with this number."""
    start = START + number * WINDOW
    return today.add(what, start, start + WINDOW, Coverage(seconds=seconds))


def by_hour(today: Today, cell: str) -> list[int]:
    return [hour.counts[cell] for hour in today.hours]


def test_a_day_begins_with_nothing_released() -> None:
    today = the_day()

    assert today.counts == dict.fromkeys(CELLS, 0)
    assert len(today.hours) == 24


def test_a_released_cell_is_spread_over_the_time_since_its_last_release() -> None:
    today = window(the_day(), 11, released(young=6, unknown=3, since=START + HOUR))  # of two hours

    assert by_hour(today, "0-34")[:4] == [0, 3, 3, 0]
    assert by_hour(today, UNCLASSIFIED)[:4] == [0, 1, 2, 0]
    assert today.counts == {"0-34": 6, "35+": 0, UNCLASSIFIED: 3}


def test_what_waited_since_yesterday_is_in_today_and_nowhere_else() -> None:
    today = window(the_day(), 7, released(old=4, since=START - 6 * HOUR))

    assert by_hour(today, "35+")[:3] == [2, 2, 0]


def test_numbers_without_since_and_below_zero_are_those_of_their_window() -> None:
    today = window(the_day(), 9, Released({"0-34": -2, "35+": 1}, 0, 1))

    assert by_hour(today, "0-34")[:4] == [0, 0, -2, 0]


def test_counting_that_began_in_the_window_has_the_window() -> None:
    today = window(the_day(), 3, released(young=5, since=START + 4 * WINDOW))

    assert by_hour(today, "0-34")[:2] == [5, 0]


def test_groups_and_other_are_of_the_day_and_of_no_hour() -> None:
    last = Released({"0-34": None, "35+": None}, None, 3, groups={"0-34+35+": 4}, other=5)
    today = window(the_day(), 95, last)

    *hours, whole = today.close_day()

    assert (whole.groups, whole.other) == ({"0-34+35+": 4}, 5)
    assert all((hour.groups, hour.other) == ({}, 0) for hour in hours)
    assert sum(whole.counts.values()) == 0


def test_a_second_other_of_a_day_is_added_to_the_first() -> None:
    """As where a zone is taken out of the configuration in the middle of the day."""
    out = Released({"0-34": None, "35+": None}, None, 3, groups={"0-34+35+": 4}, other=5)

    today = window(window(the_day(), 40, out), 95, out)

    assert (today.groups, today.other) == ({"0-34+35+": 8}, 10)


def test_a_closed_day_is_its_hours_and_itself_with_coverage_and_opening() -> None:
    today = the_day(opening="sat 08:00-20:30")
    today = window(today, 32, released(young=3, since=START + 32 * WINDOW), seconds=800.5)
    today = window(today, 33, released(), seconds=100.0)

    *hours, whole = today.close_day()

    assert [hour.level for hour in hours] == ["hour"] * 24
    assert (hours[0].start, hours[-1].end) == (whole.start, whole.end) == (START, END)
    assert (hours[8].watched, hours[8].counts["0-34"]) == (900.5, 3)
    assert [hour.open_seconds for hour in hours] == [0] * 8 + [3600] * 12 + [1800] + [0] * 3
    assert (whole.level, whole.watched, whole.open_seconds) == ("day", 900.5, 45_000)
    assert whole.counts == {"0-34": 3, "35+": 0, UNCLASSIFIED: 0}


@pytest.mark.parametrize(("day", "number"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_days_on_which_the_clock_changes_have_the_hours_that_they_have(day: date, number: int) -> None:
    assert len(the_day(day).close_day()) == number + 1


def test_a_window_of_another_day_is_refused() -> None:
    today = the_day()

    assert today.holds(END - WINDOW, END)
    assert not today.holds(END, END + WINDOW)
    assert not today.holds(START - WINDOW, START)
    with pytest.raises(ValueError, match="is not in the store's day of 2026-01-31"):
        window(today, 96, released())


def test_a_bracket_that_is_configured_later_is_counted_beside_the_others() -> None:
    today = window(the_day(), 40, Released({"0-17": 4}, None, 3, {"0-17": START + 10 * HOUR}))

    assert today.counts == {"0-34": 0, "35+": 0, UNCLASSIFIED: 0, "0-17": 4}
    assert today.hours[10].counts["0-17"] == 4


def test_the_boxs_own_table_is_the_sum_of_its_cameras() -> None:
    door = window(the_day(), 5, released(young=3, since=START + HOUR))
    till = window(
        the_day(), 95, Released({"0-34": None, "35+": 4}, None, 3, {"35+": END - WINDOW}, {"a": 3}, 6)
    )

    box = add_up([door, till])

    assert box.counts == {"0-34": 3, "35+": 4, UNCLASSIFIED: 0}
    assert (box.groups, box.other, box.views) == ({"a": 3}, 6, 2)
    assert [hour.watched for hour in box.hours if hour.watched] == [900.0, 900.0]
    assert add_up([add_up([door]), add_up([till])]) == box
    assert add_up([door]) == door


def test_days_of_other_hours_are_not_added_up() -> None:
    kolkata = begin_day(DAY, CELLS, StoreTime(ZoneInfo("Asia/Kolkata")), ALWAYS_OPEN)

    for days in ([the_day(), the_day(DAY + timedelta(days=1))], [the_day(), kolkata], []):
        with pytest.raises(ValueError, match="must be the same hours"):
            add_up(days)


visits = st.lists(st.tuples(st.integers(0, 47), st.sampled_from(CELLS), st.integers(1, 4)), max_size=60)


@settings(max_examples=30)
@given(visits, st.integers(2, 5))
def test_two_days_are_the_sums_of_what_the_gate_released_in_them(
    came: list[tuple[int, str, int]], minimum: int
) -> None:
    """With the gate itself, a restart after every release, and what waits over midnight."""
    waiting, days, told = (
        begin(CELLS[:-1], START, minimum),
        [the_day(), the_day(DAY + timedelta(days=1))],
        [0, 0],
    )
    for number in range(48):  # windows of an hour, released every second one
        counts: dict[str, int] = {}
        for at, cell, n in came:
            if at == number:
                counts[cell] = counts.get(cell, 0) + n
        start, day = START + number * HOUR, number // 24
        waiting = add(waiting, counts)
        out = Released({"0-34": None, "35+": None}, None, minimum)
        if number % 2 == 1:
            out, waiting = release(waiting, start + HOUR, day_ends=number % 24 == 23)
            days[day] = Today.model_validate_json(days[day].model_dump_json())
        days[day] = days[day].add(out, start, start + HOUR, Coverage(seconds=3600.0))
        told[day] += (out.total or 0) + sum(out.groups.values()) + (out.other or 0)

    for today, sum_told in zip(days, told, strict=True):
        *hours, whole = today.close_day()
        assert sum(whole.counts.values()) + sum(whole.groups.values()) + whole.other == sum_told
        assert sum(sum(hour.counts.values()) for hour in hours) == sum(whole.counts.values())
        assert all(n >= 0 for hour in hours for n in hour.counts.values())
        assert whole.watched == 86_400.0
