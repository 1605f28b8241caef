"""The exported table holds what the messages hold, spread over hours as the messages of the day are."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from edge.cli import main
from edge.commands.export.command import exported
from edge.commands.export.rows import COUNTS, FLOW, PERIODS, counts_of_day, rows_of_flow, rows_of_period
from edge.config import load_settings
from edge.delivery.history import FILE, History, Message, Reader, Recorder
from edge.delivery.outbox import Outbox
from edge.release.gate import Gate
from edge.store_time import StoreTime, parse_day_starts, parse_timezone
from tests.fakes import ManualClock
from tests.gates import BRACKETS, MIDNIGHT, TOPICS, WINDOW, rule, window

SETTINGS = load_settings(
    None, instead={"site": "store", "box": "box", "cameras": [{"name": "door", "source": "0"}]}
)
DAYS = 2
PLACE = ("camera", "zone", "start", "end", "kind", "cell")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state of a box that counted for two days from 06:20 on, at two cameras."""
    folder = tmp_path_factory.mktemp("state")
    clock = ManualClock(MIDNIGHT)
    outbox = Outbox(folder / "outbox.db", 100_000, 1 << 30, clock, sync=False)
    history = History(folder / FILE, 4000, 1 << 30, clock)
    history._db.execute("PRAGMA synchronous = OFF")
    recorder = Recorder(outbox, history)
    by = rule(
        cameras=(("door", {}), ("till", {"zone": "queue"})),
        windows={"length": 900, "brackets": list(BRACKETS)},
    )
    gate, rng = Gate(recorder, by, TOPICS, random.Random(1).randrange), random.Random(5)
    at = MIDNIGHT + timedelta(hours=6, minutes=15)
    while at < MIDNIGHT + timedelta(days=DAYS):
        for camera, zone in (("door", "all"), ("till", "queue")):
            counts = {cell: rng.choice((0, 0, 1, 2)) for cell in (*BRACKETS, "unclassified")}
            gate.put(window(at, counts, camera=camera, zone=zone, end=at + 3 * WINDOW))
        at += 3 * WINDOW
    history.close()
    outbox.close()
    yield folder


@pytest.fixture
def reader(folder: Path) -> Reader:
    return Reader(folder / FILE)


def test_counts_by_hour_are_those_of_the_periods(reader: Reader) -> None:
    """One function spreads both, so a sum over the export agrees with what a subscriber adds up."""
    hours: Counter[tuple[object, ...]] = Counter()
    for row in exported(reader, SETTINGS, "counts"):
        hours[tuple(row[name] for name in PLACE)] += row["visits"]
    expected = {
        tuple(row[name] for name in PLACE): row["visits"]
        for row in exported(reader, SETTINGS, "periods")
        if row["period"] == "hour" and row["camera"]
    }
    assert len(expected) > 200
    assert dict(hours) == expected


def test_every_released_visit_is_in_the_export_once(reader: Reader) -> None:
    counts = list(reader.messages("counts", MIDNIGHT, MIDNIGHT + timedelta(days=9)))
    told = sum(
        (m.body["released"] or 0) + sum(m.body["groups"].values()) + (m.body["other"] or 0) for m in counts
    )
    assert sum(row["visits"] for row in exported(reader, SETTINGS, "counts")) == told > 100


@pytest.mark.parametrize(("what", "columns"), [("counts", COUNTS), ("periods", PERIODS), ("flow", FLOW)])
def test_every_row_has_every_column(reader: Reader, what: str, columns: tuple[str, ...]) -> None:
    rows = list(exported(reader, SETTINGS, what))
    assert rows
    assert {tuple(row) for row in rows} == {columns}


def test_days_and_cameras_select_rows(reader: Reader) -> None:
    day = date(2026, 2, 1)
    rows = list(exported(reader, SETTINGS, "periods", first=day, last=day, cameras=["till"]))
    assert {(row["day"], row["camera"], row["zone"]) for row in rows} == {("2026-02-01", "till", "queue")}
    assert list(exported(reader, SETTINGS, "counts", first=date(2030, 1, 1))) == []


def test_the_sums_of_the_box_are_there_unless_a_camera_is_named(reader: Reader) -> None:
    assert "box" in {row["box"] for row in exported(reader, SETTINGS, "flow")}
    assert {row["box"] for row in exported(reader, SETTINGS, "flow", cameras=["door"])} == {None}


def test_local_times_follow_the_stores_clock(reader: Reader) -> None:
    site = {"name": "store", "timezone": "Europe/Paris"}
    settings = load_settings(None, instead={"site": site, "cameras": [{"name": "door", "source": "0"}]})
    row = next(exported(reader, settings, "flow"))
    assert (row["start"], row["local_start"]) == ("2026-01-31T06:15:00Z", "2026-01-31T07:15:00+01:00")


