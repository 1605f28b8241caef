"""Ages crossed with dwell or attention: under noise alone, out of the budget of ages, off by default."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from edge.config import load_settings
from edge.counting.pipeline import counting_plan
from edge.counting.windows import Aggregator
from edge.errors import ConfigurationError
from edge.quantities import AGES, ATTENTION, DWELL, LOOKED, Contribution, cell_of
from edge.release.noise.ledger import Level, epsilon_of_visit
from edge.types import Visit, WindowCounts
from tests.gates import BRACKETS, MIDNIGHT, WINDOW, Box, of, rule, window

SHELF = {"name": "shelf", "role": "area", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
CAMERA = {"name": "door", "source": "0", "zones": [SHELF]}
NOISE = "privacy.method=noise"
BOTH = (NOISE, 'privacy.ages_by=["dwell", "attention"]', "attention.enabled=true")
LOUD = "privacy.epsilon=100.0"
"""All noise is 0 but for one draw in thousands."""
HOUR = timedelta(hours=1)


def settings(*overrides: str, **camera: Any) -> Any:
    base = {"site": "store", "box": "box", "cameras": [{**CAMERA, **camera}]}
    return load_settings(None, overrides, {**base, "windows": {"brackets": list(BRACKETS)}})


def by_settings(*overrides: str) -> Any:
    return rule(*overrides, cameras=(("door", {"zones": [SHELF]}),))


def counted(*overrides: str) -> WindowCounts:
    """A window: of 70 years, 40 s at the shelf, looked 3 s; without an age, 7 s there; of 30, elsewhere."""
    aggregator = Aggregator("store", counting_plan(settings(*overrides)), length=300)
    looked = Contribution(ATTENTION, cell_of(LOOKED, 2))
    dwelt = [Contribution(DWELL, cell_of("shelf", step)) for step in (30, 5)]
    for age, zone, added in ((70.0, "shelf", (dwelt[0], looked)), (None, "shelf", dwelt[1:]), (30.0, "", ())):
        aggregator.count(Visit("door", MIDNIGHT, age, contributions=tuple(added), zone=zone))
    return aggregator.open_windows()[0]


def periods(box: Box, *windows: WindowCounts) -> list[dict[str, Any]]:
    for one in windows:
        box.gate.put(one)
    box.at = windows[-1].end
    return of(box.take(), "periods", camera="door")


def _book(box: Box) -> Any:
    """The zone's book on the disk."""
    return json.loads(box.store.state("gate/camera/")["gate/camera/door"])["zones"]["shelf"]


def later(first: WindowCounts, number: int, **fields: Any) -> WindowCounts:
    start = MIDNIGHT + number * WINDOW
    return window(start, zones={"shelf": {}, "rest": {}}, tallies=first.tallies, **fields)


