"""Boxes, stores' brokers, bridges, a central broker that restarts, the consumer and PostgreSQL: all real."""

from __future__ import annotations

from bench import fleet
from bench.servers import PostgreSQL
from tests.patience import PATIENCE


def test_every_window_of_twelve_boxes_is_in_the_database_once(postgresql: PostgreSQL) -> None:
    """`make fleet` does the same with 200."""
    found = fleet.measure(12, windows=4, kills=1, within=PATIENCE, database=postgresql)
    assert found["left"] == 0
    assert found["messages"] >= 3 * 12 * 4
    assert "12 boxes" in fleet.text({"taken_at": "", "commit": "", "cores": 2, "load": 1.0, "runs": [found]})
