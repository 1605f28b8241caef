"""Days, hours, releases and opening hours follow the store's clock, in every zone and on every night."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store_time import (
    ALWAYS_OPEN,
    QUARTER,
    StoreTime,
    parse_day_starts,
    parse_opening_hours,
    parse_timezone,
)

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)

zones = st.sampled_from(ZONES).map(ZoneInfo)
starts = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
days = st.dates(date(2020, 1, 2), date(2035, 12, 30))
instants = st.datetimes(datetime(2020, 1, 2), datetime(2035, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


def store(zone: str, day_starts: str = "00:00") -> StoreTime:
    return StoreTime(ZoneInfo(zone), parse_day_starts(day_starts))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(time_of: StoreTime, day: date) -> list[float]:
    """How long each hour of the day is, in minutes."""
    return [(end - start) / timedelta(minutes=1) for start, end in time_of.hours_of(day)]


@settings(max_examples=300)
@given(zones, starts, days)
def test_hours_are_a_partition_of_the_day_and_days_of_time(
    zone: ZoneInfo, day_starts: time, day: date
) -> None:
    store_time = StoreTime(zone, day_starts)
    start, end = store_time.day_bounds(day)
    parts = store_time.hours_of(day)

    assert store_time.day_bounds(day + DAY)[0] == end
    assert (parts[0][0], parts[-1][1]) == (start, end)
    assert all(one[1] == other[0] for one, other in pairwise(parts))
    assert all(timedelta(0) < stop - begin <= HOUR for begin, stop in parts)
    assert all((bound - MIDNIGHT) % QUARTER == timedelta(0) for part in parts for bound in part)
    assert {store_time.day_of(start), store_time.day_of(end - timedelta(microseconds=1))} == {day}


@settings(max_examples=300)
@given(zones, starts, instants)
def test_every_instant_is_in_the_day_that_is_named(zone: ZoneInfo, day_starts: time, at: datetime) -> None:
    store_time = StoreTime(zone, day_starts)
    start, end = store_time.day_bounds(store_time.day_of(at))

    assert start <= at < end
    assert store_time.next_day_start(at) == end


@settings(max_examples=300)
@given(zones, starts, days)
def test_a_day_starts_at_the_first_quarter_that_shows_the_time_or_a_later_one(
    zone: ZoneInfo, day_starts: time, day: date
) -> None:
    store_time = StoreTime(zone, day_starts)
    start, wall = store_time.day_bounds(day)[0], datetime.combine(day, day_starts)

    assert store_time.local(start) >= wall
    earlier = [start - n * QUARTER for n in range(1, 13)]
    assert all(store_time.local(at) < wall for at in earlier)


@given(zones, instants, st.sampled_from([60, 300, 900, 1800, 3600, 14_400]))
def test_every_release_is_the_end_of_a_window(zone: ZoneInfo, at: datetime, every: int) -> None:
    store_time = StoreTime(zone)
    quarter = at - (at - MIDNIGHT) % QUARTER
    moments = [quarter + timedelta(seconds=n) for n in range(900)]

    for moment in (m for m in moments if store_time.is_release(m, every)):
        assert (moment - MIDNIGHT) % timedelta(seconds=min(every, 900)) == timedelta(0)


def test_every_zone_is_quarters_of_an_hour_away_from_utc() -> None:
    for name in ZONES:
        zone = ZoneInfo(name)
        for day in range(18_262, 24_106, 7):  # 2020 to 2035, each week
            offset = (MIDNIGHT + day * DAY).astimezone(zone).utcoffset()
            assert offset is not None and offset % QUARTER == timedelta(0), name


def test_a_day_that_a_change_at_one_past_midnight_begins_starts_with_the_next_quarter() -> None:
    casey = store("Antarctica/Casey", "01:00")

    assert casey.day_bounds(date(2020, 10, 4))[0] == utc("2020-10-03 16:15")  # 00:01 became 03:01


@pytest.mark.parametrize(
    ("zone", "day", "number"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 6, 1), 24),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Asia/Beirut", date(2026, 3, 29), 23),  # midnight is skipped
        ("America/Havana", date(2026, 11, 1), 25),  # midnight to one comes twice
        ("Asia/Kathmandu", date(2026, 3, 29), 24),
    ],
)
@pytest.mark.parametrize("day_starts", ["00:00", "05:30", "23:45"])
def test_days_have_23_24_and_25_hours(zone: str, day: date, number: int, day_starts: str) -> None:
    store_time = store(zone, day_starts)
    held = [d for d in (day - DAY, day, day + DAY) if len(store_time.hours_of(d)) != 24]

    assert [len(store_time.hours_of(d)) for d in held] == [number] * (number != 24)
    if day_starts == "00:00" and number != 24:
        assert held == [day]


def test_a_skipped_start_is_the_moment_of_the_change() -> None:
    berlin = store("Europe/Berlin", "02:30")

    assert berlin.day_bounds(date(2026, 3, 29))[0] == utc("2026-03-29 01:00")  # 02:00 became 03:00
    assert hours(berlin, date(2026, 3, 29)) == [30.0] + [60.0] * 23
    assert store("Asia/Beirut").day_bounds(date(2026, 3, 29))[0] == utc("2026-03-28 22:00")


def test_a_repeated_start_is_the_first_of_the_two() -> None:
    berlin = store("Europe/Berlin", "02:30")

    assert berlin.day_bounds(date(2026, 10, 25))[0] == utc("2026-10-25 00:30")
    assert berlin.day_of(utc("2026-10-25 01:15")) == date(2026, 10, 25)  # 02:15 for the second time
    assert len(berlin.hours_of(date(2026, 10, 25))) == 25


def test_half_an_hour_more_and_less_is_a_short_hour_of_its_own() -> None:
    lord_howe = store("Australia/Lord_Howe")

    assert sorted(hours(lord_howe, date(2026, 4, 5))) == [30.0] + [60.0] * 24
    assert sorted(hours(lord_howe, date(2026, 10, 4))) == [30.0] + [60.0] * 23


def test_a_date_that_the_clock_skipped_is_empty() -> None:
    samoa = store("Pacific/Apia")

    assert samoa.hours_of(date(2011, 12, 30)) == []
    assert samoa.day_of(utc("2011-12-30 09:59")) == date(2011, 12, 29)
    assert samoa.day_of(utc("2011-12-30 10:00")) == date(2011, 12, 31)


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("UTC", "2026-01-31 08:30"),
        ("Asia/Kolkata", "2026-01-31 08:00"),  # 13:30
        ("Asia/Kathmandu", "2026-01-31 08:15"),  # 14:00
        ("Pacific/Chatham", "2026-01-31 08:15"),  # 22:00
        ("Australia/Lord_Howe", "2026-01-31 08:00"),  # 19:00
        ("Australia/Lord_Howe", "2026-07-31 08:30"),  # 19:00
    ],
)
def test_releases_are_on_the_full_and_the_half_hour_of_the_wall_clock(zone: str, at: str) -> None:
    store_time, moment = store(zone), utc(at)

    released = [moment + n * timedelta(minutes=5) for n in range(12)]
    assert [m for m in released if store_time.is_release(m, 1800)] == [moment, moment + HOUR / 2]


@pytest.mark.parametrize(
    "value",
    [
        "mon-sat 08:00-20:00, sun 10:00-12:00 14:00-18:00",
        "Sun 10:00-12:00 14:00-18:00,mon-sat 08:00-20:00",
        "mon tue wed-sat 08:00-20:00, sun 10:00-12:00 14:00-18:00",
        {"mon-sat": "08:00-20:00", "sun": "10:00-12:00 14:00-18:00"},
    ],
)
def test_opening_hours_as_an_operator_writes_them(value: str | dict[str, str]) -> None:
    berlin, opening = store("Europe/Berlin"), parse_opening_hours(value)

    assert not berlin.is_open(utc("2026-01-31 06:59"), opening)  # Saturday, 07:59
    assert berlin.is_open(utc("2026-01-31 07:00"), opening)
    assert not berlin.is_open(utc("2026-01-31 19:00"), opening)
    assert not berlin.is_open(utc("2026-02-01 12:00"), opening)  # Sunday, 13:00
    assert berlin.open_seconds(utc("2026-01-31 23:00"), utc("2026-02-01 23:00"), opening) == 6 * 3600


def test_hours_past_midnight_belong_to_the_day_on_which_they_began() -> None:
    bar = parse_opening_hours("sun 18:00-02:00, tue closed")
    utc_store = store("UTC")

    opened = [h for h in range(48) if utc_store.is_open(utc("2026-02-01 00:30") + h * HOUR, bar)]
    assert opened == list(range(18, 26))


def test_ranges_go_round_the_week_and_a_day_without_hours_is_closed() -> None:
    opening = parse_opening_hours("sat-mon 00:00-24:00")

    assert [bool(day) for day in opening.week] == [True, False, False, False, False, True, True]
    assert store("UTC").open_seconds(utc("2026-02-01 00:00"), utc("2026-02-02 00:00"), opening) == 86_400


@given(zones, instants)
def test_a_store_that_never_closes_is_open(zone: ZoneInfo, at: datetime) -> None:
    assert StoreTime(zone).is_open(at, ALWAYS_OPEN)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("", "'' is not days and then times"),
        ("08:00-20:00", "'08:00-20:00' is not days and then times"),
        ("mon-fri", "'mon-fri' is not days and then times"),
        ("mon 08:00-20:00,", "'' is not days and then times"),
        ("08:00-20:00 mon", "is not days and then times"),
        ("monday 08:00-20:00", "'monday' is no day; allowed: mon, tue"),
        ("mon- 08:00-20:00", "'mon-' is no day"),
        ("mon 8-20", "'8-20' is no opening time; allowed: such as 08:00-20:00"),
        ("mon 08:00-08:00", "'08:00-08:00' is no opening time"),
        ("mon 24:00-08:00", "'24:00-08:00' is no opening time"),
        ("mon 08:00-24:30", "'08:00-24:30' is no opening time"),
        ("mon 08:00-20:00 closed", "'closed' is no opening time"),
        ("mon 08:00-12:00 11:00-14:00", "'11:00-14:00' begins before the time ahead of it ends"),
        ("mon 18:00-02:00 03:00-04:00", "'03:00-04:00' begins before the time ahead of it ends"),
        ("mon-fri 08:00-20:00, fri 08:00-21:00", "names fri twice"),
        ({"mon-fri": "08:00-20:00", "fri": "closed"}, "names fri twice"),
    ],
)
def test_opening_hours_that_say_nothing_clear_are_refused(value: str | dict[str, str], wrong: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: ") as refused:
        parse_opening_hours(value)
    assert wrong in str(refused.value)


@given(st.text(alphabet="monfrisat0123456789:-, closed", max_size=40))
def test_opening_hours_are_read_or_refused_in_words(text: str) -> None:
    try:
        assert len(parse_opening_hours(text).week) == 7
    except ValueError as error:
        assert "allowed: " in str(error)


@pytest.mark.parametrize("text", ["00:00", "05:30", "23:45"])
def test_a_day_may_start_on_any_quarter(text: str) -> None:
    assert parse_day_starts(text).isoformat("minutes") == text


@pytest.mark.parametrize(
    "text", ["", "5:30", "05:10", "24:00", "24:15", "25:00", "05:30:00", "noon", "\u0660\u0665:\u0663\u0660"]
)
def test_other_starts_of_the_day_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time on a quarter hour; allowed: '00:00' to '23:45'"):
        parse_day_starts(text)


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Asia/Kathmandu"])
def test_a_time_zone_is_an_iana_name(name: str) -> None:
    assert parse_timezone(name).key == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe",
        "Europe/Berlim",
        "CEST",
        "+02:00",
        "/etc/passwd",
        "../UTC",
        "localtime",
        "right/UTC",
        "a\0b",
    ],
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no time zone; .*allowed: IANA names such as 'Europe/Paris'"):
        parse_timezone(name)


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        parse_timezone("Europe/Berlim")


def test_a_box_without_time_zones_of_its_own_has_those_of_a_package() -> None:
    script = "from edge.store_time import parse_timezone; print(parse_timezone('Asia/Kathmandu').key)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stdout, ran.stderr) == ("Asia/Kathmandu\n", "")