class TestPublished:
    def test_every_zone_has_its_visits_by_bracket_and_step(self) -> None:
        first = counted(*BOTH)
        messages = periods(Box(by_settings(*BOTH, LOUD)), first, later(first, 1, last=True))
        hour, rest = (m for m in messages if m["period"] == "hour")
        assert (hour["zone"], rest["zone"]) == ("shelf", "rest")
        assert hour["dwell"]["bounds"] == [0, 5, 15, 30, 60, 120, 300, 600]
        assert hour["dwell"]["visits"]["65+"] == [0, 0, 0, 2, 0, 0, 0, 0]
        assert hour["dwell"]["visits"]["unclassified"] == [0, 2, 0, 0, 0, 0, 0, 0]
        assert hour["attention"]["visits"]["65+"] == [0, 0, 2, 0, 0, 0]
        assert list(hour["attention"]["visits"]) == [*BRACKETS, "unclassified"]
        assert "dwell" not in rest  # nobody dwells in the rest
        assert sum(map(sum, rest["attention"]["visits"].values())) == 0

    def test_each_states_its_noise(self) -> None:
        first = counted(*BOTH)
        (hour, *_) = periods(Box(by_settings(*BOTH)), first, later(first, 1, last=True))
        assert (hour["privacy"]["epsilon"], hour["dwell"]["epsilon"]) == (0.25, 0.125)
        assert hour["privacy"]["visit_epsilon"] == 5
        assert 7 < hour["dwell"]["error"] < 8
        assert hour["dwell"]["since"] == "2026-01-31T00:00:00Z"

    def test_they_survive_a_restart_and_are_drawn_once(self) -> None:
        first = counted(*BOTH)
        box = Box(by_settings(*BOTH, LOUD))
        assert periods(box, first) == []
        box.restart()
        hour, *_ = periods(box, later(first, 1, last=True))
        assert hour["dwell"]["visits"]["65+"][3] == 2
        assert periods(box, later(first, 1, last=True)) == []

    def test_nothing_of_it_is_in_the_flow_or_without_being_asked_for(self) -> None:
        crossed, plain = counted(*BOTH), counted(NOISE)
        box = Box(by_settings(NOISE))
        assert not {"dwell", "attention"} & {
            key for m in periods(box, crossed, later(plain, 1, last=True)) for key in m
        }
        assert set(plain.tallies) == {"zones", "dwell"}
        box = Box(by_settings(*BOTH))
        box.gate.put(later(crossed, 0, last=True))
        flow = of(box.take(), "flow", period="day", camera="door")[0]
        assert not {name for name in flow["quantities"] if name.startswith(AGES)}


class TestBudget:
    def test_a_visit_spends_the_same_with_them(self) -> None:
        plain, crossed = by_settings(NOISE), by_settings(*BOTH)
        assert epsilon_of_visit(plain.ages) == epsilon_of_visit(crossed.ages) == Fraction(1)
        assert crossed.ages[Level.HOUR, AGES] == plain.ages[Level.HOUR, AGES] / 2
        assert crossed.ages[Level.WINDOW, AGES] == plain.ages[Level.WINDOW, AGES]

    @pytest.mark.parametrize("after", ["threshold", "noise", "off"])
    def test_what_was_counted_by_age_is_dropped_where_it_is_switched_off(self, after: str) -> None:
        first = counted(*BOTH)
        box = Box(by_settings(*BOTH))
        box.gate.put(first)
        off = {"threshold": (), "noise": (NOISE,), "off": ("privacy.minimum=1",)}[after]
        box.gate.rule = by_settings(*off)
        messages = periods(box, later(first, 1), later(first, 2, last=True))
        assert messages
        assert not {"dwell", "attention"} & {key for message in messages for key in message}

    def test_switched_off_they_leave_the_state_that_earlier_versions_read(self) -> None:
        first = counted(*BOTH)
        box = Box(by_settings(*BOTH))
        box.gate.put(first)
        assert "crossed" in _book(box)
        box.gate.rule = by_settings(NOISE)
        box.gate.put(later(counted(NOISE), 1))
        assert "crossed" not in _book(box)

    def test_switched_on_within_an_hour_they_say_since_when(self) -> None:
        first = counted(*BOTH)
        box = Box(by_settings(NOISE))
        box.gate.put(counted(NOISE))
        box.gate.rule = by_settings(*BOTH)
        hour, *_ = periods(box, later(first, 1, last=True))
        assert hour["dwell"]["since"] == "2026-01-31T00:05:00Z"
        assert hour["figures"]["start"] == "2026-01-31T00:00:00Z"


@pytest.mark.parametrize(
    ("overrides", "camera", "message"),
    [
        (['privacy.ages_by=["dwell"]'], {}, 'ages_by = ["dwell"]: ages are crossed under noise alone'),
        ([NOISE, 'privacy.ages_by=["attention"]'], {}, '"attention" needs attention.enabled = true'),
        ([NOISE, 'privacy.ages_by=["dwell"]'], {"zones": []}, '"dwell" needs a zone with role = "area"'),
        ([NOISE, 'privacy.ages_by=["groups"]'], {}, "privacy.ages_by"),
    ],
)
def test_what_cannot_be_crossed_is_refused(
    overrides: list[str], camera: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings(*overrides, **camera)
    assert message in str(refused.value)
