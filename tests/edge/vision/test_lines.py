"""Lines: a passage is counted once, in its direction, and only where the line is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import walks
from edge.config import CameraSettings
from edge.vision.lines import Lines
from tests.fakes import EPOCH

SIZE = (1000, 500)
FACE = 40.0

Place = tuple[float, float]


def lines(**more: Any) -> Lines:
    """A line across the middle of the picture; "in" is the lower half."""
    line = {"name": "door", "from": [0.2, 0.5], "to": [0.8, 0.5], **more.pop("line", {})}
    return Lines(CameraSettings.model_validate({"name": "a", "source": "b", "lines": [line], **more}))


def crossed(of: Lines, places: Iterable[Place], *, step: float = 0.2) -> list[str]:
    """What a visitor crosses whose face is at these places, `step` seconds apart."""
    path = of.begin()
    for number, (x, y) in enumerate(places):
        box = np.array([x - FACE / 2, y - FACE / 2, x + FACE / 2, y + FACE / 2], np.float32)
        path.see(box, SIZE, EPOCH + timedelta(seconds=step * number))
    return ["in" if crossing.inward else "out" for crossing in path.crossings()]


def way(*stops: Place, steps: int = 10) -> list[Place]:
    """Straight from stop to stop, `steps` steps each."""
    places = [stops[0]]
    for one, other in pairwise(stops):
        for step in range(1, steps + 1):
            share = step / steps
            places.append((one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])))
    return places


ABOVE, BELOW = (500.0, 100.0), (500.0, 400.0)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (way(ABOVE, BELOW), ["in"]),
        (way(BELOW, ABOVE), ["out"]),
        (way(ABOVE, BELOW, steps=2), ["in"]),
        (way(ABOVE, (500, 262)), ["in"]),  # lost a quarter of a face beyond the line
        (way((500, 238), BELOW), ["in"]),  # found a quarter of a face before it
        (way(ABOVE, (500, 246)), ["in"]),  # lost before it, on the way, at 2 faces a second
        (way(ABOVE, (500, 230)), []),  # too far before it
        (way((500, 254), BELOW), ["in"]),  # found beyond it, on the way, at 2 faces a second
        (way((500, 270), BELOW), []),  # too far beyond it
        ([(500, 255), (500, 255), *way((500, 255), BELOW)], []),  # found on it, standing
        ([*way(ABOVE, (500, 255)), (500, 255), (500, 255)], []),  # lost on it, standing
        (way(ABOVE, (500, 400), ABOVE), []),  # a return within five seconds
        (way(ABOVE, BELOW, BELOW, BELOW, BELOW, ABOVE), ["in", "out"]),  # a return after six
        (way((100, 100), (100, 400)), []),  # past the end of the line
        (way(ABOVE, (900, 100), (900, 400), BELOW), []),  # round the end of the line
        (way(BELOW, (900, 400), (900, 100), ABOVE, BELOW), ["in"]),  # round it, and back over the line
        (way(ABOVE, BELOW, (900, 400), (900, 100), ABOVE, BELOW), ["in"]),  # twice in, one visit
        ([ABOVE], []),
        ([], []),
    ],
)  # fmt: skip
def test_passages(places: Sequence[Place], expected: list[str]) -> None:
    assert crossed(lines(), places) == expected


def test_who_jitters_on_the_line_crosses_nothing() -> None:
    rng = np.random.default_rng(1)
    sway = [(500.0, 250.0 + float(y)) for y in rng.normal(0, 0.1 * FACE, 500)]
    assert crossed(lines(), [*way(ABOVE, (500, 245)), *sway, *way((500, 245), ABOVE)]) == []
    assert crossed(lines(), [*way(ABOVE, (500, 245)), *sway, *way((500, 255), BELOW)]) == ["in"]


def test_a_single_leap_is_no_passage_until_it_lasts() -> None:
    leap = [ABOVE, ABOVE, BELOW, ABOVE, ABOVE]
    assert crossed(lines(), leap, step=0.1) == []


def test_a_clock_that_is_set_back_loses_no_passage() -> None:
    path = lines().begin()
    moments = [*range(60, 80), *range(20, 60)]
    there_and_back = [*way(ABOVE, BELOW, steps=19), *way(BELOW, ABOVE, steps=39)]
    for second, (x, y) in zip(moments, there_and_back, strict=True):
        box = np.array([x - FACE / 2, y - FACE / 2, x + FACE / 2, y + FACE / 2], np.float32)
        path.see(box, SIZE, EPOCH + timedelta(seconds=second))
    assert [crossing.inward for crossing in path.crossings()] == [True, False]


def test_the_anchor_lies_below_the_face() -> None:
    near_the_top = way((500, 20), (500, 120))
    assert crossed(lines(), near_the_top) == []
    assert crossed(lines(anchor=4.0), near_the_top) == ["in"]  # 160 px lower: from 180 to 280


def test_fractions_are_of_the_whole_picture_also_where_a_region_is_searched() -> None:
    # The region's pixels: its middle line is at 0.75 of the whole picture, the line at 0.5 is its top.
    half = {"roi": (0.0, 0.5, 1.0, 1.0)}
    assert crossed(lines(**half), way(ABOVE, BELOW)) == []
    at_three_quarters = {"line": {"from": [0.2, 0.75], "to": [0.8, 0.75]}, **half}
    assert crossed(lines(**at_three_quarters), way(ABOVE, BELOW)) == ["in"]


@given(
    st.lists(st.tuples(st.floats(-200, 1200), st.floats(-200, 700)), max_size=30),
    st.sampled_from([0.0, 0.04, 0.2, 3.0, -1.0]),
)
def test_no_way_counts_more_than_once_in_a_direction(places: list[Place], step: float) -> None:
    """Whatever the boxes and times; a reversed line has in and out changed."""
    found = crossed(lines(), places, step=step)
    assert len(set(found)) == len(found) <= 2
    turned = crossed(lines(line={"from": [0.8, 0.5], "to": [0.2, 0.5]}), places, step=step)
    on_it = any(y == 250 for _, y in places)
    assert on_it or turned == ["out" if one == "in" else "in" for one in found]


def test_walks_of_known_truth_are_counted() -> None:
    """A part of the scenes of `bench.walks`, whose whole result is in docs/measures.md."""
    score = walks.measure(15)
    assert score.truth.total() >= 30
    assert score.mean_error <= 0.06
    assert score.within_one >= 0.95
