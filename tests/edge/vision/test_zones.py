"""Zones: who is staff, which zone a visit belongs to, and what it adds to the numbers of each zone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench import dwell
from edge.config import CameraSettings
from edge.config.polygons import area, crosses_itself
from edge.config.settings import SMALLEST_AREA
from edge.quantities import part_of, require_bounded
from edge.vision.zones import Stay, Zones
from tests.fakes import EPOCH

SIZE = (1000, 500)
TILL = {"name": "till", "role": "staff", "polygon": [[0, 0], [0.3, 0], [0.3, 1], [0, 1]], "staff_after": 10.0}
DESK = {"name": "desk", "role": "staff", "polygon": [[0.7, 0], [1, 0], [1, 1], [0.7, 1]], "staff_after": 10.0}
MASK = {"name": "screen", "role": "ignore", "polygon": [[0.4, 0], [0.6, 0], [0.6, 1], [0.4, 1]]}


def is_staff(sights: Iterable[tuple[float, float]], *zones: Mapping[str, object], **more: object) -> bool:
    """Whether somebody is staff whose face is at x pixels at each of these (seconds, x)."""
    camera = {"name": "a", "source": "b", "zones": zones or (TILL, DESK, MASK), **more}
    stay = Zones(CameraSettings.model_validate(camera)).begin()
    for seconds, x in sights:
        box = np.array([x - 20, 230, x + 20, 270], np.float32)
        stay.see(box, SIZE, EPOCH + timedelta(seconds=seconds))
    return stay.is_staff


def standing(x: float, begin: float, end: float, step: float = 0.5) -> list[tuple[float, float]]:
    return [(begin + n * step, x) for n in range(round((end - begin) / step))]


@pytest.mark.parametrize(
    ("sights", "staff"),
    [
        ([(0, 100)], True),  # first seen behind the till
        ([(0, 100), (1, 500)], True),
        ([(0, 500), (1, 100), (2, 500)], False),  # passes
        ([(0, 500), *standing(100, 1, 11.5)], False),  # ten seconds
        ([(0, 500), *standing(100, 1, 12)], True),  # and longer
        ([(0, 500), *standing(100, 1, 7), *standing(500, 7, 30), *standing(100, 30, 37)], True),  # twice
        ([(0, 500), *standing(100, 1, 9), *standing(800, 9, 17)], False),  # in two zones
        ([(0, 500), (1, 100), (60, 100)], False),  # not seen in between
        (standing(500, 0, 60), False),  # an ignored zone makes nobody staff
        ([(5, 500), (4, 100), (3, 100)], False),  # the clock was set back
        ([], False),
    ],
)  # fmt: skip
def test_who_is_staff(sights: list[tuple[float, float]], staff: bool) -> None:
    assert is_staff(sights) is staff


def test_without_zones_nobody_is_staff() -> None:
    assert not is_staff(standing(100, 0, 100), MASK)


def test_the_anchor_decides() -> None:
    lower = {**TILL, "polygon": [[0, 0.6], [1, 0.6], [1, 1], [0, 1]]}
    assert not is_staff([(0, 500)], lower)
    assert is_staff([(0, 500)], lower, anchor=2.0)  # 80 px below 250: at 0.66 of the picture


SHELF = {"name": "shelf", "role": "area", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
QUEUE = {"name": "queue", "role": "queue", "polygon": [[0.4, 0], [1, 0], [1, 1], [0.4, 1]]}


def stay(sights: Iterable[tuple[float, float]], *zones: Mapping[str, object]) -> Stay:
    """The stay of somebody whose face is at x pixels at each of these (seconds, x)."""
    camera = {"name": "a", "source": "b", "zones": zones or (SHELF, QUEUE)}
    found = Zones(CameraSettings.model_validate(camera)).begin()
    for seconds, x in sights:
        box = np.array([x - 20, 230, x + 20, 270], np.float32)
        found.see(box, SIZE, EPOCH + timedelta(seconds=seconds))
    return found


@pytest.mark.parametrize(
    ("before", "after", "spent"),
    [
        (standing(800, 0, 3), standing(800, 5, 9), [0, 8.5]),  # a gap of 2.5 s counts, as within one track
        (standing(800, 0, 3), standing(800, 6, 9), [0, 5]),  # one of 3.5 s does not
        (standing(100, 0, 3), standing(800, 5, 9), [2.5, 3.5]),
        ([], standing(800, 5, 9), [0, 3.5]),
    ],
)
def test_a_stay_that_was_a_part_of_another_is_added(
    before: list[tuple[float, float]], after: list[tuple[float, float]], spent: list[float]
) -> None:
    whole = stay(before)
    whole.take(stay(after), EPOCH + timedelta(seconds=after[0][0]))
    assert [one.total_seconds() for one in whole.spent] == spent
    assert (whole.last, whole.inside) == (EPOCH + timedelta(seconds=8.5), frozenset({1}))


@pytest.mark.parametrize(
    ("before", "after", "staff"),
    [
        ([(0, 500)], [(1, 100)], True),  # the part began behind the till
        ([(0, 500), *standing(100, 1, 8)], [(20, 500), *standing(100, 21, 28)], True),  # long enough together
        ([(0, 500), *standing(100, 1, 4)], [(20, 500), *standing(100, 21, 24)], False),
    ],
)
def test_a_stay_with_its_parts_is_that_of_staff(
    before: list[tuple[float, float]], after: list[tuple[float, float]], staff: bool
) -> None:
    whole = stay(before, TILL)
    whole.take(stay(after, TILL), EPOCH + timedelta(seconds=after[0][0]))
    assert whole.is_staff is staff


def cells(found: Stay) -> dict[str, dict[str, int]]:
    """What a stay contributes, by quantity and cell."""
    require_bounded(found.contributions())
    quantities: dict[str, dict[str, int]] = {}
    for one in found.contributions():
        quantities.setdefault(one.quantity, {})[one.cell] = one.amount
    return quantities


class TestOwnZone:
    """A visit belongs to the zone where it was longest."""

    @pytest.mark.parametrize(
        ("sights", "zone"),
        [
            (standing(100, 0, 3), "shelf"),
            ([*standing(100, 0, 3), *standing(800, 3, 9)], "queue"),
            ([*standing(800, 0, 9), *standing(100, 9, 12)], "queue"),
            (standing(450, 0, 5), "shelf"),  # in both for the same time: the first of the configuration
            (
                [*standing(450, 0, 5), (5, 800), (6, 800)],
                "queue",
            ),  # they overlap, and one holds more of the time
            ([(0, 100)], "shelf"),  # one sight
            ([(0, 100), (5, 100), (10, 800), (11, 800)], "queue"),  # not seen in between
            ([], ""),
        ],
    )
    def test_is_the_longest(self, sights: list[tuple[float, float]], zone: str) -> None:
        assert stay(sights).zone == zone

    def test_who_was_in_none_is_in_none(self) -> None:
        assert stay(standing(800, 0, 9), SHELF).zone == ""

    def test_the_order_of_the_configuration_breaks_ties(self) -> None:
        assert stay(standing(450, 0, 5), QUEUE, SHELF).zone == "queue"

    def test_a_staff_zone_is_nobodys_own(self) -> None:
        assert stay([(0, 500), *standing(100, 1, 9)], TILL).zone == ""


class TestContributions:
    def test_of_a_visit_through_both_zones(self) -> None:
        found = cells(stay([*standing(100, 0, 10.5), *standing(800, 10.5, 51)]))
        assert found == {
            "zones": {"shelf": 1, "queue": 1},
            "dwell": {"queue/30": 1},
            "queue": {"queue": 40},
            "waiting": {"queue/30": 1},
        }

    def test_a_graze_is_no_entry_and_still_the_visits_own_zone(self) -> None:
        assert cells(stay([(0, 100), (0.5, 100)])) == {"dwell": {"shelf/0": 1}}

    def test_an_entry_takes_a_second(self) -> None:
        assert cells(stay([(0, 100), (0.5, 100), (1, 100)], SHELF))["zones"] == {"shelf": 1}

    def test_a_visit_adds_five_minutes_to_a_queue_at_most(self) -> None:
        assert cells(stay(standing(800, 0, 900, 1.0)))["queue"] == {"queue": 300}

    def test_a_visit_enters_the_three_zones_where_it_was_longest(self) -> None:
        names = "abcde"
        zones = [
            {"name": name, "role": "area", "polygon": [[x, 0], [x + 0.1, 0], [x + 0.1, 1], [x, 1]]}
            for name, x in zip(names, (0.0, 0.2, 0.4, 0.6, 0.8), strict=True)
        ]
        seconds = {"a": 2, "b": 5, "c": 4, "d": 3, "e": 2}
        sights: list[tuple[float, float]] = []
        for number, name in enumerate(names):
            begin = sights[-1][0] + 0.5 if sights else 0.0
            sights += standing(50 + 200 * number, begin, begin + seconds[name] + 0.5)
        assert cells(stay(sights, *zones))["zones"] == {"b": 1, "c": 1, "d": 1}

    def test_nobody_adds_anything_without_zones(self) -> None:
        assert cells(stay(standing(800, 0, 9), MASK)) == {}


def test_the_time_in_a_zone_is_measured_to_half_a_second() -> None:
    """A part of the scenes of `bench.dwell`, of which docs/measures.md has more."""
    score = dwell.measure(2)
    assert score.entered >= 6
    assert score.median <= 0.5
    assert abs(score.counted - score.entered) <= 1


def places() -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda p: (round(p[0], 3), round(p[1], 3)))


@st.composite
def outlines(draw: st.DrawFn) -> list[tuple[float, float]]:
    """The corners of a polygon that the configuration allows: round a middle, at any distance from it."""
    number = draw(st.integers(3, 7))
    turned = draw(st.floats(0, 6))
    distances = draw(st.lists(st.floats(0.05, 0.5), min_size=number, max_size=number))
    angles = [turned + 2 * math.pi * n / number for n in range(number)]
    corners = [
        (round(0.5 + far * math.cos(angle), 3), round(0.5 + far * math.sin(angle), 3))
        for far, angle in zip(distances, angles, strict=True)
    ]
    assume(not crosses_itself(corners) and area(corners) >= SMALLEST_AREA)
    return corners


class TestGeometry:
    @settings(max_examples=60, deadline=None)
    @given(
        polygons=st.lists(outlines(), min_size=1, max_size=4),
        ways=st.lists(st.tuples(places(), st.floats(0, 4)), max_size=12),
        roi=st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.1, 0.2, 0.9, 0.8)]),
    )
    def test_any_walk_through_any_zones_keeps_the_bounds(
        self, polygons: list[Any], ways: list[tuple[tuple[float, float], float]], roi: tuple[float, ...]
    ) -> None:
        """The noise hides all that it adds; no zone has more time than passed, the own zone the most."""
        zones = [
            {"name": f"{n}", "role": ("area", "queue")[n % 2], "polygon": one}
            for n, one in enumerate(polygons)
        ]
        camera = CameraSettings.model_validate({"name": "a", "source": "b", "zones": zones, "roi": roi})
        found, at = Zones(camera).begin(), EPOCH
        for (x, y), wait in ways:
            at += timedelta(seconds=wait)
            box = np.array([x * 1000 - 20, y * 500 - 20, x * 1000 + 20, y * 500 + 20], np.float32)
            found.see(box, SIZE, at)
        contributions = list(found.contributions())
        require_bounded(contributions)
        assert all(spent <= at - EPOCH for spent in found.spent)
        assert found.zone == "" or found.spent[int(found.zone)] == max(found.spent)
        assert (found.zone == "") == (not found.seen)
        assert {part_of(one.cell) for one in contributions} <= {zone["name"] for zone in zones}

    @settings(max_examples=60, deadline=None)
    @given(polygon=outlines(), place=places())
    def test_a_zone_holds_a_place_by_the_crossings_of_a_ray(
        self, polygon: list[tuple[float, float]], place: tuple[float, float]
    ) -> None:
        """Against a second implementation; a place within half a thousandth of the border is left out."""
        assume(all(_distance(place, a, b) > 0.0005 for a, b in pairwise([*polygon, polygon[0]])))
        zone = {"name": "one", "role": "area", "polygon": polygon}
        zones = Zones(CameraSettings.model_validate({"name": "a", "source": "b", "zones": [zone]}))
        x, y = place[0] * 1000, place[1] * 500
        inside = zones.hold(np.array([x - 20, y - 20, x + 20, y + 20], np.float32), SIZE)
        assert inside == ({0} if _by_ray(place, polygon) else set())


def _by_ray(place: tuple[float, float], polygon: list[tuple[float, float]]) -> bool:
    """Whether a ray to the right crosses the border an odd number of times."""
    x, y = place
    crossed = 0
    for (x1, y1), (x2, y2) in pairwise([*polygon, polygon[0]]):
        if (y1 > y) != (y2 > y):
            crossed += x < x1 + (y - y1) / (y2 - y1) * (x2 - x1)
    return crossed % 2 == 1


def _distance(place: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    p, one, other = np.array(place), np.array(a), np.array(b)
    along = other - one
    share = np.clip((p - one) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(p - one - share * along))
