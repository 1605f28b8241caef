"""The sizes that `check` asks the broker for are those of the largest messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.config import Settings, load_settings
from edge.ops.reasons import FrameDrop
from edge.quantities import QUANTITIES
from edge.release.correction import Correction
from edge.release.messages import Model
from edge.release.rule import Rule
from edge.release.sizes import largest
from edge.types import Coverage, Passages
from tests.edge.correct.models import table
from tests.gates import BRACKETS, MIDNIGHT, TOPICS, Box, window

MODEL = Model(name="m" * 32, version="v" * 8)
CORNERS = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]
ZONES = [{"name": f"queue-{n}", "role": "queue", "polygon": CORNERS} for n in range(4)]
LINE = {"name": "entrance", "from": [0.1, 0.5], "to": [0.9, 0.5], "entrance": True}
DOOR = {"name": "door", "source": "0", "lines": [LINE], "zones": ZONES}
ON = {"attention": {"enabled": True}, "groups": {"enabled": True}}
MANY = 99_000


def configured(camera: dict[str, Any], **tables: Any) -> Settings:
    base = {"site": "store", "box": "box", "cameras": [camera], "windows": {"brackets": list(BRACKETS)}}
    return load_settings(None, [], {**base, **tables})


def payloads(settings: Settings) -> tuple[list[bytes], bytes]:
    """The rows of a gate that is fed one full window, the last of its day, and the day of the box."""
    (camera,) = settings.cameras
    cells = settings.cells_of(camera) | settings.crossed_cells_of(camera)
    ages = dict.fromkeys((*BRACKETS, "unclassified"), MANY)
    box = Box(Rule.of(settings, MODEL), correction=Correction(MODEL, table(spread=6.0)))
    box.gate.put(
        window(
            MIDNIGHT,
            zones=dict.fromkeys(camera.counted_zones, ages),
            coverage=Coverage(299.999, MANY, dict.fromkeys(FrameDrop, MANY)),
            lines={line.name: Passages(MANY, MANY) for line in camera.lines},
            tallies={name: dict.fromkeys(one, MANY * QUANTITIES[name].most) for name, one in cells.items()},
            last=True,
        )
    )
    return box.store.take(), box.store.retained[TOPICS.box_today]


@pytest.mark.parametrize("privacy", [{}, {"method": "noise"}, {"minimum": 1}])
def test_no_row_of_a_full_gate_is_larger_and_the_largest_is_nearly_as_large(privacy: dict[str, Any]) -> None:
    settings = configured(DOOR, privacy=privacy, **ON)
    rows, _ = payloads(settings)
    largest_row = max(rows, key=len)
    assert json.loads(largest_row)["schema"] == "instore.flow/1"
    assert 0.95 * largest(settings, TOPICS).row <= len(largest_row) <= largest(settings, TOPICS).row


def test_where_ages_are_crossed_a_period_of_a_zone_is_the_largest() -> None:
    privacy = {"method": "noise", "ages_by": ["dwell", "attention"]}
    area = {"name": "shelf", "role": "area", "polygon": CORNERS}
    camera = {"name": "door", "source": "0", "zones": [area]}
    settings = configured(camera, privacy=privacy, attention=ON["attention"])
    largest_row = max(payloads(settings)[0], key=len)
    assert json.loads(largest_row)["schema"] == "instore.periods/1"
    assert 0.9 * largest(settings, TOPICS).row <= len(largest_row) <= largest(settings, TOPICS).row


@pytest.mark.parametrize("privacy", [{}, {"method": "noise", "epsilon": 0.7}])
def test_of_a_camera_that_counts_visits_alone_a_window_by_age_is_the_largest(privacy: dict[str, Any]) -> None:
    settings = configured({"name": "door", "source": "0"}, privacy=privacy)
    largest_row = max(payloads(settings)[0], key=len)
    assert json.loads(largest_row)["schema"] == "instore.counts/2"
    assert len(largest_row) <= largest(settings, TOPICS).row


def test_the_corrected_shares_are_part_of_the_largest_day() -> None:
    """A day of one hour: with 25 of them it is nearly as large as stated."""
    settings = configured({"name": "door", "source": "0"})
    today = json.loads(payloads(settings)[1])
    assert today["corrected"]["shares"]
    today["hours"] *= 25
    size = len(json.dumps(today, separators=(",", ":")))
    assert 0.8 * largest(settings, TOPICS).today <= size <= largest(settings, TOPICS).today
