"""Polygons: the shoelace area, and every way of crossing oneself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.polygons import Point, area, crosses_itself

SQUARE = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]


@pytest.mark.parametrize(
    ("polygon", "crosses"),
    [
        (SQUARE, False),
        (SQUARE[::-1], False),
        ([(0.0, 0.0), (0.5, 0.5), (0.5, 0.0), (0.0, 0.5)], True),  # a bow tie
        ([(0.0, 0.0), (1.0, 0.0), (0.5, 0.0), (0.5, 1.0)], True),  # a side lies on another
        ([*SQUARE, (0.0, 0.0)], True),  # closed twice
        ([(0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0), (0.5, 0.5)], True),  # at a corner
        ([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.2), (0.0, 1.0)], False),  # hollow, but in order
    ],
)  # fmt: skip
def test_crossing(polygon: list[Point], crosses: bool) -> None:
    assert crosses_itself(polygon) is crosses


def test_area() -> None:
    assert area(SQUARE) == area(SQUARE[::-1]) == 0.25


@given(st.lists(st.floats(0.05, 0.5), min_size=3, max_size=12), st.data())
def test_corners_in_order_round_a_point_never_cross_until_two_that_are_apart_change_places(
    radii: list[float], data: st.DataObject
) -> None:
    """A star seen whole from its middle; with two of its corners exchanged, sides cross."""
    corners = len(radii)
    angles = [2 * math.pi * n / corners for n in range(corners)]
    star = [(0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    assert not crosses_itself(star)
    assert area(star) > 0
    if corners >= 4:
        ring = [(0.5 + 0.4 * math.cos(a), 0.5 + 0.4 * math.sin(a)) for a in angles]
        one = data.draw(st.integers(0, corners - 2))
        ring[one], ring[one + 1] = ring[one + 1], ring[one]
        assert crosses_itself(ring)
