"""The schema keeps each row once, and its views say what the box's own functions say."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from bench.servers import SCHEMA, PostgreSQL
from edge.commands.export.rows import counts_of_day
from edge.delivery.history import Message
from edge.release.books.spread import over_day
from edge.release.gate import Gate, MemoryStore
from edge.release.messages import rfc3339, window_id
from edge.store_time import StoreTime, parse_day_starts, parse_timezone
from tests.gates import BRACKETS, TOPICS, rule, window

Body = dict[str, Any]
QUARTER = timedelta(minutes=15)
ZONES = (
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "UTC",
)


def take(
    db: psycopg.Connection, bodies: Iterable[Body], topic: str = "instore/store/door/all/counts"
) -> None:
    db.execute(
        "SELECT instore.take(%s)", [json.dumps([{"topic": topic, "payload": body} for body in bodies])]
    )


def rows(db: psycopg.Connection, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    return db.execute(query, parameters).fetchall()


def utc(moment: datetime) -> str:
    return rfc3339(moment.astimezone(UTC))


def counts(start: datetime, end: datetime, **fields: Any) -> Body:
    """A counts message; released: by cell, its visits and since when."""
    site, camera, zone = fields.pop("site", "store"), fields.pop("camera", "door"), fields.pop("zone", "all")
    released: dict[str, tuple[int, datetime]] = fields.pop("released", {})
    bracket_counts = {bracket: released[bracket][0] if bracket in released else None for bracket in BRACKETS}
    return {
        "schema": "instore.counts/2",
        "window_id": window_id(site, camera, zone, start, end),
        "sequence": 1, "site": site, "camera": camera, "zone": zone,
        "start": rfc3339(start), "end": rfc3339(end), "seconds": (end - start).total_seconds(),
        "counts": bracket_counts,
        "unclassified": released["unclassified"][0] if "unclassified" in released else None,
        "since": {cell: rfc3339(since) for cell, (_, since) in released.items()},
        "groups": {}, "other": None,
        "released": sum(n for n, _ in released.values()) if released else None,
        "coverage": {"seconds": 300, "frames_analysed": 1, "frames_dropped": {}},
        "model": {"name": "painted", "version": "1"},
        "privacy": {"method": "threshold", "minimum": 5, "release_every": 1800, "epsilon": None,
                    "visit_epsilon": None},
        **fields,
    }  # fmt: skip


def register(db: psycopg.Connection, zone: str, day_starts: str, site: str = "store") -> StoreTime:
    db.execute(
        "INSERT INTO instore.stores (site, region, timezone, day_starts) VALUES (%s, 'north', %s, %s)",
        (site, zone, day_starts),
    )
    return StoreTime(parse_timezone(zone), parse_day_starts(day_starts))


def test_the_schema_may_be_applied_again_and_keeps_what_is_stored(
    postgresql: PostgreSQL, database: str, db: psycopg.Connection
) -> None:
    register(db, "Europe/Berlin", "00:00")
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    take(db, [counts(start, start + QUARTER, released={BRACKETS[0]: (7, start)})])
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    postgresql.run_sql("-f", str(SCHEMA), database=str(name))
    assert rows(db, "SELECT site, timezone FROM instore.stores") == [("store", "Europe/Berlin")]
    assert len(rows(db, "SELECT 1 FROM instore.counts")) == 1


def test_days_and_hours_are_those_of_the_boxes(db: psycopg.Connection) -> None:
    """Around every change of the clock of these zones, with days that start at odd times."""
    rng = random.Random(3)
    changes = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 4), date(2026, 10, 25),
               date(2026, 11, 1), date(2026, 6, 1)]  # fmt: skip
    for zone in ZONES:
        for begins in ("00:00", "02:30", rng.choice(("01:15", "03:00", "22:45"))):
            time = StoreTime(parse_timezone(zone), parse_day_starts(begins))
            for day in (change + timedelta(days=n) for change in changes for n in (-1, 0)):
                found = rows(db, "SELECT starts, ends FROM instore.hours_of(%s, %s, %s)", (day, zone, begins))
                assert found == time.hours_of(day), (zone, begins, day)


def random_day(rng: random.Random, day: date, time: StoreTime, topic: tuple[str, str]) -> Iterator[Body]:
    """Windows with released numbers of any span, which may begin before the day or after the window."""
    start, end = time.day_bounds(day)
    at = start + rng.randrange(0, 12) * QUARTER
    sequence = 0
    while at < end:
        until = at + QUARTER
        released = {
            cell: (rng.choice((5, 6, 7, 11, 13, 200)), until - rng.randrange(-3, 60) * timedelta(minutes=5))
            for cell in (*BRACKETS, "unclassified")
            if rng.random() < 0.1
        }
        last = until >= end
        sequence += 1
        yield counts(
            at, until, camera=topic[0], zone=topic[1], released=released, sequence=sequence,
            groups={"0-64": rng.randrange(5, 50)} if last else {},
            other=rng.randrange(5, 50) if last else None,
        )  # fmt: skip
        at = until


@pytest.mark.parametrize(
    ("zone", "begins"),
    [("Europe/Berlin", "00:00"), ("America/St_Johns", "03:30"), ("Australia/Lord_Howe", "02:15")],
)
def test_spans_are_spread_over_their_hours_as_the_export_does(
    db: psycopg.Connection, zone: str, begins: str
) -> None:
    rng, time = random.Random(zone), register(db, zone, begins)
    expected: Counter[tuple[object, ...]] = Counter()
    for day in (date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 25), date(2026, 11, 1)):
        places = (("door", "all"), ("till", "queue"))
        bodies = [body for place in places for body in random_day(rng, day, time, place)]
        messages = [Message(f"{body['camera']}/{body['zone']}", body) for body in bodies]
        for row in counts_of_day(messages, day, time):
            place = tuple(row[name] for name in ("camera", "zone", "day", "start", "end", "kind", "cell"))
            expected[place] += row["visits"]
        rng.shuffle(bodies)
        take(db, bodies)
    query = "SELECT camera, zone, day, starts, ends, kind, cell, visits FROM instore.zone_hours"
    found = {
        (*place, day.isoformat(), utc(starts), utc(ends), kind, cell): n
        for *place, day, starts, ends, kind, cell, n in rows(db, query)
    }
    assert len(expected) > 500
    assert found == dict(expected)


def test_one_number_is_spread_as_the_one_function_says(db: psycopg.Connection) -> None:
    """Any number, also negative as noise makes it, over any span of a day."""
    rng, time = random.Random(9), register(db, "Europe/Berlin", "00:00")
    day = date(2026, 6, 1)
    start, _ = time.day_bounds(day)
    bodies, expected = [], {}
    for number in range(300):
        until = start + rng.randrange(1, 24 * 60) * timedelta(minutes=1)
        since = until - rng.randrange(-100, 30 * 60) * timedelta(minutes=1)
        visits = rng.randrange(-50, 200)
        camera = f"camera-{number}"
        bodies.append(counts(start, start + QUARTER, camera=camera))
        body = counts(until - timedelta(minutes=1), until, camera=camera, released={"65+": (visits, since)})
        bodies.append(body)
        parts = over_day(visits, since, until, time.hours_of(day))
        expected[body["window_id"]] = [part for part in parts if part is not None]
    take(db, bodies)
    found: dict[str, list[int]] = {}
    for name, visits in rows(db, "SELECT window_id::text, visits FROM instore.visits ORDER BY starts"):
        found.setdefault(name, []).append(visits)
    assert found == expected


def released_by_a_gate(days: int) -> list[Body]:
    """All that a real gate let out at two cameras around a change of the clock."""
    store = MemoryStore()
    by = rule(
        cameras=(("door", {}), ("till", {"zone": "queue"})),
        windows={"length": 900, "brackets": list(BRACKETS)},
        site={"name": "store", "timezone": "Europe/Berlin"},
    )
    gate, rng = Gate(store, by, TOPICS, random.Random(1).randrange), random.Random(5)
    at = datetime(2026, 3, 28, 5, 15, tzinfo=UTC)
    while at < datetime(2026, 3, 28, 22, tzinfo=UTC) + timedelta(days=days):
        for camera, zone in (("door", "all"), ("till", "queue")):
            cells = {cell: rng.choice((0, 0, 1, 2)) for cell in (*BRACKETS, "unclassified")}
            gate.put(window(at, cells, camera=camera, zone=zone, end=at + QUARTER))
        at += QUARTER
    return [json.loads(payload) for payload in store.take()]


def test_hours_and_days_are_those_that_the_boxes_publish(db: psycopg.Connection) -> None:
    """From the counts alone, with the time zone that the periods' messages name."""
    bodies = released_by_a_gate(2)
    for first in range(0, len(bodies), 40):
        take(db, bodies[first : first + 40])
    of_boxes = rows(
        db,
        "SELECT day, starts, camera, zone, kind, cell, visits FROM instore.period_visits "
        "WHERE period = 'hour' AND camera IS NOT NULL ORDER BY 1, 2, 3, 4, 5, 6",
    )
    ours = rows(
        db,
        "SELECT day, starts, camera, zone, kind, cell, visits FROM instore.zone_hours h "
        "WHERE day IN (SELECT day FROM instore.periods WHERE period = 'day') ORDER BY 1, 2, 3, 4, 5, 6",
    )
    assert len(of_boxes) > 200
    assert ours == of_boxes
    days = "SELECT day, kind, cell, visits FROM {} ORDER BY 1, 2, 3"
    assert rows(db, days.format("instore.period_visits WHERE period = 'day' AND box IS NOT NULL")) == rows(
        db,
        days.format("instore.store_days WHERE day IN (SELECT day FROM instore.periods WHERE period = 'day')"),
    )