def test_every_number_of_a_flow_is_a_row_named_by_its_place() -> None:
    body = {
        "schema": "instore.flow/1", "window_id": "x", "sequence": 3, "site": "store", "camera": "door",
        "period": "hour", "start": "2026-01-31T08:00:00Z", "end": "2026-01-31T09:00:00Z", "seconds": 3600,
        "visits": -1, "entries": None, "lines_epsilon": 0.5,
        "lines": {"main": {"in": 4, "out": None, "entrance": True}},
        "zones": {"till": {"entries": 7, "dwell": {"bounds": [0, 30], "visits": [2, 1]},
                           "queue": {"person_seconds": 90, "mean_length": 0.4, "error": 0.1}}},
        "attention": {"min_seconds": 2, "watchers": 5, "time": {"bounds": [0, 2], "visits": [9, 5]}},
        "groups": {"sizes": [1, 2], "groups": [8, 3], "several": 3, "error": 2.0},
        "quantities": {"dwell": {"epsilon": 0.1, "error": 9.0, "since": "2026-01-31T08:00:00Z"}},
        "coverage": {"seconds": 3000, "frames_analysed": 5}, "privacy": {"epsilon": 2.0, "minimum": 5},
    }  # fmt: skip
    time = StoreTime(parse_timezone("UTC"), parse_day_starts("00:00"))
    rows = rows_of_flow(Message("instore/store/door/flow", body), time)
    assert {row["figure"]: row["value"] for row in rows} == {
        "visits": -1,
        "lines.main.in": 4,
        "zones.till.entries": 7,
        "zones.till.dwell.0": 2,
        "zones.till.dwell.30": 1,
        "zones.till.queue.person_seconds": 90,
        "zones.till.queue.mean_length": 0.4,
        "attention.watchers": 5,
        "attention.time.0": 9,
        "attention.time.2": 5,
        "groups.several": 3,
        "groups.1": 8,
        "groups.2": 3,
    }


def test_what_is_published_by_age_as_well_has_rows_with_an_epsilon_of_its_own() -> None:
    start, end = "2026-01-31T08:00:00Z", "2026-01-31T09:00:00Z"
    body = {
        "site": "store", "camera": "door", "zone": "till", "period": "hour", "day": "2026-01-31",
        "figures": {"start": start, "end": end, "counts": {"65+": 7}, "unclassified": 0, "groups": {},
                    "other": None, "covered_seconds": 3600, "open_seconds": 3600},
        "dwell": {"bounds": [0, 30], "visits": {"65+": [2, -1]}, "epsilon": 0.125, "error": 8.0},
        "privacy": {"method": "noise", "minimum": 1, "epsilon": 0.25},
    }  # fmt: skip
    time = StoreTime(parse_timezone("UTC"), parse_day_starts("00:00"))
    rows = list(rows_of_period(Message("instore/store/door/till/periods", body), time))
    assert [(row["kind"], row["cell"], row["visits"], row["epsilon"]) for row in rows] == [
        ("bracket", "65+", 7, 0.25),
        ("unclassified", "unclassified", 0, 0.25),
        ("dwell", "65+/0", 2, 0.125),
        ("dwell", "65+/30", -1, 0.125),
    ]


def command(folder: Path, *words: str) -> list[str]:
    """The words of a command line on this state."""
    config = folder / "config.toml"
    config.write_text('site = "store"\n[[cameras]]\nname = "door"\nsource = "0"\n')
    return ["export", "--config", str(config), "--set", f"outbox.directory={folder}", *words]


def test_it_prints_csv(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "--what", "periods", "--from", "2026-02-01")) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["day"] for row in rows} == {"2026-02-01"}
    assert {row["camera"] for row in rows} == {"door", "till", ""}


def test_it_prints_json_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "--json")) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert tuple(rows[0]) == COUNTS


def test_without_a_history_it_says_which_key_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path)) == 2
    assert (
        "history.db: does not exist; the daemon writes it unless history.days = 0" in capsys.readouterr().err
    )


def test_what_is_no_day_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(command(folder, "--from", "yesterday"))
    assert "'yesterday' is not a day; an example is 2026-01-31" in capsys.readouterr().err


def test_days_in_the_wrong_order_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(folder, "--from", "2026-02-02", "--to", "2026-02-01")) == 2
    said = capsys.readouterr()
    assert (said.out, "--from 2026-02-02: is after --to 2026-02-01" in said.err) == ("", True)


def test_a_camera_that_there_never_was_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(command(folder, "--camera", "till", "--camera", "dor")) == 0
    )  # till is not configured any more
    said = capsys.readouterr()
    assert len(said.out.splitlines()) > 1
    assert "--camera dor: no camera has this name" in said.err
    assert "--camera till" not in said.err


def test_covered_seconds_are_told_to_the_millisecond(reader: Reader) -> None:
    messages = list(reader.messages("counts", MIDNIGHT, MIDNIGHT + timedelta(days=1)))
    for message in messages:
        message.body["coverage"]["seconds"] = 0.1
    rows = counts_of_day(messages, MIDNIGHT.date(), SETTINGS.site.time)
    assert {row["covered_seconds"] for row in rows} <= {round(n / 10, 1) for n in range(13)}
