"""Every query of the boards gives rows from a real Prometheus and PostgreSQL; Grafana itself is not run."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
import yaml

from bench.box import ROOT
from bench.servers import Prometheus
from deploy.grafana.boards import BOARDS, FOLDER, OPERATIONS, VISITORS, board, text_of
from edge.ops.metrics import Metrics
from tests.fakes import ManualClock
from tests.fleet.test_schema import QUARTER, box_status, counts, flow, register, take
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def now() -> datetime:
    """When these tests begin, which is long after they were collected: a query looks back five minutes."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def queries(name: str) -> list[tuple[str, str]]:
    """Title and query of every panel and variable in the file."""
    made = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    found = [
        (one["title"], target.get("expr") or target["rawSql"])
        for one in made["panels"]
        for target in one["targets"]
    ]
    return found + [(one["name"], one["query"]) for one in made["templating"]["list"]]


@pytest.mark.parametrize("of", BOARDS, ids=lambda of: of.name)
def test_the_files_are_those_that_the_program_writes(of: Any) -> None:
    assert (FOLDER / f"{of.name}.json").read_text(encoding="utf-8") == text_of(of), (
        "python -m deploy.grafana.boards"
    )


@pytest.mark.parametrize("of", BOARDS, ids=lambda of: of.name)
def test_panels_do_not_overlap_and_name_a_source_that_is_provisioned(of: Any) -> None:
    text = (ROOT / "deploy/grafana/provisioning/datasources/instore.yml").read_text(encoding="utf-8")
    sources = {(one["type"], one["uid"]) for one in yaml.safe_load(text)["datasources"]}
    covered: set[tuple[int, int]] = set()
    for panel in board(of)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + 8)
        }
        assert not cells & covered and max(x for x, _ in cells) < 24, panel["title"]
        covered |= cells
        assert (panel["datasource"]["type"], panel["datasource"]["uid"]) in sources


def samples(now: datetime) -> Iterator[str]:
    """The series of a daemon over 20 minutes, growing where they count; `till` gives no picture."""
    _, exposition = Metrics(ManualClock(), ["door", "till"]).exposition("")
    series = re.findall(r"(?m)^(\w+)(?:\{(.*)\})? \S+$", exposition.decode())
    series.append(("up", ""))
    for name, labels in series:
        all_labels = ",".join(filter(None, [labels, 'job="instore"', 'instance="box-1"']))
        counter = name.endswith(("_total", "_count", "_sum", "_bucket"))
        for step in range(81):
            value = 10 * step if counter else int('camera="till"' not in labels)
            at = (now - (80 - step) * timedelta(seconds=15)).timestamp()
            yield f"{name}{{{all_labels}}} {value} {at:.0f}"
    yield from (
        f'up{{job="instore",instance="box-2"}} 0 {(now - n * QUARTER / 60).timestamp():.0f}' for n in (1, 0)
    )


@pytest.fixture(scope="module")
def prometheus(now: datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), ROOT / "deploy/prometheus/instore.rules.yml")
    server.put("\n".join(samples(now)))
    with server:
        yield server


def ask(server: Prometheus, query: str) -> list[Any]:
    """The rows of a query at this moment."""
    words = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(
        f"http://127.0.0.1:{server.port}/api/v1/query?{words}", timeout=PATIENCE
    ) as answer:
        rows: list[Any] = json.load(answer)["data"]["result"]
    return rows


@pytest.mark.parametrize("title_and_query", queries("operations"), ids=lambda pair: pair[0])
def test_every_query_of_operations_gives_rows(
    prometheus: Prometheus, title_and_query: tuple[str, str]
) -> None:
    _, query = title_and_query
    query = query.replace("$__rate_interval", "10m").replace("$instance", ".+")
    if found := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
        query = f"group by ({found[2]}) ({found[1]})"
    until = time.monotonic() + PATIENCE
    while not ask(prometheus, query):  # an alert appears with the next evaluation of the rules
        assert time.monotonic() < until, query


@pytest.fixture(scope="module")
def filled(now: datetime, postgresql: Any) -> Iterator[psycopg.Connection]:
    """Two stores of a region: one counts, and one is missing; a message got lost."""
    with psycopg.connect(postgresql.create("boards", template="schema"), autocommit=True) as db:
        register(db, "Europe/Berlin", "00:00")
        register(db, "UTC", "00:00", site="closed")
        start = now - timedelta(hours=now.hour % 6 + 6, minutes=now.minute)
        released = {"65+": (7, start - QUARTER), "unclassified": (5, start)}
        for n in range(3):
            begins = start + n * QUARTER
            take(db, [counts(begins, begins + QUARTER, sequence=n * n + 1, released=released)])
        inside = {"inside": 3, "error": 1.0, "since": "2026-01-01T00:00:00Z"}
        take(db, [{**flow(start), "occupancy": inside}, {**flow(start + QUARTER), "period": "hour"}])
        take(db, [box_status("box", "offline")], topic="instore/store/box/status")
        yield db


@pytest.mark.parametrize("title_and_query", queries("visitors"), ids=lambda pair: pair[0])
def test_every_query_of_visitors_gives_rows(
    filled: psycopg.Connection, now: datetime, title_and_query: tuple[str, str]
) -> None:
    _, query = title_and_query
    query = between(query, now - timedelta(days=7), now)
    assert filled.execute(query).fetchall(), query


def between(query: str, begins: datetime, ends: datetime) -> str:
    """The query as Grafana sends it for this time and all stores."""
    for name, value in (
        ("$__timeFrom()", f"'{begins}'"), ("$__timeTo()", f"'{ends}'"),
        ("${site:sqlstring}", "'store','closed'"), ("${region:sqlstring}", "'north'"),
    ):  # fmt: skip
        query = query.replace(name, value)
    assert "$" not in query
    return query


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Ages", [("65+", 10)]),
        ("Visits by day, store and kind", [(date(2026, 6, 2), "store", "bracket", 10)]),
        ("Visits by region", [("north", 10)]),
        ("Watched, by camera", [("store", "door", 50)]),
    ],
)
def test_days_are_those_of_the_chosen_time_by_the_stores_own_clock(
    db: psycopg.Connection, title: str, expected: list[Any]
) -> None:
    """A day in a store ten hours behind that begins at four: the days around it are not in the sums."""
    store = register(db, "Pacific/Honolulu", "04:00")
    for n, visits in ((1, 7), (2, 10), (3, 8)):
        start, end = store.day_bounds(date(2026, 6, n))
        coverage = {"seconds": 450 if n == 2 else 0, "frames_analysed": 1}
        for at in (start, end - QUARTER):
            released = {"65+": (visits, at)} if at == start else {}
            take(db, [counts(at, at + QUARTER, sequence=n, released=released, coverage=coverage)])
    query = between(dict(queries("visitors"))[title], *store.day_bounds(date(2026, 6, 2)))
    assert db.execute(query).fetchall() == expected


def test_each_board_reads_one_source() -> None:
    assert {one["datasource"]["uid"] for one in board(OPERATIONS)["panels"]} == {"instore-prometheus"}
    assert {one["datasource"]["uid"] for one in board(VISITORS)["panels"]} == {"instore-postgresql"}
