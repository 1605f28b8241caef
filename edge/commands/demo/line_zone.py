"""The line and the zone of the composed scene, and what is true of them by its list of visits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from edge.commands.demo.scene import WIDTH, Visit
from edge.types import Passages

_AT = 0.53
_LEFT, _RIGHT = 0.2, 0.61

LINE: dict[str, Any] = {"name": "door", "entrance": True, "from": [_AT, 1.0], "to": [_AT, 0.0]}
"""A line from the lower to the upper edge: "in" is towards the picture's right."""

ZONE: dict[str, Any] = {
    "name": "shelf",
    "role": "area",
    "polygon": [[_LEFT, 0.0], [_RIGHT, 0.0], [_RIGHT, 1.0], [_LEFT, 1.0]],
}
"""The middle of the picture, where most visitors stand for a while."""

_STEP = 0.02  # seconds between two moments of the truth


def passages(visits: Iterable[Visit]) -> Passages:
    """How many cross `LINE`: a visitor of the scene who comes from one side and leaves to the other."""
    ends = [(visit.keys[0].x, visit.keys[-1].x) for visit in visits]
    line = _AT * WIDTH
    return Passages(
        inward=sum(come < line < leave for come, leave in ends),
        outward=sum(leave < line < come for come, leave in ends),
    )


def seconds_in_zone(visits: Iterable[Visit]) -> list[float]:
    """How long the middle of each visitor's face is in `ZONE`, in seconds."""
    return [_STEP * sum(_LEFT * WIDTH <= x <= _RIGHT * WIDTH for x in _way(visit)) for visit in visits]


def _way(visit: Visit) -> Iterator[float]:
    """Where the face's middle is, moment by moment, in pixels from the left."""
    faces = (visit.at(float(t)) for t in np.arange(visit.start, visit.end, _STEP))
    return (face.x for face in faces if face is not None)