def test_a_row_that_comes_again_is_there_once_with_its_last_numbers(db: psycopg.Connection) -> None:
    register(db, "UTC", "00:00")
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    first = counts(start, start + QUARTER, released={"65+": (5, start), "0-17": (6, start)})
    again = counts(start, start + QUARTER, released={"65+": (9, start)}, sequence=2)
    take(db, [first, again])
    take(db, [again])
    assert rows(db, "SELECT sequence, released FROM instore.counts") == [(2, 9)]
    assert rows(db, "SELECT cell, visits FROM instore.cells") == [("65+", 9)]


def test_a_time_zone_that_turns_out_later_moves_the_windows_to_their_days(db: psycopg.Connection) -> None:
    start = datetime(2026, 6, 1, 2, tzinfo=UTC)
    take(db, [counts(start, start + QUARTER, released={"65+": (5, start)})])
    assert rows(db, "SELECT day FROM instore.store_days") == [(date(2026, 6, 1),)]
    db.execute("UPDATE instore.stores SET timezone = 'America/New_York', region = 'north'")
    assert rows(db, "SELECT region, day, visits FROM instore.region_days") == [
        ("north", date(2026, 5, 31), 5)
    ]
    local = rows(db, "SELECT local_hour, visits, stores FROM instore.region_hours")
    assert local == [(datetime(2026, 5, 31, 22), 5, 1)]  # noqa: DTZ001 - the store's clock


