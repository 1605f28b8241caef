"""Polygons as people draw them: what makes one unusable."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

Point = tuple[float, float]


def area(polygon: Sequence[Point]) -> float:
    """The enclosed area of a polygon that does not cross itself (the shoelace formula)."""
    closed = [*polygon, polygon[0]]
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(closed))) / 2


def crosses_itself(polygon: Sequence[Point]) -> bool:
    """Whether two sides that are no neighbours touch, or a corner stands twice."""
    corners = len(polygon)
    sides = [(polygon[n], polygon[(n + 1) % corners]) for n in range(corners)]
    return len(set(polygon)) < corners or any(
        _meet(*sides[one], *sides[other])
        for one, other in combinations(range(corners), 2)
        if other - one not in (1, corners - 1)
    )


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the sides a-b and c-d touch."""
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _within(*end) for turn, end in zip(turns, ends, strict=True))


def _turn(a: Point, b: Point, c: Point) -> float:
    """Above 0 where a, b, c turn one way, below 0 the other, 0 on one straight."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _within(a: Point, b: Point, c: Point) -> bool:
    """Whether c, on the straight through a and b, lies between them."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
