"""The boards for Grafana as code: `python -m deploy.grafana.boards` writes the JSON files beside it.

A query uses no macro but `$__timeFrom()`, `$__timeTo()` and `$__rate_interval`, and no variable but those of
its board, so that the test can run it without Grafana (tests/fleet/test_boards.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.files import write_atomically

FOLDER = Path(__file__).parent / "dashboards"
PROMETHEUS = {"type": "prometheus", "uid": "instore-prometheus"}
POSTGRESQL = {"type": "grafana-postgresql-datasource", "uid": "instore-postgresql"}
Json = dict[str, Any]

_BOXES = 'instance=~"$instance"'
_REGIONS = "region IN (${region:sqlstring})"
_STORES = "site IN (${site:sqlstring})"
_TIME = "{} >= $__timeFrom()::timestamptz AND {} < $__timeTo()::timestamptz"
_NEAR = "day BETWEEN $__timeFrom()::timestamptz::date - 1 AND $__timeTo()::timestamptz::date + 1"
"""For the index; the days of a store are those of its own clock."""
_BEGINS = "timezone - day_starts::interval"
_DAYS = (
    f"{_NEAR} AND day BETWEEN ($__timeFrom()::timestamptz AT TIME ZONE {_BEGINS})::date "
    f"AND ($__timeTo()::timestamptz AT TIME ZONE {_BEGINS} - interval '1 microsecond')::date"
)
_STORE_DAYS = "instore.store_days JOIN instore.stores USING (site, region)"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. kind: as Grafana names it. width: of 24 columns. legend: of the series of Prometheus."""

    title: str
    kind: str
    query: str
    width: int = 12
    unit: str = "short"
    legend: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """A list to choose from above the board; label as people read it."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Board:
    """A board over one source of data."""

    name: str
    title: str
    source: Json
    since: str
    variables: Sequence[Variable]
    panels: Sequence[Panel]


OPERATIONS = Board(
    "operations", "InStore: operations", PROMETHEUS, "now-6h",
    [Variable("instance", "Box", 'label_values(up{job="instore"}, instance)')],
    [
        Panel("Boxes that answer", "stat", 'sum(up{job="instore"})', 4),
        Panel("Boxes that do not answer", "stat", 'count(up{job="instore"} == 0) or vector(0)', 4),
        Panel("Cameras with pictures", "stat", f"sum(instore_camera_up{{{_BOXES}}})", 4),
        Panel("Cameras without pictures", "table", f"instore_camera_up{{{_BOXES}}} == 0", 12),
        Panel("Alerts", "table", 'ALERTS{alertstate="firing", alertname=~"Instore.+"}', 24),
        Panel("Frames analysed a second", "timeseries",
              f"sum by (instance) (rate(instore_frames_analysed_total{{{_BOXES}}}[$__rate_interval]))",
              legend="{{instance}}"),
        Panel("Frames dropped, by reason", "timeseries",
              f"sum by (reason) (rate(instore_frames_dropped_total{{{_BOXES}}}[$__rate_interval])) "
              "/ ignoring (reason) group_left "
              f"sum(rate(instore_frames_captured_total{{{_BOXES}}}[$__rate_interval]))",
              unit="percentunit", legend="{{reason}}"),
        Panel("Connected to the broker", "timeseries", f"instore_mqtt_connected{{{_BOXES}}}",
              legend="{{instance}}"),
        Panel("Messages that wait in the outbox", "timeseries", f"instore_outbox_rows{{{_BOXES}}}",
              legend="{{instance}}"),
        Panel("Messages that the outbox dropped", "timeseries",
              f"increase(instore_outbox_dropped_total{{{_BOXES}}}[1h])", legend="{{instance}}"),
        Panel("Time to the broker's acknowledgement, 95 %", "timeseries",
              "histogram_quantile(0.95, sum by (instance, le) (rate(instore_publish_lag_seconds_bucket"
              f"{{{_BOXES}}}[$__rate_interval])))", unit="s", legend="{{instance}}"),
        Panel("Processor", "timeseries", f"rate(process_cpu_seconds_total{{{_BOXES}}}[$__rate_interval])",
              unit="percentunit", legend="{{instance}}", about="Of one core."),
        Panel("Memory", "timeseries", f"process_resident_memory_bytes{{{_BOXES}}}", unit="bytes",
              legend="{{instance}}"),
    ],
)  # fmt: skip

VISITORS = Board(
    "visitors", "InStore: visitors", POSTGRESQL, "now-7d",
    [
        Variable("region", "Region", "SELECT DISTINCT region FROM instore.stores ORDER BY 1"),
        Variable("site", "Store", f"SELECT site FROM instore.stores WHERE {_REGIONS} ORDER BY 1"),
    ],
    [
        Panel("Visits by hour and age", "timeseries",
              'SELECT starts AS "time", cell AS metric, sum(visits)::bigint AS visits FROM instore.visits '
              f"WHERE {_STORES} AND {_NEAR} AND {_TIME.format('starts', 'starts')} "
              "AND kind IN ('bracket', 'unclassified') GROUP BY starts, cell ORDER BY starts", 24,
              about="What was released, spread over its hours. Small counts come later."),
        Panel("Ages", "barchart",
              f"SELECT cell, sum(visits)::bigint AS visits FROM {_STORE_DAYS} WHERE {_STORES} "
              f"AND {_DAYS} AND kind IN ('bracket', 'unclassified') GROUP BY cell ORDER BY cell"),
        Panel("Visits by day, store and kind", "table",
              f"SELECT day, site, kind, sum(visits)::bigint AS visits FROM {_STORE_DAYS} "
              f"WHERE {_STORES} AND {_DAYS} GROUP BY day, site, kind ORDER BY day DESC, site, kind"),
        Panel("Visits by region", "barchart",
              f"SELECT region, sum(visits)::bigint AS visits FROM {_STORE_DAYS} "
              f"WHERE {_REGIONS} AND {_DAYS} GROUP BY region ORDER BY region"),
        Panel("In and out by hour", "timeseries",
              'SELECT starts AS "time", sum(entries)::bigint AS "in", sum(exits)::bigint AS out '
              f"FROM instore.flow WHERE {_STORES} AND box IS NOT NULL AND period = 'hour' "
              f"AND {_TIME.format('starts', 'starts')} GROUP BY starts ORDER BY starts",
              about="With noise: a number may be negative."),
        Panel("In the store", "timeseries",
              'SELECT ends AS "time", site AS metric, inside FROM instore.flow '
              f"WHERE {_STORES} AND box IS NOT NULL AND period = 'window' "
              f"AND {_TIME.format('starts', 'starts')} AND inside IS NOT NULL ORDER BY ends",
              about="From the numbers of the entrance lines, with their noise."),
        Panel("Watched, by camera", "table",
              "SELECT site, camera, 100 * sum(covered_seconds) / nullif(sum(seconds), 0) AS percent "
              "FROM instore.coverage JOIN instore.stores USING (site) "
              f"WHERE {_STORES} AND {_DAYS} GROUP BY site, camera ORDER BY percent",
              unit="percent"),
        Panel("Boxes that are missing", "table",
              f"SELECT site, box, state, reason, last_end FROM instore.missing_boxes WHERE {_STORES} "
              "ORDER BY last_end"),
        Panel("Stores that are missing", "table",
              "SELECT site, region, last_end FROM instore.missing_stores "
              f"WHERE {_REGIONS} ORDER BY last_end"),
        Panel("Messages that never came", "table",
              "SELECT site, what, camera, zone, missing, after, before FROM instore.gaps "
              f"WHERE {_STORES} AND {_TIME.format('before', 'before')} ORDER BY before DESC"),
    ],
)  # fmt: skip

BOARDS = (OPERATIONS, VISITORS)


def board(of: Board) -> Json:
    """The board as Grafana's file has it."""
    return {
        "uid": f"instore-{of.name}",
        "title": of.title,
        "tags": ["instore"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": of.since, "to": "now"},
        "templating": {"list": [_variable(of.source, one) for one in of.variables]},
        "panels": list(_panels(of)),
    }


def _variable(source: Json, of: Variable) -> Json:
    return {
        "type": "query",
        "name": of.name,
        "label": of.label,
        "datasource": source,
        "query": of.query,
        "definition": of.query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels(of: Board) -> Iterator[Json]:
    """In rows from the left, each panel as high as its row."""
    x = y = 0
    for number, panel in enumerate(of.panels, 1):
        if x + panel.width > 24:
            x, y = 0, y + 8
        yield _panel(of.source, number, panel, {"x": x, "y": y, "w": panel.width, "h": 8})
        x += panel.width


def _panel(source: Json, number: int, of: Panel, place: Json) -> Json:
    return {
        "id": number,
        "type": of.kind,
        "title": of.title,
        "description": of.about,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": of.unit}, "overrides": []},
        "targets": [_target(source, of)],
    }


def _target(source: Json, of: Panel) -> Json:
    if source is POSTGRESQL:
        form = "time_series" if of.kind == "timeseries" else "table"
        return {"refId": "A", "datasource": source, "rawQuery": True, "format": form, "rawSql": of.query}
    table = {"format": "table", "instant": True, "range": False} if of.kind != "timeseries" else {}
    return {"refId": "A", "datasource": source, "expr": of.query, "legendFormat": of.legend, **table}


def text_of(of: Board) -> str:
    """The file of a board."""
    return json.dumps(board(of), indent=2) + "\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for one in BOARDS:
        write_atomically(FOLDER / f"{one.name}.json", text_of(one))


if __name__ == "__main__":
    main()