def test_gaps_name_the_messages_that_never_came(db: psycopg.Connection) -> None:
    register(db, "UTC", "00:00")
    start = datetime(2026, 6, 1, tzinfo=UTC)
    take(db, [counts(start + n * QUARTER, start + (n + 1) * QUARTER, sequence=n) for n in (1, 2, 5, 6)])
    gaps = "SELECT what, camera, missing, after_sequence, after, before FROM instore.gaps"
    assert rows(db, gaps) == [("counts", "door", 2, 2, start + 3 * QUARTER, start + 5 * QUARTER)]


def test_gaps_are_found_after_a_box_counts_from_one_again(db: psycopg.Connection) -> None:
    """Its lost state is no gap."""
    register(db, "UTC", "00:00")
    start = datetime(2026, 6, 1, tzinfo=UTC)
    for n, sequence in enumerate((1, 2, 3, 4, 5, 1, 2, 5)):
        take(db, [counts(start + n * QUARTER, start + (n + 1) * QUARTER, sequence=sequence)])
    gaps = "SELECT missing, after_sequence, after FROM instore.gaps"
    assert rows(db, gaps) == [(2, 2, start + 7 * QUARTER)]


@pytest.mark.parametrize("absurd", [10**9, -(10**9), 2**63 - 1])
def test_a_number_that_no_store_can_have_is_refused(db: psycopg.Connection, absurd: int) -> None:
    """It would break the sums of every board."""
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    lines = {"door": {"in": absurd, "out": 0, "entrance": True}}
    coverage = {"seconds": 1e308, "frames_analysed": 1}
    for body in (
        counts(start, start + QUARTER, released={"65+": (absurd, start)}),
        counts(start, start + QUARTER, coverage=coverage), counts(start, start + QUARTER, sequence=2**63 - 1),
        flow(start) | {"visits": absurd}, flow(start) | {"entries": absurd}, flow(start) | {"lines": lines},
        flow(start) | {"occupancy": {"inside": absurd}}, periods(start, {"65+": absurd}),
    ):  # fmt: skip
        with pytest.raises((psycopg.IntegrityError, psycopg.DataError)):
            take(db, [body])
    take(db, [counts(start, start + QUARTER, released={"65+": (10**9 - 1, start)})])
    assert rows(db, "SELECT visits FROM instore.region_hours") == [(10**9 - 1,)]


