"""What the box sums over the zones of its cameras."""

from __future__ import annotations

import json
from datetime import timedelta
from math import sqrt
from typing import Any

import pytest

from edge.quantities import DWELL, QUANTITIES, QUEUE, WAITING, ZONES
from edge.release.books.box import BoxBook
from tests.gates import MIDNIGHT, Box, of, rule, window

HOUR = timedelta(hours=1)
OFF = "privacy.minimum=1"
CAMERAS: Any = (
    ("door", {}),
    ("aisle", {}),
    ("till", {"group": "front"}),
    ("above", {"group": "front", "ages": False}),
)


def tallies(**entries: int) -> dict[str, dict[str, int]]:
    """Zones by what entered them; each visit stayed 30 s in its zone. The zone `till` is a queue."""
    parts = {ZONES: entries, DWELL: entries, QUEUE: ["till"], WAITING: ["till"]}
    found = {name: dict.fromkeys(QUANTITIES[name].cells(zones), 0) for name, zones in parts.items()}
    found[ZONES] |= entries
    found[DWELL] |= {f"{zone}/30": number for zone, number in entries.items()}
    return found


def box_hour(by: Any, **counted: Any) -> dict[str, Any]:
    """The box's flow of an hour in which each camera counted these tallies, in one window."""
    box = Box(by)
    for camera in ("door", "aisle", "till", "above"):
        one = window(MIDNIGHT, camera=camera, end=MIDNIGHT + HOUR, tallies=counted.get(camera, {}))
        box.gate.put(one)
    (message,) = of(box.take(), "flow", period="hour", camera=None)
    return message


def test_entries_and_dwell_of_zones_of_one_name_are_added_up() -> None:
    message = box_hour(rule(OFF, cameras=CAMERAS), door=tallies(shelf=2, till=3), aisle=tallies(shelf=5))
    assert {name: zone["entries"] for name, zone in message["zones"].items()} == {"shelf": 7, "till": 3}
    assert message["zones"]["shelf"]["dwell"]["visits"] == [0, 0, 0, 7, 0, 0, 0, 0]
    assert message["quantities"].keys() == {"zones", "dwell"}
    assert message["quantities"]["zones"]["error"] == 0


def test_of_cameras_that_see_the_same_visitors_one_counts() -> None:
    message = box_hour(rule(OFF, cameras=CAMERAS), till=tallies(shelf=4), above=tallies(shelf=4))
    assert message["zones"]["shelf"]["entries"] == 4


def test_queues_are_not_summed() -> None:
    message = box_hour(rule(OFF, cameras=CAMERAS), door=tallies(till=2), aisle=tallies(till=2))
    assert message["zones"]["till"]["queue"] is None


def test_the_error_is_the_root_of_the_sum_of_squares() -> None:
    by = rule(cameras=CAMERAS)
    one, two = (
        box_hour(by, door=tallies(shelf=2), **more)["quantities"]["zones"]
        for more in ({}, {"aisle": tallies(shelf=2)})
    )
    assert one["epsilon"] == two["epsilon"]
    assert two["error"] == pytest.approx(sqrt(2) * one["error"], abs=0.01)


def test_it_is_the_sum_of_what_the_cameras_published() -> None:
    box = Box(rule(cameras=CAMERAS, privacy={"flow_epsilon": 0.5}))
    for camera in ("door", "aisle", "till", "above"):
        box.gate.put(window(MIDNIGHT, camera=camera, end=MIDNIGHT + HOUR, tallies=tallies(shelf=9)))
    flow = of(box.take(), "flow", period="hour")
    (whole,) = (m for m in flow if m["box"])
    parts = [m["zones"]["shelf"] for m in flow if m["camera"] in ("door", "aisle", "till")]
    assert whole["zones"]["shelf"]["entries"] == sum(part["entries"] for part in parts)
    steps = zip(*(part["dwell"]["visits"] for part in parts), strict=True)
    assert whole["zones"]["shelf"]["dwell"]["visits"] == [sum(step) for step in steps]


def test_a_sum_that_waits_survives_a_restart_and_an_older_state_is_read() -> None:
    box = Box(rule(OFF, cameras=CAMERAS))
    box.gate.put(window(MIDNIGHT, camera="door", end=MIDNIGHT + HOUR, tallies=tallies(shelf=2)))
    box.restart()
    for camera in ("aisle", "till"):
        box.gate.put(window(MIDNIGHT, camera=camera, end=MIDNIGHT + HOUR, tallies=tallies(shelf=1)))
    (message,) = of(box.take(), "flow", period="hour", camera=None)
    assert message["zones"]["shelf"]["entries"] == 4
    older = '{"flow": [{"level": "hour", "start": "2026-01-31T00:00:00Z", "end": "2026-01-31T01:00:00Z"}]}'
    assert BoxBook.model_validate_json(older).flow[0].zones == {}


def test_without_zones_a_sum_that_waits_is_one_that_earlier_versions_read() -> None:
    box = Box(rule(OFF, cameras=CAMERAS))
    box.gate.put(window(MIDNIGHT, camera="door", end=MIDNIGHT + HOUR))
    (waits, *_) = json.loads(box.store.state("gate/box")["gate/box"])["flow"]
    assert waits["cameras"] == 1
    assert "zones" not in waits