def flow(end: datetime, **fields: Any) -> Body:
    """A window of a box's flow."""
    names = {"site": "store", "box": "box", "camera": None, **fields}
    return {
        "schema": "instore.flow/1", "window_id": window_id(*map(str, names.values()), end), "sequence": 1,
        **names, "period": "window", "start": rfc3339(end - QUARTER), "end": rfc3339(end), "visits": 3,
        "entries": 2, "exits": 1, "lines": {}, "coverage": {"seconds": 300},
    }  # fmt: skip


def periods(start: datetime, numbers: dict[str, int]) -> Body:
    """An hour of a box, cut short."""
    figures = {"start": rfc3339(start), "end": rfc3339(start + QUARTER), "counts": numbers}
    return {
        "schema": "instore.periods/1", "window_id": window_id("an hour"), "site": "store", "box": "box",
        "sequence": 1, "period": "hour", "day": "2026-06-01", "timezone": "UTC", "figures": figures,
    }  # fmt: skip


def box_status(box: str, state: str) -> Body:
    return {"schema": "instore.box/1", "site": "store", "box": box, "state": state, "since": None,
            "reason": "lost", "version": "1", "model": None}  # fmt: skip


def test_a_row_of_another_site_is_refused(db: psycopg.Connection) -> None:
    """The consumer keeps the message apart."""
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    for body in (
        counts(start, start + QUARTER),
        flow(start),
        periods(start, {}),
        box_status("box", "online"),
    ):
        take(db, [body, body])
        with pytest.raises(psycopg.IntegrityError, match="its row is of site store"):
            take(db, [{**body, "site": "attacker"}])


def test_boxes_and_stores_that_are_missing_are_named(db: psycopg.Connection) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    register(db, "UTC", "00:00", site="never-heard")
    for box, state, age in (("good", "online", 5), ("silent", "online", 50), ("gone", "offline", 5)):
        take(db, [box_status(box, state)], topic=f"instore/store/{box}/status")
        take(db, [flow(now - age * timedelta(minutes=1), box=box)])
    missing = "SELECT box, state, silent > interval '30 minutes' FROM instore.missing_boxes ORDER BY 1"
    assert rows(db, missing) == [("gone", "offline", False), ("silent", "online", True)]
    assert rows(db, "SELECT site FROM instore.missing_stores") == [("never-heard",)]


def test_a_camera_whose_status_is_cleared_is_gone(db: psycopg.Connection) -> None:
    camera = {"schema": "instore.camera/1", "site": "store", "camera": "door", "state": "up",
              "since": "2026-06-01T00:00:00Z", "reason": ""}  # fmt: skip
    topic = "instore/store/door/status"
    take(db, [camera, {**camera, "state": "down"}], topic)
    assert rows(db, "SELECT camera, state FROM instore.status") == [("door", "down")]
    db.execute("SELECT instore.take(%s)", [json.dumps([{"topic": topic, "payload": None}])])
    assert rows(db, "SELECT 1 FROM instore.status") == []


def test_what_is_older_than_the_retention_goes(db: psycopg.Connection) -> None:
    now = datetime.now(UTC).replace(microsecond=0, second=0, minute=0)
    for age in (1, 401):
        end = now - timedelta(days=age)
        take(db, [counts(end - QUARTER, end, released={"65+": (5, end - QUARTER)}), flow(end)])
    deleted = rows(db, "SELECT * FROM instore.forget('400 days')")
    assert deleted == [("counts", 1), ("cells", 1), ("periods", 0), ("flow", 1), ("refused", 0)]
    assert rows(db, "SELECT sum(visits) FROM instore.store_days") == [(5,)]
